from experiments import digests
from fsad import synthetic


def train(settings, on_epoch):
    """Only its module matters."""


def test_a_run_is_another_when_anything_that_decides_it_is(tmp_path):
    folder = synthetic.write(tmp_path / "set", "metal", good=4, defective=1, size=64)
    settings = {"data": str(folder), "backbone": "vgg19", "weights": "none", "seed": 0}

    def key(**changes):
        digests._digest_of_data.cache_clear()
        return digests.key(digests.decides({**settings, **changes}, train))

    first = key()
    assert key(data=f"{tmp_path}/./set") == first  # the name does not matter
    (tmp_path / "w.h5").write_bytes(b"one")
    one = key(weights=str(tmp_path / "w.h5"))
    (tmp_path / "w.h5").write_bytes(b"two")
    assert len({first, one, key(weights=str(tmp_path / "w.h5")), key(seed=1)}) == 4
    image = folder / "train/good/000.png"
    pixels = bytearray(image.read_bytes())
    pixels[-20] ^= 1  # of the same size
    image.write_bytes(pixels)
    assert key() != first


def test_the_code_version_is_of_what_a_run_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "ROOT", tmp_path / "experiments")
    for folder in ("fsad", "experiments"):
        (tmp_path / folder).mkdir()
    (tmp_path / "experiments" / "paper.py").write_text("import numpy\nfrom fsad import a\n")
    (tmp_path / "fsad" / "a.py").write_text("from fsad.b import f\n")

    def version(b='def f():\n    "A."\n    return 1\n', other=""):
        for name, text in (("b", b), ("other", other)):
            (tmp_path / "fsad" / f"{name}.py").write_text(text)
        digests.code_version.cache_clear()
        return digests.code_version("experiments.paper")

    first = version()
    assert version(b='# why\ndef f():\n  "B."\n  return 1\n') == first
    assert version(b='def f():\n    "A."\n    return 2\n') != first
    assert version(other="x = 1\n") == first  # a run never imports it
