import sys
import types

import pytest

from experiments import keys, senarathna, study_few
from fsad import synthetic


@pytest.fixture
def key(tmp_path, monkeypatch):
    folder = synthetic.write(tmp_path / "set", "metal", good=4, defective=1, size=64)
    monkeypatch.setattr(keys.backbones, "source", lambda name, weights: weights)
    settings = {"data": str(folder), "backbone": "vgg19", "weights": "imagenet", "seed": 0}

    def make(**changes):
        keys._digest_of_data.cache_clear()
        return keys.key(keys.decides({**settings, **changes}, senarathna.train))

    make.folder = folder
    return make


def test_a_run_is_another_when_anything_that_decides_it_is(key, tmp_path, monkeypatch):
    first = key()
    assert key() == first and key(seed=1) != first
    (tmp_path / "w.h5").write_bytes(b"one")
    one = key(weights=str(tmp_path / "w.h5"))
    (tmp_path / "w.h5").write_bytes(b"two")
    assert len({first, one, key(weights=str(tmp_path / "w.h5")), key(weights="none")}) == 4
    monkeypatch.setattr(keys.backbones, "source", lambda name, weights: "unreachable")
    assert key() != first
    monkeypatch.setattr(keys.backbones, "source", lambda name, weights: weights)
    picture = key.folder / "train/good/000.png"
    data = bytearray(picture.read_bytes())
    data[-20] ^= 1  # same size, other pixels
    picture.write_bytes(data)
    assert key() != first


def test_the_name_of_a_data_set_does_not_make_another_run(key, tmp_path):
    assert key(data=f"{key.folder.parent}/./{key.folder.name}") == key()


def test_code_version_is_of_what_a_run_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "ROOT", tmp_path / "experiments")
    for name in ("fsad", "experiments"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "experiments" / "paper.py").write_text("import numpy\nfrom fsad import a\n")

    def version(a="from fsad.b import f\n", b="def f():\n    return 1\n", apart=""):
        for name, text in (("a", a), ("b", b), ("apart", apart)):
            (tmp_path / "fsad" / f"{name}.py").write_text(text)
        return keys.code_version("experiments.paper")

    first = version()
    assert version(b="# why\ndef f():\n  return 1\n") == first
    assert version(b="def f():\n    return 2\n") != first
    assert version(apart="x = 1\n") == first  # not imported, so it does not matter


def test_a_script_that_is_run_has_a_version_too(monkeypatch):
    """Its functions are then of the module ``__main__``, of which there is no file."""
    script = types.ModuleType("__main__")
    script.__spec__ = types.SimpleNamespace(name="experiments.study_few")
    monkeypatch.setitem(sys.modules, "__main__", script)
    monkeypatch.setattr(study_few.train, "__module__", "__main__")
    assert keys._module(study_few.train) == "experiments.study_few"


def test_docstrings_do_not_make_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "ROOT", tmp_path / "experiments")
    (tmp_path / "experiments").mkdir()
    module = tmp_path / "experiments" / "paper.py"
    versions = []
    for text in ('"""One."""\ndef f():\n    "A."\n    return 1\n', '"""Two."""\ndef f():\n    "B."\n    return 1\n'):
        module.write_text(text)
        versions.append(keys.code_version("experiments.paper"))
    assert versions[0] == versions[1]
