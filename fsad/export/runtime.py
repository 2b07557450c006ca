"""Which of the runtimes that are installed scores a detector's images fastest, in this process.

A saved detector has a graph that ONNX Runtime and OpenVINO compute without TensorFlow. Without one TensorFlow always
does, and OpenVINO or ONNX Runtime after a conversion. OpenVINO is tried in float32 and in bfloat16. A runtime is only
taken if its scores are within `TOLERANCE` of the detector's own and change no verdict: bfloat16 passes for a network
with a sigmoid unit, and does not for distances of patches.
"""

import dataclasses
import importlib.util
import time
from collections.abc import Callable

import numpy as np

from fsad import export
from fsad.export import onnx, openvino, session

RUNTIMES = ("tensorflow", "openvino", "openvino bfloat16", "onnx")
TOLERANCE = 1e-3  # largest difference of a score that counts as the same
BATCH = 8  # images at a time, as `fsad.Detector.stream` takes them
PROBES = 32  # images that scores are compared on
REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Choice:
    """``name``: the runtime taken; ``function``: what it computes, as `fsad.Detector.scorer`; ``milliseconds``: per
    image, median, of each that scores the same; ``refused``: the largest difference of a score of each that does not.
    """

    name: str
    function: Callable = dataclasses.field(repr=False)
    milliseconds: dict = dataclasses.field(default_factory=dict)
    refused: dict = dataclasses.field(default_factory=dict)

    def __str__(self):
        times = ", ".join(f"{name} {ms:.1f} ms" for name, ms in self.milliseconds.items())
        others = "".join(f"; {name} changes scores by {by:.1g}" for name, by in self.refused.items())
        return f"{self.name} ({times} per image{others})"


def installed(graph=None):
    """Names among `RUNTIMES` that can be tried here, with the graph of a detector, if it has one."""
    there = {name: importlib.util.find_spec(name) is not None for name in ("openvino", "onnxruntime", "tf2onnx")}
    openvino = RUNTIMES[1:3] if there["openvino"] else ()
    if graph is not None and there["onnxruntime"]:
        return ("onnx", *openvino)
    if openvino:
        return ("tensorflow", *openvino)
    return ("tensorflow", "onnx") if there["onnxruntime"] and there["tf2onnx"] else ("tensorflow",)


def functions(detector, names=None):
    """Each runtime's function, as `fsad.Detector.scorer`.

    Args:
        detector: fitted.
        names: among `RUNTIMES`; `installed` if None.

    Raises:
        fsad.export.ExportError: a package is missing.
    """
    graph = detector.fitted.graph
    names = installed(graph) if names is None else names
    if unknown := set(names) - set(RUNTIMES):
        raise ValueError(f"Expected runtimes among {', '.join(RUNTIMES)}. Received: {', '.join(sorted(unknown))}")
    made = {}
    try:
        if "tensorflow" in names:
            made["tensorflow"] = detector.traced()
        if any(name.startswith("openvino") for name in names):
            model = openvino.read(graph) if graph is not None else openvino.convert(detector, detector.traced())
            for name in names:
                if name.startswith("openvino"):
                    made[name] = _named(openvino.compiled(model, bfloat16=name.endswith("bfloat16")))
        if "onnx" in names:
            if graph is None:
                graph = onnx.converted(detector.traced(references_given=True), detector.fitted.references)
            made["onnx"] = session.of(graph)
            if made["onnx"] is None:
                raise ImportError("No module named 'onnxruntime'")
    except ImportError as error:
        raise export.ExportError(f"a runtime is not installed ({error}): pip install 'fsad[export]'") from None
    return made


def choose(detector, names=None, given=None):
    """The fastest runtime whose scores are the same; the detector stays as it is (`fsad.Detector.with_runtime`).

    Args:
        detector, names: as `functions` takes them. A single name is taken whatever its time, unless its scores differ.
        given: images to compare and time on (`fsad.inputs.find`), as `fsad.export.export` takes them.

    Returns:
        The `Choice`.

    Raises:
        fsad.export.ExportError: a package is missing, or none of ``names`` scores as the detector does.
    """
    made = functions(detector, names)
    images = export.images_of(detector, given)[1][:PROBES]
    expected = scores(detector.scorer, images)
    limit = detector.threshold.value
    same, refused = {}, {}
    for name, function in made.items():
        received = scores(function, images)
        difference = float(np.abs(received - expected).max())
        if difference <= TOLERANCE and ((received > limit) == (expected > limit)).all():
            same[name] = function
        else:
            refused[name] = difference
    if not same:
        received = ", ".join(f"{name}: a difference of {difference:.2g}" for name, difference in refused.items())
        raise export.ExportError(f"Expected scores within {TOLERANCE:g} of the detector's. Received: {received}")
    batch = np.resize(images, (BATCH, *images.shape[1:]))
    times = {name: [] for name in same}
    for _ in range(REPEATS):  # interleaved, so that other load falls on all alike
        for name, function in same.items():
            begun = time.perf_counter()
            function(batch)
            times[name].append(time.perf_counter() - begun)
    milliseconds = {name: 1000 * float(np.median(seconds)) / BATCH for name, seconds in times.items()}
    best = min(milliseconds, key=milliseconds.get)
    return Choice(best, same[best], milliseconds, refused)


def scores(function, images):
    """Scores ``(n,)`` by one of the `functions`, a batch at a time."""
    starts = range(0, len(images), BATCH)
    return np.concatenate([np.asarray(function(images[k : k + BATCH])["score"]) for k in starts])


def _named(compiled):
    return lambda images: {port.get_any_name(): value for port, value in compiled(images).items()}
