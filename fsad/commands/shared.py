"""What several verbs need: a detector, its runtime, and their closing lines."""

import contextlib
import gc
import os
import sys
import tempfile
from pathlib import Path

from fsad.commands.arguments import PATHS

MANY = 1000  # images from which on it pays to look for the fastest runtime, which takes some seconds
COLUMNS = ("path", "score", "verdict", "confidence", "error", "drift")  # of a prediction


@contextlib.contextmanager
def quiet():
    """Silences TensorFlow's start-up logs, which no setting of its own does."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(before, log.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


def save(detector, folder):
    """Saves a detector; says so, and whether it needs TensorFlow to score. Returns it as loaded, which scores as it
    will wherever it is used."""
    print(f"Saving {folder}", file=sys.stderr)
    with quiet():
        path = detector.save(folder)
    from fsad.storage import GRAPH

    if not (path / GRAPH).is_file():
        print("Note        No graph could be saved with it: scoring needs TensorFlow.")
    print(f"\nWritten: {folder}")
    return load(path)


def start_tensorflow():
    """Imports what trains and embeds, which logs as it starts."""
    if "fsad.fitting" in sys.modules:
        return
    gc.disable()  # what an import makes stays: to look through it again and again takes a fifth of the time
    try:
        with quiet():
            import fsad.fitting
            import fsad.training  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


def find(paths):
    """`fsad.inputs.find`, where a named path that does not exist is a mistake, told before TensorFlow is started."""
    from fsad import inputs

    samples = inputs.find(paths)
    for sample in samples:
        if not (sample.path.exists() or sample.path.is_symlink()):  # reading a broken link says so
            raise FileNotFoundError(f"{sample.path}: expected {PATHS}. Received: no such file or folder")
    return samples


def load(folder):
    """A saved detector; loading one starts no TensorFlow."""
    import fsad

    return fsad.load(folder)


def load_for(samples, options):
    """The detector of a verb that scores, with the runtime asked for; says which."""
    detector, asked = load(options.detector), options.runtime
    if asked == "auto" and len(samples) < MANY:
        with quiet():
            name = detector.runtime
        print(f"Runtime: {name}", file=sys.stderr)
        return detector
    with quiet():
        from fsad.export import runtime

        choice = runtime.choose(detector, None if asked == "auto" else [asked.replace("-", " ")])
    print(f"Runtime: {choice}", file=sys.stderr)
    return detector.with_runtime(choice)


def check_output(path):
    """Raises an error that names the path, unless a file could be written there."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected a file to write. Received: a folder")
    for folder in path.absolute().parents:
        if folder.exists():
            if not folder.is_dir():
                raise NotADirectoryError(f"{path}: expected a folder to write to. Received: {folder}, a file")
            if not os.access(folder, os.W_OK):
                raise PermissionError(f"{path}: no permission to write to {folder}")
            return


def question(verdicts, enough=10):
    """A doubt about a batch without a single good image."""
    scored = [verdict for verdict in verdicts if verdict]
    if len(scored) >= enough and set(scored) == {"defective"}:
        print(
            f"All {len(scored)} images were classified as defective. Check that lighting, camera and part match the "
            "reference images.",
            file=sys.stderr,
        )


def drifted(monitor, strict):
    """Says what has changed since the fit; returns the exit status 3 if it has and that is asked for, else 0."""
    sentences = monitor.sentences()
    for text in sentences:
        print(text, file=sys.stderr)
    return 3 if sentences and strict else 0


def report(detector, samples, path, title, threshold=None, strict=False):
    """Scores the samples and writes the HTML report; returns the exit status."""
    from tqdm import tqdm

    import fsad.drift
    import fsad.report

    stream = detector.stream(samples, threshold, details=True)
    stream = tqdm(stream, total=len(samples), desc="inspecting", unit="image", leave=False)
    monitor = fsad.drift.monitor_of(detector.fitted)
    predictions = fsad.report.write(path, detector, stream, len(samples), title, threshold, monitor)
    verdicts = [p.verdict for p in predictions]
    failed = [p for p in predictions if p.error]
    names = ("defective", *(["unsure"] if "unsure" in verdicts else []), "good")
    counts = ", ".join(f"{verdicts.count(name)} {name}" for name in names)
    print(f"{len(samples)} images: {counts}, {len(failed)} unreadable")
    for p in failed[:20]:
        print(f"  {p.name}: {p.error}")
    question(verdicts)
    status = drifted(monitor, strict)
    print(f"Written: {path}")
    return status or int(bool(failed))


def row_of(prediction, monitor):
    """A prediction by `COLUMNS`, once the monitor has seen it."""
    changed = None if prediction.error else "; ".join(monitor.see(prediction)) or None
    name, error = printable(prediction.name), prediction.error and printable(prediction.error)
    values = (name, prediction.score, prediction.verdict, prediction.confidence, error, changed)
    rounded = (float(f"{value:.6g}") if isinstance(value, float) else value for value in values)
    return dict(zip(COLUMNS, rounded, strict=True))


def printable(text):
    """Text that breaks no line, steers no terminal and is no formula to a spreadsheet: control characters are written
    as escapes, and a path that begins as a formula does begins with ``./``."""
    text = "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else f"\\x{ord(c):02x}" for c in text)
    return f".{os.sep}{text}" if text.startswith(("=", "+", "-", "@")) else text


def title_of(paths):
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")


def description(detector):
    """A detector in lines: recipe, images it was fitted with, threshold, notes."""
    fitted, threshold = detector.fitted, detector.threshold
    roles, (height, width) = [record["role"] for record in fitted.training], detector.size
    backbone = fitted.settings.get("backbone")
    named = f"{backbone}, " if isinstance(backbone, str) else ""
    lines = [
        f"Recipe      {detector.recipe}, {named}weights {fitted.weights}, images at {width} x {height}",
        f"Fitted with {roles.count('good')} good and {roles.count('defective')} defective images; "
        f"{len(fitted.thumbnails)} are references",
    ]
    own = [text for text in fitted.warnings if text not in threshold.warnings]
    return "\n".join([*lines, threshold_text(threshold), *(f"Note        {text}" for text in own)])


def threshold_text(threshold):
    """A threshold in lines: its value, how it was set, what it does to the held-out scores, notes."""
    lines = [f"Threshold   {threshold.value:.4g}: {threshold.how}"]
    if threshold.unsure:
        lines.append("Unsure      {:.4g} to {:.4g}".format(*threshold.unsure))
    for name in ("good", "defective"):
        if scores := getattr(threshold, name):
            above = sum(score > threshold.value for score in scores)
            lines.append(f"Scores      {name}: {scores[0]:.4g} to {scores[-1]:.4g}, {above} of {len(scores)} above")
    return "\n".join([*lines, *(f"Note        {text}" for text in threshold.warnings)])
