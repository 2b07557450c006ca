"""Which of the runtimes that are installed scores a detector's pictures fastest, in this process.

TensorFlow always does. OpenVINO is tried in float32 and in bfloat16, and ONNX Runtime where there is no OpenVINO: its
conversion takes up to a minute. A runtime is only taken if its scores are within `TOLERANCE` of TensorFlow's and
change no verdict: bfloat16 passes for a network with a sigmoid unit, and does not for distances of patches.
"""

import dataclasses
import importlib.util
import tempfile
import time
from pathlib import Path

import numpy as np

from fsad import export
from fsad.export import onnx, openvino

RUNTIMES = ("tensorflow", "openvino", "openvino bfloat16", "onnx")
TOLERANCE = 1e-3  # largest difference of a score that is taken for the same
BATCH = 8  # pictures at a time, as `fsad.Detector.stream` takes them
PROBES = 32  # pictures that scores are compared on
REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Choice:
    """``name``: the runtime taken; ``milliseconds``: a picture, median, of each that scores the same; ``refused``: the
    largest difference of a score of each that does not."""

    name: str
    milliseconds: dict
    refused: dict

    def __str__(self):
        times = ", ".join(f"{name} {ms:.1f} ms" for name, ms in self.milliseconds.items())
        others = "".join(f"; {name} moves scores by {by:.1g}" for name, by in self.refused.items())
        return f"{self.name} ({times} a picture{others})"


def installed():
    """Names among `RUNTIMES` that can be tried here."""
    there = {name: importlib.util.find_spec(name) is not None for name in ("openvino", "onnxruntime", "tf2onnx")}
    if there["openvino"]:
        return RUNTIMES[:3]
    return ("tensorflow", "onnx") if there["onnxruntime"] and there["tf2onnx"] else ("tensorflow",)


def judges(detector, names=None):
    """Each runtime's function, uint8 ``(n, side, side, 3)`` -> arrays as `fsad.Detector.judge` gives tensors.

    Args:
        detector: fitted.
        names: among `RUNTIMES`; `installed` if None.

    Raises:
        fsad.export.ExportError: a package is missing.
    """
    names = installed() if names is None else names
    if unknown := set(names) - set(RUNTIMES):
        raise ValueError(f"Expected runtimes among {', '.join(RUNTIMES)}. Received: {sorted(unknown)}")
    made = {}
    try:
        if "tensorflow" in names:
            made["tensorflow"] = detector.traced()
        if any(name.startswith("openvino") for name in names):
            model = openvino.convert(detector, detector.traced())
            for name in names:
                if name.startswith("openvino"):
                    made[name] = _named(openvino.compiled(model, bfloat16=name.endswith("bfloat16")))
        if "onnx" in names:
            with tempfile.TemporaryDirectory() as folder:
                onnx.convert(Path(folder) / "model.onnx", detector.traced())
                made["onnx"] = session(Path(folder) / "model.onnx")
    except ImportError as error:
        raise export.ExportError(f"a runtime is not installed ({error}): pip install 'fsad[export]'") from None
    return made


def choose(detector, names=None, given=None):
    """Lets a detector score by the fastest runtime from here on.

    Args:
        detector, names: as `judges` takes them. A single name is taken without being timed, unless its scores differ.
        given: pictures to compare and time on (`fsad.pictures.find`), as `fsad.export.export` takes them.

    Returns:
        The `Choice`.

    Raises:
        fsad.export.ExportError: a package is missing, or none of ``names`` scores as TensorFlow does.
    """
    made = judges(detector, names)
    pictures = export.pictures_of(detector, given)[1][:PROBES]
    expected = scores(detector.traced(), pictures)
    cut = detector.threshold.value
    refused, kept = {}, {}
    for name, judge in made.items():
        received = scores(judge, pictures)
        difference = float(np.abs(received - expected).max())
        if difference <= TOLERANCE and ((received > cut) == (expected > cut)).all():
            kept[name] = judge
        else:
            refused[name] = difference
    if not kept:
        names = ", ".join(f"{name}: {difference:.2g} apart" for name, difference in refused.items())
        raise export.ExportError(f"Expected scores within {TOLERANCE:g} of TensorFlow's. Received: {names}")
    batch = np.resize(pictures, (BATCH, *pictures.shape[1:]))
    times = {name: [] for name in kept}
    for _ in range(REPEATS):  # in turns, so that what else the machine does falls on all alike
        for name, judge in kept.items():
            begun = time.perf_counter()
            judge(batch)
            times[name].append(time.perf_counter() - begun)
    milliseconds = {name: 1000 * float(np.median(seconds)) / BATCH for name, seconds in times.items()}
    best = min(milliseconds, key=milliseconds.get)
    detector.use(kept[best], best)
    return Choice(best, milliseconds, refused)


def scores(judge, pictures):
    """Scores ``(n,)`` by one of the functions of `judges`, a batch at a time."""
    return np.concatenate([np.asarray(judge(pictures[k : k + BATCH])["score"]) for k in range(0, len(pictures), BATCH)])


def _named(compiled):
    return lambda pictures: {port.get_any_name(): value for port, value in compiled(pictures).items()}


def session(path):
    """An ONNX file as the same function."""
    import onnxruntime

    found = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names, given = [output.name for output in found.get_outputs()], found.get_inputs()[0].name
    return lambda pictures: dict(zip(names, found.run(names, {given: pictures}), strict=True))
