"""What the verbs of the ``fsad`` command do."""

import contextlib
import csv
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

MANY = 1000  # pictures from which on it pays to look for a faster runtime than TensorFlow, which takes ten seconds
COLUMNS = ("path", "score", "verdict", "confidence", "error")


def run(verb, words, flags):
    """Runs one verb; returns the exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be text
    logging.basicConfig(format="%(message)s", level=logging.ERROR)  # warnings are printed where they belong
    try:
        return globals()[f"_{verb}"](*([words[0], words[1:]] if verb in ("score", "inspect") else words), flags)
    except KeyboardInterrupt:
        print(f"fsad {verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our lines has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        print(f"fsad {verb}: {error or type(error).__name__}", file=sys.stderr)
        return 2


@contextlib.contextmanager
def _quiet():
    """Keeps back what TensorFlow's libraries print while they load, which no setting of theirs does."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(before, kept.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


def _load(folder):
    with _quiet():
        import fsad

        return fsad.load(folder)


def _hastened(folder, paths, wanted):
    """A detector that scores by the runtime wanted; says which on standard error, unless it is TensorFlow unasked."""
    from fsad import pictures

    detector, count = _load(folder), len(pictures.find(paths))
    if wanted == "tensorflow" or (wanted == "auto" and count < MANY):
        return detector
    with _quiet():
        from fsad.export import runtime

        names = None if wanted == "auto" else [name for name in runtime.RUNTIMES if name.startswith(wanted)]
        chosen = runtime.choose(detector, names)
    print(f"Runtime: {chosen}", file=sys.stderr)
    return detector


def _draw(folder, flags):
    from tqdm import tqdm

    from fsad import synthetic

    if flags.texture not in synthetic.TEXTURES:
        raise ValueError(f"Expected --texture among {', '.join(synthetic.TEXTURES)}. Received: {flags.texture}")
    with tqdm(total=flags.good + 7 * flags.defective, desc="drawing", unit="picture", leave=False) as bar:
        synthetic.write(folder, flags.texture, flags.seed, flags.good, flags.defective, progress=bar.update)
    print(f"Synthetic {flags.texture} in {folder}: {flags.good} good pictures, {flags.defective} of each of 7 defects.")
    return 0


def _fit(flags):
    if (flags.inspect is None) != (flags.report is None):
        raise ValueError("Expected --inspect and --report together. Received: one of them")
    names = ("backbone", "weights", "side", "epochs", "false_alarm_rate", "miss_rate", "max_references", "seed")
    given = {name: getattr(flags, name) for name in names if getattr(flags, name) is not None}
    with _quiet():
        from fsad import pictures, storage
        from fsad.detector import Detector
    storage.replacing(flags.out, "a detector", "detector.json")  # what cannot be written is better known now
    if flags.inspect:
        pictures.find(flags.inspect)
        Path(flags.report).parent.mkdir(parents=True, exist_ok=True)
    detector = Detector(flags.recipe, **given).fit(flags.good, flags.defect)
    detector.save(flags.out)
    print(_description(detector))
    print(f"\nWritten: {flags.out}")
    if flags.report:
        return _report(detector, flags.inspect, flags.report, None)
    return 0


def _score(folder, paths, flags):
    detector = _hastened(folder, paths, flags.runtime)
    failed, verdicts = 0, []
    with contextlib.ExitStack() as stack:
        files = [sys.stdout, *([stack.enter_context(_finished(flags.csv))] if flags.csv else [])]
        tables = [csv.writer(file, lineterminator="\n") for file in files]
        objects = stack.enter_context(_finished(flags.jsonl)) if flags.jsonl else None
        for table in tables:
            table.writerow(COLUMNS)
        for finding in detector.stream(paths, flags.threshold):
            failed += finding.error is not None
            numbers = {
                k: None if finding.error else float(f"{getattr(finding, k):.6g}") for k in ("score", "confidence")
            }
            row = {"path": finding.name, "verdict": finding.verdict, "error": finding.error, **numbers}
            row = {name: row[name] for name in COLUMNS}
            for table in tables:
                table.writerow(["" if value is None else value for value in row.values()])
            if objects:
                objects.write(json.dumps(row) + "\n")
                objects.flush()
            sys.stdout.flush()
            verdicts.append(finding.verdict)
    _doubt(verdicts)
    return int(failed > 0)


def _doubt(verdicts, enough=10):
    judged = [verdict for verdict in verdicts if verdict]
    if len(judged) >= enough and set(judged) == {"defective"}:
        text = (
            f"All {len(judged)} pictures lie above the threshold. Are light, camera and kind of part those of the good"
        )
        print(f"{text} pictures the detector was fitted with?", file=sys.stderr)


