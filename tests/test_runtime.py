import numpy as np
import pytest

from fsad import cli, commands, export
from fsad.export import runtime


@pytest.fixture
def detector(fitted):
    yield fitted
    fitted.use(None, "tensorflow")  # as it was: the others use it too


def test_every_runtime_scores_the_same_and_the_fastest_is_used(detector, parts):
    pytest.importorskip("openvino")
    expected = detector.inspect(parts / "test")
    chosen = runtime.choose(detector, given=parts / "test")
    assert set(chosen.milliseconds) | set(chosen.refused) == {"tensorflow", "openvino", "openvino bfloat16"}
    assert chosen.milliseconds[chosen.name] == min(chosen.milliseconds.values())
    assert detector.runtime == chosen.name and chosen.name in str(chosen)
    for name, judge in runtime.judges(detector, ("openvino", "onnx")).items():
        detector.use(judge, name)
        for found, want in zip(detector.inspect(parts / "test"), expected, strict=True):
            assert found.score == pytest.approx(want.score, abs=1e-5) and found.verdict == want.verdict
            assert found.nearest == want.nearest and np.allclose(found.map, want.map, atol=1e-4)


def test_a_runtime_that_scores_otherwise_is_refused(detector, monkeypatch):
    right = detector.traced()

    def shifted(by):
        return lambda pictures: {k: np.asarray(v) + by for k, v in right(pictures).items()}

    monkeypatch.setattr(runtime, "judges", lambda d, names: {"tensorflow": right, "near": shifted(1e-4)})
    monkeypatch.setattr(runtime, "TOLERANCE", 1e-5)
    chosen = runtime.choose(detector)
    assert chosen.name == "tensorflow" and chosen.refused["near"] == pytest.approx(1e-4, rel=0.01)
    monkeypatch.setattr(runtime, "judges", lambda d, names: {"near": shifted(1e-4)})
    with pytest.raises(export.ExportError, match=r"near: 0\.0001 apart"):
        runtime.choose(detector)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="Expected runtimes among"):
        runtime.judges(detector, ["abacus"])


def test_the_command_says_which_runtime_it_took(fitted, parts, tmp_path, capsys, monkeypatch):
    folder = str(fitted.save(tmp_path / "detector"))
    call = ["score", folder, f"{parts}/test/hole"]
    assert cli.main(call) == 0  # two pictures: not worth looking for another
    plain = capsys.readouterr()
    monkeypatch.setattr(commands, "MANY", 2)
    monkeypatch.setattr(runtime, "installed", lambda: ("tensorflow",))
    assert cli.main(call) == 0
    chosen = capsys.readouterr()
    assert "Runtime: tensorflow (" in chosen.err and "Runtime" not in plain.err
    assert chosen.out == plain.out
