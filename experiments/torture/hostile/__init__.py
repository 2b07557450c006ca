"""Detectors and weights made to do harm, with hashes that fit, loaded in a process whose every access is audited."""

import importlib
import json
import os
import resource
import sys
from pathlib import Path

from experiments.torture import Attack, Outcome, copy
from experiments.torture.hostile.forged import ARRAYS, NETWORKS, NOTE
from experiments.torture.hostile.graphs import GRAPHS
from experiments.torture.hostile.guard import MEMORY, PATH, guard
from experiments.torture.hostile.weights import WEIGHTS, made

CASES = {**NOTE, **ARRAYS, **GRAPHS}


def _examine(case, folder, image, builds, result):
    """Loads and scores, and builds the network, under guard; writes what happened as JSON."""
    sys.dont_write_bytecode = True
    import fsad.detector
    import fsad.scorer
    from fsad.files import FsadError

    if builds:
        import fsad.recipes  # before the guard: Keras and TensorFlow write and ask as they start
        from fsad.backbones import own  # noqa: F401
    import PIL.Image

    PIL.Image.init()
    events, handle = [], os.open(result, os.O_WRONLY | os.O_CREAT)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    guard(events)
    try:
        detector = fsad.detector.load(folder)
        if builds:
            _ = detector.model
            outcome = "built"
        else:
            (prediction,) = detector.stream([image])
            outcome = "an error for the image" if prediction.error else "scored"
    except (FsadError, ValueError) as error:
        outcome = "refused"
        text = str(error)
    except Exception as error:
        outcome, text = "raised", f"{type(error).__name__}: {error}"
    else:
        text = ""
    os.write(handle, json.dumps({"outcome": outcome, "events": events, "text": text[:300]}).encode())


def _attempt(workshop, case, cases, builds):
    if builds:
        importlib.import_module("fsad.recipes")  # TensorFlow with it: once, and not in each process
    with workshop.folder() as folder:
        detector = copy(workshop.detector, folder / "detector")
        workshop.must(cases[case], detector)
        image, result = workshop.images()[0], folder / "result"
        ended = workshop.run(_examine, case, detector, image, builds, result, seconds=60)
        report = json.loads(result.read_text() or "{}") if result.exists() else {}
    Path(PATH).unlink(missing_ok=True)
    if ended.status != 0 or not report:
        return Outcome(
            {"ended": 1}, [f"{case}: the process ended with {ended.status} after {ended.seconds:.0f} s: {ended.said}"]
        )
    failures = [f"{case}: {event}" for event in report["events"]]
    if report["outcome"] == "raised":
        failures.append(f"{case}: {report['text']}")
    return Outcome({report["outcome"]: 1}, failures)


def _take(path, result):
    """Loads a file as weights of MobileNet, under guard."""
    sys.dont_write_bytecode = True
    from fsad import backbones
    from fsad.backbones import efficientnet_lite, own, pytorch_file  # noqa: F401
    from fsad.files import FsadError

    events, handle = [], os.open(result, os.O_WRONLY | os.O_CREAT)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    guard(events)
    try:
        backbones.build("mobilenet", weights=str(path), side=96)
        outcome, text = "loaded", ""
    except (FsadError, ValueError) as error:
        outcome, text = "refused", str(error)
    except Exception as error:
        outcome, text = "raised", f"{type(error).__name__}: {error}"
    os.write(handle, json.dumps({"outcome": outcome, "events": events, "text": text[:300]}).encode())


def _attempt_weights(workshop, case):
    importlib.import_module("fsad.recipes")
    kind, _, suffix = case.partition(" as ")
    with workshop.folder() as folder:
        path, result = folder / f"w{suffix}", folder / "result"
        workshop.must(made, kind, path)
        ended = workshop.run(_take, path, result, seconds=90)
        report = json.loads(result.read_text() or "{}") if result.exists() else {}
    Path(PATH).unlink(missing_ok=True)
    if ended.status != 0 or not report:
        return Outcome({"ended": 1}, [f"{case}: the process ended with {ended.status}: {ended.said}"])
    failures = [f"{case}: {event}" for event in report["events"]]
    if report["outcome"] != "refused":
        failures.append(f"{case}: {report['outcome']} {report['text']}")
    return Outcome({report["outcome"]: 1}, failures)


_EXPECTED = (
    "an error, or a score; no file written or opened beyond the folder's, no process, no network, no pickle; within a "
    "minute"
)
ATTACKS = (
    Attack(
        "detectors",
        f"{len(CASES)} detectors made to do harm, hashes recomputed, loaded and asked for a score",
        _EXPECTED,
        "safetensors: a file of weights holds numbers and nothing that runs",
        lambda workshop, quick: list(CASES)[:: 8 if quick else 1],
        lambda workshop, case: _attempt(workshop, case, CASES, False),
    ),
    Attack(
        "networks",
        f"{len(NETWORKS)} detectors whose settings describe a network made to do harm, built",
        _EXPECTED,
        "Keras's safe mode, and the holes found in it (CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9906)",
        lambda workshop, quick: list(NETWORKS),
        lambda workshop, case: _attempt(workshop, case, NETWORKS, True),
        slow=True,
    ),
    Attack(
        "weights",
        f"{len(WEIGHTS)} kinds of weights files made to do harm, as .h5, .keras and .pth",
        "an error; no file opened beyond it, no process, no network, no pickle",
        "Keras, whose .h5 could read other files until 3.13.2",
        lambda workshop, quick: [
            f"{kind} as {suffix}" for kind in WEIGHTS for suffix in (".weights.h5", ".keras", ".pth")
        ],
        _attempt_weights,
        slow=True,
    ),
)
