import numpy as np
import pytest

from fsad import cli, export
from fsad.commands import shared
from fsad.export import runtime


@pytest.mark.slow
def test_every_runtime_scores_the_same_and_the_fastest_is_taken(fitted, parts, monkeypatch):
    pytest.importorskip("openvino")
    expected = fitted.inspect(parts / "test")
    made = runtime.functions(fitted)  # converted once for both
    monkeypatch.setattr(runtime, "functions", lambda detector, names: {n: made[n] for n in names or made})
    choice = runtime.choose(fitted, given=parts / "test")
    assert set(choice.milliseconds) | set(choice.refused) == {"tensorflow", "openvino", "openvino bfloat16"}
    assert choice.milliseconds[choice.name] == min(choice.milliseconds.values()) and choice.name in str(choice)
    other = fitted.with_runtime("openvino", parts / "test")
    assert (other.runtime, fitted.runtime) == ("openvino", "tensorflow")
    for received, wanted in zip(other.inspect(parts / "test"), expected, strict=True):
        assert received.score == pytest.approx(wanted.score, abs=5e-4) and received.verdict == wanted.verdict
        assert received.nearest == wanted.nearest
        assert np.allclose(received.anomaly_map, wanted.anomaly_map, atol=1e-2)


def test_a_runtime_that_scores_otherwise_is_refused(fitted, monkeypatch):
    def shifted(by):
        return lambda images: {name: np.asarray(values) + by for name, values in fitted.scorer(images).items()}

    monkeypatch.setattr(runtime, "functions", lambda d, names: {"tensorflow": d.scorer, "near": shifted(1e-2)})
    choice = runtime.choose(fitted)
    assert choice.name == "tensorflow" and choice.refused["near"] == pytest.approx(1e-2, rel=0.01)
    monkeypatch.setattr(runtime, "functions", lambda d, names: {"near": shifted(1e-2)})
    with pytest.raises(export.ExportError, match=r"near: a difference of 0\.01"):
        runtime.choose(fitted)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="Expected runtimes among"):
        runtime.functions(fitted, ["abacus"])


def test_the_command_says_which_runtime_it_took(fitted, parts, saved, capsys, monkeypatch):
    folder = str(saved)
    call = ["score", folder, f"{parts}/test/hole"]
    assert cli.main(call) == 0  # two images: not worth looking for another
    plain = capsys.readouterr()
    monkeypatch.setattr(shared, "MANY", 2)
    monkeypatch.setattr(runtime, "installed", lambda graph: ("tensorflow",))
    assert cli.main(call) == 0
    chosen = capsys.readouterr()
    assert "Runtime: tensorflow (" in chosen.err and plain.err == "Runtime: onnx\n"
    lines = [[line.split(",")[:3] for line in text.out.splitlines()] for text in (plain, chosen)]
    assert [row[::2] for row in lines[0]] == [row[::2] for row in lines[1]]
    assert [float(row[1]) for row in lines[0][1:]] == pytest.approx([float(row[1]) for row in lines[1][1:]], abs=1e-3)
