"""Does what README.md says, as someone who has just cloned it, and tells the time of each step.

    make readme
    make readme ARGS=--all            also the tables, minutes to hours

What you will see: each line of the README's ``sh`` blocks as it runs in a fresh clone in a temporary folder, its time,
and its last words. Stops at the first that fails. The example with a line's own pictures runs on drawn ones.
"""

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from absl import flags

from experiments import study

ROOT = Path(__file__).parent.parent
LONG = ("make reproduce", "make figures", "make bench", "make notebooks", "make test", "make readme")
NEEDS_A_SERVER = ("echo", "curl")
# What the README takes for granted: pictures to fit with, a line with more of them, and a labelled folder.
BEFORE = {
    "fsad fit --good=good": "mkdir good; cp parts/train/good/00*.png good; cp -r parts/test/cut defect; "
    "cp -r parts/test/hole line; cp line/000.png line/0815.png; cp -r parts labelled"
}


def lines(page):
    """Commands of the ``sh`` blocks, in order, continued lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", page, re.S)
    found = [line.strip() for block in blocks for line in block.replace("\\\n", " ").replace("|\n", "| ").splitlines()]
    return [line for line in found if line and not line.startswith("#")]


def main(_):
    folder = Path(tempfile.mkdtemp(prefix="fsad-readme-")) / "fsad"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    try:
        for line in lines((folder / "README.md").read_text()):
            if line.startswith(NEEDS_A_SERVER) or (line.startswith(LONG) and not flags.FLAGS.all):
                print(f"not run   {line}")
                continue
            before = next((text for start, text in BEFORE.items() if line.startswith(start)), "true")
            script = f"[ -f .venv/bin/activate ] && . .venv/bin/activate; {before}; set -e; {line}"
            begun = time.perf_counter()
            done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)
            told = [text for text in done.stdout.splitlines() if text.strip()]
            print(f"{time.perf_counter() - begun:7.1f} s {line}\n          {told[-1] if told else ''}", flush=True)
            if done.returncode:
                raise RuntimeError(
                    f"{line}: expected exit status 0. Received: {done.returncode}\n{done.stderr[-2000:]}"
                )
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


if __name__ == "__main__":
    flags.DEFINE_bool("all", False, "also what takes long")
    study.run_main(main)
