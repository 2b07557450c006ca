"""The programs of docs/scale.md, run as printed where their engine is installed, on a detector of these tests."""

import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fsad import cli

PAGE = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
MARKED = r"<!-- (\w+): run by tests/test_scale_page.py .*?```python\n(.*?)```"
PROGRAMS = dict(re.findall(MARKED, PAGE, re.S))


def needs(*modules, program=None):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    missing += [program] if program and shutil.which(program) is None else []
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}")


@pytest.fixture
def folder(fitted, exported, parts, tmp_path):
    """What stands for /data, and the rows that are to come: four images and a file that is missing."""
    pytest.importorskip("onnxruntime")
    shutil.copy(exported("onnx")[0], tmp_path / "detector.onnx")
    files = sorted((parts / "test" / "hole").glob("*.png")) + sorted((parts / "test" / "good").glob("*.png"))[:2]
    paths = [*map(str, files), str(tmp_path / "missing.png")]
    (tmp_path / "images.txt").write_text("\n".join(paths) + "\n")
    scores = [*fitted.score(files).tolist(), None]
    return tmp_path, {
        path: (score, score is None and "no such file") for path, score in zip(paths, scores, strict=True)
    }


def run(name, folder):
    text = PROGRAMS[name].replace("/data/", f"{folder}/")
    program = folder / "program.py"
    program.write_text(text)
    python = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run([sys.executable, program], cwd=folder, env=python, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def same(rows, expected):
    assert sorted(row["path"] for row in rows) == sorted(expected)
    for row in rows:
        score, error = expected[row["path"]]
        known = row["score"] is not None and not math.isnan(row["score"])
        assert (row["score"] if known else None) == (score and pytest.approx(score, abs=1e-4))
        assert (row["error"] or False) == error


def test_the_page_has_a_program_for_each_engine():
    assert list(PROGRAMS) == ["spark", "beam"]
    for text in PROGRAMS.values():
        compile(text, "docs/scale.md", "exec")


@pytest.mark.slow
@needs("pyspark", "pyarrow", program="java")
def test_spark(folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, expected = folder
    pq.write_table(pa.table({"path": list(expected)}), folder / "images.parquet")
    run("spark", folder)
    same(pq.read_table(folder / "spark").to_pylist(), expected)


@pytest.mark.slow
@needs("apache_beam", "onnxruntime")
def test_beam(folder):
    folder, expected = folder
    run("beam", folder)
    same([json.loads(line) for path in folder.glob("beam*") for line in path.read_text().splitlines()], expected)


def test_the_commands_of_the_page_are_understood():
    (text,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    calls = [line.split("#")[0].split()[1:] for line in text.splitlines() if line.startswith("fsad ")]
    assert len(calls) == 2
    for words in calls:
        options = cli._parser().parse_args(words)
        assert options.ray and options.out
