"""Many images, many training images, many processes: memory stays, results stay the same."""

import os
import subprocess
import sys

from experiments import memory
from experiments.torture import Attack, Outcome, fit, fsad

FLAT = 60  # megabytes that ten times as many images may take more
FIT = 1500  # megabytes of a fit with 2,000 images


def _measured(command, **environment):
    """``(status, peak in megabytes, text)`` of a command."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **environment}
    ) as process:
        text, peak = b"", 0.0
        for line in process.stdout:
            text = text[-5000:] + line
            peak = max(peak, memory.peak(process.pid))
        process.wait()
    return process.returncode, peak, text.decode(errors="replace")


def _command(*arguments):
    return [sys.executable, "-c", "import sys; from fsad.cli import main; sys.exit(main())", *map(str, arguments)]


def _crowd(folder, sources, count):
    folder.mkdir()
    for k in range(count):
        source = sources[k % len(sources)]
        os.link(source, folder / f"{k:05d}{source.suffix}")


def _many(workshop, case):
    """The peak of many images beside that of a tenth of them."""
    count = int(case.split()[0])
    with workshop.folder() as folder:
        _crowd(folder / "few", workshop.images(), count // 10)
        _crowd(folder / "many", workshop.images(), count)
        peaks, failures = {}, []
        for name, expected in (("few", count // 10), ("many", count)):
            status, peaks[name], text = _measured(
                _command("score", workshop.detector, folder / name, "--runtime=onnx", f"--csv={folder / name}.csv")
            )
            lines = (folder / f"{name}.csv").read_bytes().count(b"\n") - 1
            if status != 0 or lines != expected:
                failures.append(f"{case}: status {status}, {lines} of {expected} lines: {text[-200:]}")
    if peaks["many"] > peaks["few"] + FLAT:
        failures.append(f"{peaks['many']:.0f} MB for {count} images, {peaks['few']:.0f} MB for a tenth of them")
    return Outcome(
        {f"MB for {count:,} images": round(peaks["many"]), f"MB for {count // 10:,}": round(peaks["few"])}, failures
    )


def _training(workshop, case):
    count = int(case.split()[0])
    with workshop.folder() as folder:
        drawn = workshop.run(_drawn, folder / "good", count, seconds=900)
        if drawn.status != 0:
            raise RuntimeError(f"Expected {count} images to be drawn. Received: {drawn.status}\n{drawn.text}")
        status, peak, text = _measured(
            _command("fit", f"--good={folder / 'good'}", f"--out={folder / 'detector'}"), TF_CPP_MIN_LOG_LEVEL="3"
        )
    failures = [] if status == 0 else [f"status {status}: {text[-300:]}"]
    if peak > FIT:
        failures.append(f"{peak:.0f} MB, more than {FIT}")
    return Outcome({"images": count, "MB": round(peak)}, failures)


def _drawn(folder, count):
    from fsad import synthetic

    synthetic.write(folder.parent / "drawn", "metal", good=count, defective=1)
    folder.mkdir()
    for part in ("train", "test"):
        for path in (folder.parent / "drawn" / part / "good").iterdir():
            os.link(path, folder / f"{part}_{path.name}")


def _beside(workshop, case):
    """Processes that score the same images at the same time."""
    count = int(case.split()[0])
    with workshop.folder() as folder:
        logs = [open(folder / f"log{k}", "w+b") for k in range(count)]  # noqa: SIM115
        arguments = ("score", workshop.detector, workshop.parts / "test")
        children = [workshop.start(fsad, *arguments, log=log.fileno()) for log in logs]
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        texts = set()
        for log in logs:
            with log:
                log.seek(0)
                texts.add(log.read())
    failures = (
        [] if statuses == [0] * count and len(texts) == 1 else [f"status {statuses}, {len(texts)} different results"]
    )
    return Outcome({"processes": count, "different results": len(texts)}, failures)


def _same(workshop, case):
    """Fits in two processes whose hashes of text, and so whose sets, have another order."""
    with workshop.folder() as folder:
        for seed in "12":
            script = "import sys, pathlib; from experiments.torture import fit; fit(*map(pathlib.Path, sys.argv[1:3]))"
            status, _, text = _measured(
                [sys.executable, "-c", script, workshop.parts, folder / seed],
                PYTHONHASHSEED=seed,
                TF_CPP_MIN_LOG_LEVEL="3",
            )
            if status:
                raise RuntimeError(f"Expected {fit.__name__} to succeed. Received: {status}: {text[-300:]}")
        names = sorted(path.name for path in (folder / "1").iterdir())
        differ = [name for name in names if (folder / "1" / name).read_bytes() != (folder / "2" / name).read_bytes()]
        notes = [
            [line for line in (folder / seed / "detector.json").read_text().splitlines() if '"written"' not in line][
                :-2
            ]
            for seed in "12"
        ]  # without the time, and the hash of what has it
    failures = [f"{name} differs" for name in differ if name != "detector.json"]
    failures += [] if notes[0] == notes[1] else ["detector.json differs in more than the time"]
    return Outcome({"files": len(names), "equal byte for byte but for the time": len(names) - len(failures)}, failures)


ATTACKS = (
    Attack(
        "sameness", "a detector fitted twice to the same images, in processes of other hash seeds",
        "the same bytes but for the time", "reproducible builds", lambda workshop, quick: ["two"], _same, slow=True,
    ),
    Attack(
        "beside", "eight processes that score the same images at once", "the same lines of each", "–",
        lambda workshop, quick: ["3 processes"] if quick else ["8 processes"], _beside,
    ),
    Attack(
        "many", "5,000 and 50,000 images through `fsad score`, and a tenth of them",
        f"at most {FLAT} MB more than for a tenth of them", "–",
        lambda workshop, quick: ["5000 images", "50000 images"], _many, slow=True,
    ),
    Attack(
        "training", "a fit with 2,000 images, by the default backbone that is there",
        f"at most {FIT} MB", "–", lambda workshop, quick: ["2000 images"], _training, slow=True,
    ),
)  # fmt: skip
