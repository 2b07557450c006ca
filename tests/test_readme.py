import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fsad import cli

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
README = "\n".join((ROOT / page).read_text() for page in PAGES)
# docs/scale.md has tests of its own.
RUN = "\n".join((ROOT / page).read_text() for page in PAGES if page != "docs/scale.md")
PYTHON = re.findall(r"```python\n(.*?)```", RUN, re.S)
SHELL = [shlex.split(line, comments=True) for block in re.findall(r"```sh\n(.*?)```", RUN, re.S)
         for line in block.replace("\\\n", "").splitlines()]  # fmt: skip
COMMANDS = [words[1:] for k, words in enumerate(SHELL) if words and words[0] == "fsad" and words not in SHELL[:k]]


def example(marker):
    (text,) = [text for text in PYTHON if marker in text]
    return text


def run(text, folder):
    return subprocess.run([sys.executable, "-c", text], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_quick_start_runs_as_printed(tmp_path, monkeypatch, capsys):
    """On the smaller set of these tests' own, which has the names of the README's."""
    monkeypatch.chdir(tmp_path)
    verbs = [words[0] for words in COMMANDS]
    assert verbs[:3] == ["draw", "check", "fit"]
    assert cli.main([*COMMANDS[0], "--good=24", "--defective=2"]) == 0
    for words in COMMANDS[1:3]:
        assert cli.main(words) == 0, words
    assert (tmp_path / "report.html").stat().st_size > 100_000
    shutil.copytree("parts/test/hole", "line")
    shutil.copy("line/000.png", "line/0815.png")
    shutil.copy("parts/test/poke/001.png", "line/0816.png")
    Path("corrections.csv").write_text("path,decision\nparts/test/fold/001.png,missed\n")
    Path("roi.json").write_text('{"box": [10, 10, 180, 180]}')
    shutil.copytree("parts", "labelled")
    shutil.copytree("parts/train/good", "good", ignore=shutil.ignore_patterns("01*"))
    shutil.copy("good/000.png", "good/0001.png")
    shutil.copytree("parts/test/cut", "defect")
    for words in COMMANDS[3:]:
        words = [w for word in words for w in (sorted(map(str, Path().glob(word))) if word == "line/*.png" else [word])]
        if words[0] == "watch":  # which goes on until it is stopped, and whose address is nobody's
            words = [*(w for w in words if not w.startswith("--webhook")), "--until_idle=1"]
        if words[0] == "serve":  # likewise
            monkeypatch.setattr("uvicorn.run", lambda app, **options: None)
        assert cli.main(words) == 0, words
    for name in (
        "today.csv",
        "today.html",
        "why.png",
        "figures.json",
        "saved_model",
        "regions.json",
        "roi.png",
        "line.jsonl",
    ):
        assert (tmp_path / name).exists(), name
    assert "0815.png" in capsys.readouterr().out
    assert "defective" in run(example("fsad.Detector()"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "marker", "file"),
    [
        ("onnx", "onnxruntime", "detector.onnx"),
        ("openvino", "import openvino", "detector.xml"),
        ("litert", "ai_edge_litert", "detector.tflite"),
        ("saved_model", "tf.saved_model", "saved_model"),
    ],
)
def test_example_of_each_runtime_scores_as_the_detector_does(fitted, exported, parts, tmp_path, format, marker, file):
    shutil.copy(parts / "test" / "hole" / "001.png", tmp_path / "part.png")
    path, _ = exported(format)
    for part in path.parent.glob(f"{path.stem}.*" if path.suffix else path.name):
        (tmp_path / file).with_suffix(part.suffix).symlink_to(part)
    text = example(marker)
    assert len(text.splitlines()) <= 11
    if format != "saved_model":
        text += "\nimport sys; assert not {'tensorflow', 'fsad', 'keras'} & set(sys.modules)"
    score, defective = run(text, tmp_path).split()[-2:]
    assert float(score) == pytest.approx(float(fitted.score(tmp_path / "part.png")[0]), abs=1e-4) and defective == "1"


@pytest.mark.slow
def test_the_library_example_runs_as_printed(tmp_path):
    run(example("recipes.senarathna"), tmp_path)
    assert (tmp_path / "why.png").stat().st_size > 5000 and (tmp_path / "model.keras").is_file()


@pytest.mark.slow
def test_the_blocks_on_extending_run_one_after_the_other(parts, tmp_path):
    shutil.copytree(parts, tmp_path / "parts")
    text = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extend.md").read_text(), re.S))
    assert "Detector('small_patches', backbone='filter_bank'" in run(text, tmp_path)


def test_every_module_named_in_a_command_exists():
    for page in (*PAGES, "experiments/README.md", "Makefile", *ROOT.glob("experiments/**/*.py")):
        for name in re.findall(r"-m (experiments[\w.]*\w)(?![\w$])", (ROOT / page).read_text()):
            assert importlib.util.find_spec(name), f"{page}: {name}"


def test_figures_stand_in_the_pages_that_are_linked_beside_them():
    """A number of three decimals in a paragraph, or a row of a table, is in one of the results it links to."""
    for page in PAGES:
        text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
        blocks = [b for p in text.split("\n\n") for b in (p.splitlines() if p.startswith("|") else [p])]
        for block in blocks:
            links = re.findall(r"\]\(([^)#]*results/[^)#]*\.md)\)", block)
            written = " ".join(((ROOT / page).parent / link).read_text() for link in links)
            for number in re.findall(r"(?<![\d.])\d\.\d{3}(?!\d)", block) if links else ():
                assert number in written, f"{page}: {number} in {block[:80]!r}"


def test_every_command_make_target_and_file_named_exists():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text().replace("\\\n", ""), re.M)[1].split()
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]+)", README, re.M))
    assert {"test", "reproduce-table1"} <= named <= set(targets)
    for words in COMMANDS:
        cli._parser().parse_args(words)  # exits for a flag that is not there
    for page in (*PAGES, "experiments/README.md", "CONTRIBUTING.md"):
        text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
        for link in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", text):
            if link[0].startswith("https://"):
                continue
            path = (ROOT / page).parent / (link[0] or link[1])
            assert path.exists(), f"{page}: {link}"
    for path in re.findall(r"`((?:fsad|experiments)/[\w/]*(?:\.py)?)`", README):
        assert (ROOT / path).exists() or path == "experiments/.cache/runs", path
