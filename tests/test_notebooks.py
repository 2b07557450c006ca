"""The notebooks as committed: complete, small, about synthetic images; and one of them run."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_run_whole_and_defines_nothing(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert path.stat().st_size < 2**20
    assert [cell.execution_count for cell in code(book)] == list(range(1, len(code(book)) + 1))
    kinds = [output.output_type for cell in code(book) for output in cell.outputs]
    assert "error" not in kinds and "display_data" in kinds
    source = "\n".join(line for cell in code(book) for line in cell.source.splitlines() if not line.startswith("%"))
    defined = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, defined)]
    written = json.dumps([cell.get("outputs") for cell in code(book)])
    assert "/home/" not in written and "/tmp/" not in written and str(FOLDER.parent) not in written
    assert "synthetic" in source and 'os.environ.get("FSAD_DATA_DIR")' in source


@pytest.mark.slow
def test_your_own_images_runs_without_weights_or_data(tmp_path, monkeypatch):
    """The first notebook on a smaller set, without network: as the filter bank sees it."""
    book = nbformat.read(FOLDER / "1_your_own_images.ipynb", 4)
    script = "\n".join(cell.source for cell in code(book))
    assert "good=60, defective=6" in script
    script = script.replace("good=60, defective=6", "good=40, defective=4").replace(
        "test_per_class=15", "test_per_class=5"
    )
    script = "\n".join(line for line in script.splitlines() if not line.startswith("%"))
    for name in ("FSAD_DATA_DIR", "FSAD_WEIGHTS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    # As where there is no network: asking for it takes seconds, and weights would be downloaded.
    offline = "import socket\ndef refuse(*a, **k): raise OSError('offline')\nsocket.create_connection = refuse\n"
    done = subprocess.run([sys.executable, "-c", offline + script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (
        "EfficientNet-Lite0 is used instead" in done.stderr
        and "the loaded detector scores the same: True" in done.stdout
    )
    assert (tmp_path / "data" / "saved_model" / "saved_model.pb").is_file()
