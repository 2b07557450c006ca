"""`kill -9`, at each event on the file system and at random moments: all is as before, or as after."""

import importlib
import os
import random
import signal
import sys
from pathlib import Path

from experiments.torture import Attack, Outcome, fsad
from experiments.torture.kills.verbs import VERBS, watch_again

# Events of Python's audit hooks that change a folder; os.fsync has none and is wrapped.
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")


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
    if verb.heavy:
        importlib.import_module("keras")  # once, and not in each process
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
                watch_again(workshop, inner)
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
    if name == "export openvino":
        workshop.must(_write_again, folder / "m.bin")
    if name == "export saved_model":
        workshop.must(_write_folder_again, folder / "model")
    left = [
        path.name for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith((".part", "-old"))
    ]
    if left:
        raise ValueError(f"left behind: {', '.join(left)}")


def _write_again(path):
    from fsad.files import atomic_file

    with atomic_file(path) as file:
        file.write(b"again")


def _write_folder_again(path):
    from fsad.files import atomic_folder

    with atomic_folder(path, "a SavedModel", "saved_model.pb") as part:
        (part / "saved_model.pb").write_bytes(b"again")


_EXPECTED = (
    "the state before or the one after, whole, in the place of the former; the next run clears what was left. Of "
    "OpenVINO's two files, which no system call replaces at once, none rather than two that do not belong together"
)
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
