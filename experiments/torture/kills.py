"""`kill -9`, at each event on the file system and at random moments: all is as before, or as after."""

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

from experiments.torture import Attack, Outcome, copy, fsad

# Events of Python's audit hooks that change a folder; os.fsync has none and is wrapped.
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
EARLIER = b"earlier"


class Verb:
    """A command that writes, in a folder.

    Args:
        arguments: a function of the workshop and the folder that gives the arguments of ``fsad``.
        state: a function of the folder that names what is there, ``"before"``, ``"after"`` or ``"none"``, and raises an
            error if it is neither.
        prepare: a function of the workshop and the folder that puts there what the command replaces.
        heavy: whether it starts TensorFlow, which takes a dozen seconds.
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


def _watch_again(workshop, folder):
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


def hooked(root, at, count, function, *given):
    """Runs a function, and kills its process as it is about to do what changes a folder below ``root`` for the ``at``th
    time; writes how often it did to the file ``count`` if it ends."""
    seen, root, fsync = 0, str(root), os.fsync

    def event():
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(name, arguments):
        if name == "open":
            path, mode, flags = arguments
            writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR) or (isinstance(mode, str) and set(mode) & set("wax+"))
            if writes and isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(root):
                event()
        elif name in EVENTS or (name == "ctypes.dlsym" and arguments[1] == "renameat2"):
            event()

    def synced(handle):
        event()
        fsync(handle)

    os.fsync = synced
    sys.addaudithook(hook)
    status = function(*given)
    Path(count).write_text(str(seen))
    return status


def _events(workshop, name):
    """The same, found out by a run that nobody kills."""
    with workshop.folder() as folder:
        inner = folder / "case"
        inner.mkdir()
        VERBS[name].prepare(workshop, inner)
        ended = workshop.run(
            hooked, inner, 0, folder / "count", fsad, *VERBS[name].arguments(workshop, inner), seconds=180
        )
        if ended.status != 0:
            raise RuntimeError(f"Expected fsad {name} to succeed. Received: {ended.status}\n{ended.text}")
        state = VERBS[name].state(inner)
        if state != "after":
            raise RuntimeError(f"Expected fsad {name} to change something. Received: {state}")
        return int((folder / "count").read_text()), ended.seconds


def _event_cases(workshop, quick):
    cases = []
    for name, verb in VERBS.items():
        if quick and name not in ("threshold", "score"):
            continue
        most = 3 if quick else 12 if verb.heavy else _known(workshop, name)[0]
        cases += [f"{name}: {k} of {most}" for k in range(1, most + 1)]
    return _mixed(cases)


def _random_cases(workshop, quick):
    cases = []
    for name, verb in VERBS.items():
        if quick and name not in ("threshold", "inspect"):
            continue
        cases += [f"{name}: moment {k}" for k in range(1 if quick else 6 if verb.heavy else 30)]
    return _mixed(cases)


def _mixed(cases):
    """In an order in which the first ones are of all verbs that take seconds, and then of those that take a minute."""
    return sorted(random.Random(0).sample(cases, len(cases)), key=lambda case: VERBS[case.partition(": ")[0]].heavy)


def _attempt(workshop, case):
    name, _, at = case.partition(": ")
    verb, failures = VERBS[name], []
    with workshop.folder() as folder:
        inner = folder / "case"
        inner.mkdir()
        verb.prepare(workshop, inner)
        arguments = verb.arguments(workshop, inner)
        if at.startswith("moment"):
            moment = random.Random(case).random() * _known(workshop, name)[1]
            ended = workshop.run(fsad, *arguments, kill_after=moment)
        else:
            number, most = (int(text) for text in at.split(" of "))
            event = round(1 + (number - 1) * (_known(workshop, name)[0] - 1) / max(1, most - 1))
            ended = workshop.run(hooked, inner, event, folder / "count", fsad, *arguments)
        if ended.status not in (-signal.SIGKILL, 0):
            failures.append(f"{case} ended with {ended.status}: {ended.said}")
        try:
            state = _said(workshop, verb, inner)
            if name == "watch":
                _watch_again(workshop, inner)
            _check_cleared(workshop, name, inner)
        except (ValueError, RuntimeError) as error:
            state = "broken"
            failures.append(f"{case}: {error}")
        return Outcome({f"{name}: {state}": 1}, failures)


_counted = {}


def _known(workshop, name):
    """At how many events a verb can be killed, and how many seconds it takes."""
    if name not in _counted:
        _counted[name] = _events(workshop, name)
    return _counted[name]


def _said(workshop, verb, folder):
    """The state, found out in a process of its own, which may crash."""
    result = folder.parent / "state"

    def state():
        result.write_text(verb.state(folder))

    ended = workshop.run(state)
    if ended.status != 0:
        raise ValueError(ended.said)
    return result.read_text()


def _check_cleared(workshop, name, folder):
    """The next run of what wrote there, or of one that writes as it does, leaves nothing of the killed one."""
    if (folder / "detector").exists():
        workshop.must(fsad, "threshold", folder / "detector", "--value=7")
    for target in ("a.csv", "report.html", "m.onnx", "m.tflite", "m.xml"):
        if (folder / target).exists():
            workshop.must(_write_again, folder / target)
    left = [
        path.name for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith((".part", "-old"))
    ]
    if left:
        raise ValueError(f"left behind: {', '.join(left)}")


def _write_again(path):
    from fsad.files import atomic_file

    with atomic_file(path) as file:
        file.write(b"again")


_EXPECTED = "the state before or the one after, whole, in the place of the former; the next run clears what was left"
_REFERENCE = "SQLite's crash tests: after any interruption a transaction has happened or has not"
ATTACKS = (
    Attack(
        "kills-events",
        "`kill -9` before each change to a folder (open for writing, mkdir, rename, exchange, remove, fsync) of "
        + ", ".join(VERBS),
        _EXPECTED,
        _REFERENCE,
        _event_cases,
        _attempt,
    ),
    Attack(
        "kills-random",
        "`kill -9` at a random moment of the same",
        _EXPECTED,
        _REFERENCE,
        _random_cases,
        _attempt,
    ),
)