@contextlib.contextmanager
def _finished(path):
    """A text file under a temporary name, renamed at the end; if interrupted, what there is stays there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    try:
        with open(unfinished, "w", encoding="utf-8", errors="backslashreplace", newline="", buffering=1) as file:
            yield file
    except BaseException:
        print(f"Not finished; the lines so far are in {unfinished}", file=sys.stderr)
        raise
    os.replace(unfinished, path)


def _inspect(folder, paths, flags):
    return _report(_hastened(folder, paths, flags.runtime), paths, flags.report, flags.threshold)


def _report(detector, paths, path, threshold):
    from tqdm import tqdm

    from fsad import pictures, report

    count = len(pictures.find(paths))
    stream = tqdm(
        detector.stream(paths, threshold, maps=True), total=count, desc="inspecting", unit="picture", leave=False
    )
    title = ", ".join(str(p) for p in paths[:3]) + (", ..." if len(paths) > 3 else "")
    findings = report.write(path, detector, stream, count, title, threshold)
    verdicts = [finding.verdict for finding in findings]
    failed = [finding for finding in findings if finding.error]
    print(
        f"{count} pictures: {verdicts.count('defective')} defective, {verdicts.count('good')} good, "
        f"{len(failed)} not readable"
    )
    for finding in failed[:20]:
        print(f"  {finding.name}: {finding.error}")
    _doubt(verdicts)
    print(f"Written: {path}")
    return int(bool(failed))


def _explain(folder, picture, flags):
    detector = _load(folder)
    from fsad.explain import overlay

    finding = detector.explain(picture, flags.method)
    method = flags.method or detector.methods[0]
    example = {
        "picture": finding.picture,
        "heat": detector.heat(finding, method),
        "title": f"score {finding.score:.4g}, {finding.verdict}, confidence {int(100 * finding.confidence) / 100:.2f}",
        "reference": detector.fitted.thumbnails[finding.nearest],
    }
    label = "patch distance, 0.5 = threshold" if method == "patches" else f"{method}, 1 = 99.5th percentile"
    overlay.save(overlay.panel([example], Path(finding.name).name, top=1.0, label=label), flags.out, dpi=110)
    print(f"{finding.name}: {example['title']}\nWritten: {flags.out}")
    return 0


def _evaluate(folder, data, flags):
    detector = _load(folder)
    from fsad import evaluation

    found = detector.evaluate(data)
    counts = ", ".join(f"{n} {kind}" for kind, n in found["pictures"].items())
    print(
        f"{sum(found['pictures'].values())} pictures of {found['parts']} parts: {counts}; "
        f"{len(found['left_out'])} left out"
    )
    for name in evaluation.NAMES:
        value, (low, high) = found[name], found["intervals"][name]
        print(
            f"{name:<10} "
            + ("not defined" if value is None else f"{value:.3f}   95 % interval {low:.3f} to {high:.3f}")
        )
    called = found["confusion"]
    if 0 in (called["tp"] + called["fp"], called["tn"] + called["fn"]):
        verdict = "defective" if called["tp"] + called["fp"] else "good"
        print(f"Every picture was called {verdict}: intervals of what depends on the threshold say nothing.")
    print("\nAUROC by type: " + ", ".join(f"{kind} {value:.3f}" for kind, value in found["auroc_by_kind"].items()))
    if found["pixel_auroc"] is not None:
        print(f"Pixel AUROC of the maps: {found['pixel_auroc']:.3f}")
    reasons = {}
    for name, reason in found["left_out"]:
        reasons.setdefault(reason, []).append(name)
    for reason, names in sorted(reasons.items()):
        print(f"Left out: {len(names)} ({reason}), such as {names[0]}")
    if flags.json:
        with _finished(flags.json) as file:
            json.dump(found, file, indent=1)
            file.write("\n")
        print(f"Written: {flags.json}")
    return int(any(reason not in evaluation.EXPECTED for reason in reasons))


def _export(folder, flags):
    detector = _load(folder)
    with _quiet():
        from fsad import export

        found = export.export(detector, flags.format, flags.out, flags.pictures, flags.int8)
    print(
        f"Written: {found['path']}\nOn {found['pictures']} {found['checked_on']} its score differs by at most "
        f"{found['largest_difference']:.2g} from the detector's; verdicts changed: {found['verdicts_changed']}"
    )
    return 0


def _check(folder, flags):
    with _quiet():
        from fsad import checks
    found = checks.check(folder)
    print(found.text())
    return int(found.bad)


def _info(folder, flags):
    print(_description(_load(folder)))
    return 0


def _description(detector):
    fitted, threshold = detector.fitted, detector.threshold
    roles = [record["role"] for record in fitted.training]
    lines = [
        f"Recipe      {detector.recipe}, weights {fitted.weights}, pictures at {detector.side} x {detector.side}",
        f"Fitted with {roles.count('good')} good and {roles.count('defective')} defective pictures; "
        f"{len(fitted.thumbnails)} are references",
        f"Threshold   {threshold.value:.4g}: {threshold.how}",
    ]
    for name in ("good", "defective"):
        scores = getattr(threshold, name)
        if scores:
            lines.append(f"Scores      {name}: {scores[0]:.4g} to {scores[-1]:.4g}")
    return "\n".join([*lines, *(f"Note        {text}" for text in fitted.warnings)])
