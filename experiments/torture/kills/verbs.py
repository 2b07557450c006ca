"""The commands that write, and how a state of what they wrote is told."""

import json
import os
import shutil

from experiments.torture import copy, fsad

EARLIER = b"earlier"


class Verb:
    """A command that writes, in a folder.

    Args:
        arguments: a function of the workshop and the folder that gives the arguments of ``fsad``.
        state: a function of the folder that names what is there, ``"before"``, ``"after"`` or ``"none"``, and raises an
            error if it is neither.
        prepare: a function of the workshop and the folder that puts there what the command replaces.
        heavy: whether it needs TensorFlow, which takes a dozen seconds to start and seconds to compute.
    """

    def __init__(self, arguments, state, prepare=lambda workshop, folder: None, heavy=False):
        self.arguments, self.state, self.prepare, self.heavy = arguments, state, prepare, heavy


def _value(folder):
    from fsad import storage

    return storage.load(folder / "detector")[2]["threshold"]["value"]


def _threshold(folder):
    return "after" if _value(folder) == 7 else "before"


def _learned(folder):
    from fsad import storage

    return "after" if storage.load(folder / "detector")[2]["journal"] else "before"


def _fitted(folder):
    """The one before has been marked by another threshold."""
    return "before" if _value(folder) == -7 else "after"


def _marked(workshop, folder):
    copy(workshop.detector, folder / "detector")
    workshop.must(fsad, "threshold", folder / "detector", "--value=-7")


def _lines(name, count):
    def state(folder):
        data = (folder / name).read_bytes()
        if data == EARLIER:
            return "before"
        if data.count(b"\n") != count or not data.endswith(b"\n"):
            raise ValueError(f"{name} has {data.count(bytes([10]))} of {count} lines")
        return "after"

    return state


def _page(folder):
    data = (folder / "report.html").read_bytes()
    if data != EARLIER and not data.rstrip().endswith(b"</html>"):
        raise ValueError(f"report.html ends after {len(data)} bytes")
    return "before" if data == EARLIER else "after"


def _earlier(name):
    def prepare(workshop, folder):
        (folder / name).write_bytes(EARLIER)

    return prepare


def _watched(workshop, folder):
    (folder / "line").mkdir()
    for path in workshop.images()[:6]:
        shutil.copy(path, folder / "line" / f"{path.parent.name}-{path.name}")
        os.utime(folder / "line" / f"{path.parent.name}-{path.name}", (1, 1))


def _journal(folder):
    """Each image is in its place or moved, and whole lines have each at most once; the last may be cut off."""
    there = list((folder / "line").rglob("*.png"))
    if len(there) != 6:
        raise ValueError(f"{len(there)} of 6 images are left")
    results = folder / "line.jsonl"
    text = results.read_text() if results.exists() else ""
    names = [json.loads(line)["file"] for line in text.splitlines(keepends=True) if line.endswith("\n")]
    if len(set(names)) != len(names):
        raise ValueError(f"an image has two lines: {names}")
    return "after" if len(names) == 6 else "before"


def watch_again(workshop, folder):
    """What the killed run left is done by the next one: six lines, each once."""
    workshop.must(fsad, *VERBS["watch"].arguments(workshop, folder))
    if _journal(folder) != "after":
        raise ValueError("the next run did not finish the images")
    left = [path.name for path in (folder / "line").glob("*.png")]
    if any(json.loads(line)["verdict"] == "defective" and json.loads(line)["file"] in left
           for line in (folder / "line.jsonl").read_text().splitlines()):  # fmt: skip
        raise ValueError("a defective image was not moved")


def _export(name, loads):
    """An export is the earlier file, or one that its runtime loads."""

    def state(folder):
        path = folder / name
        if not path.exists():
            return "none"
        if path.is_file() and path.read_bytes() == EARLIER:
            return "before"
        loads(path)
        return "after"

    return state


def _load_onnx(path):
    import onnxruntime

    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _load_openvino(path):
    import openvino

    openvino.Core().compile_model(path, "CPU")


def _load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    Interpreter(str(path)).get_signature_runner("score")


def _load_saved_model(path):
    for name in ("saved_model.pb", "variables/variables.index", "fingerprint.pb"):
        if not (path / name).is_file():
            raise ValueError(f"{name} is missing")


def _exporting(format, name):
    return lambda workshop, folder: ("export", workshop.detector, f"--format={format}", f"--out={folder / name}")


def _watching(workshop, folder):
    options = ("--move=defective", "--every=0.1", "--until_idle=1.5")
    return ("watch", workshop.detector, folder / "line", f"--jsonl={folder / 'line.jsonl'}", *options)


def _fitting(workshop, folder):
    good, defect = workshop.parts / "train" / "good", workshop.parts / "test" / "*" / "000.png"
    options = ("--backbone=filter_bank", "--side=96")
    return ("fit", f"--good={good}", f"--defect={defect}", *options, f"--out={folder / 'detector'}")


def _scoring(verb, option):
    return lambda workshop, folder: (verb, workshop.detector, workshop.parts / "test", option.format(folder))


def _learning(workshop, folder):
    return ("learn", folder / "detector", f"--good={workshop.parts / 'test' / 'good' / '003.png'}")


def _copied(workshop, folder):
    copy(workshop.detector, folder / "detector")


VERBS = {
    "threshold": Verb(lambda _, folder: ("threshold", folder / "detector", "--value=7"), _threshold, _copied),
    "score": Verb(_scoring("score", "--csv={}/a.csv"), _lines("a.csv", 21), _earlier("a.csv")),
    "inspect": Verb(_scoring("inspect", "--report={}/report.html"), _page, _earlier("report.html")),
    "watch": Verb(_watching, _journal, _watched),
    "fit": Verb(_fitting, _fitted, _marked, heavy=True),
    "learn": Verb(_learning, _learned, _copied, heavy=True),
    "export onnx": Verb(_exporting("onnx", "m.onnx"), _export("m.onnx", _load_onnx), _earlier("m.onnx"), heavy=True),
    "export litert": Verb(
        _exporting("litert", "m.tflite"), _export("m.tflite", _load_litert), _earlier("m.tflite"), heavy=True
    ),
    "export openvino": Verb(
        _exporting("openvino", "m.xml"), _export("m.xml", _load_openvino), _earlier("m.xml"), heavy=True
    ),
    "export saved_model": Verb(_exporting("saved_model", "model"), _export("model", _load_saved_model), heavy=True),
}
