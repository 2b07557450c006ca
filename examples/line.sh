#!/bin/sh
# A day on the line, on synthetic parts: a detector is fitted, a folder is watched, two mistakes are corrected, the light
# changes, and the report is written. Two minutes on two cores.
#
#     sh examples/line.sh              # into ./line-example
#     sh examples/line.sh FOLDER
#
# The file names of the parts say what they are, which stands for the person who knows.
set -eu
folder=${1:-line-example}
mkdir -p "$folder/line"
cd "$folder"

say() { printf '\n== %s\n' "$1"; }

say "Parts are drawn, and a detector is fitted to eight good ones"
fsad draw parts --good=40 --defective=4 2> /dev/null
fsad fit --good='parts/train/good/00?.png' --out=detector

say "The line: a folder is watched while parts come in; what is defective is moved aside"
fsad watch detector line --jsonl=line.jsonl --move=defective --until_idle=20 > watched.txt &
for path in parts/test/*/*.png parts/train/good/02?.png; do
    kind=$(basename "$(dirname "$path")")
    # Under a hidden name first, as a camera should: a file that is not whole is not looked at.
    cp "$path" "line/.coming"
    mv "line/.coming" "line/$kind-$(basename "$path")"
done
wait
python - << 'PYTHON'
import collections, json

rows = [json.loads(line) for line in open("line.jsonl")]
kinds = collections.Counter(("good" if row["file"].startswith("good") else "defective", row["verdict"]) for row in rows)
for (label, verdict), count in sorted(kinds.items()):
    print(f"{count} {label} parts: {verdict}")


mistakes = []
for row in rows:
    if row["file"].startswith("good") and row["verdict"] == "defective":
        mistakes.append(f"line/defective/{row['file']},false alarm")
    if not row["file"].startswith("good") and row["verdict"] == "good":
        mistakes.append(f"line/{row['file']},missed")
with open("corrections.csv", "w") as file:
    print("path,decision", *mistakes[:2], sep="\n", file=file)
PYTHON

say "The first two mistakes are corrected"
cat corrections.csv
fsad learn detector --from=corrections.csv --by=Ada
fsad learn detector --journal

say "The light changes: everything is 30 % darker"
python - << 'PYTHON'
from pathlib import Path

from PIL import Image, ImageEnhance

Path("dark").mkdir(exist_ok=True)
for path in sorted(Path("parts/train/good").glob("0[1-3]?.png")):
    ImageEnhance.Brightness(Image.open(path)).enhance(0.7).save(Path("dark", path.name))
PYTHON
status=0
fsad score detector dark --strict > dark.csv || status=$?
tail -n 3 dark.csv
echo "exit status $status"

say "The reports: the day, and the dark images"
fsad inspect detector line --report=line.html
fsad inspect detector dark --report=dark.html
