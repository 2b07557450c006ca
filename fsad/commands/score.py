"""Prints one line per image as results arrive: path, score, verdict, confidence, error.

An image that cannot be read becomes a line with its error, and the exit status is 1 at the end.
"""

import contextlib
import csv
import json
import sys

from fsad.commands import shared

COLUMNS = ("path", "score", "verdict", "confidence", "error")


def add_arguments(parser):
    shared.add_paths(parser)
    parser.add_argument("--csv", metavar="FILE", help="also write the lines to this file")
    parser.add_argument("--jsonl", metavar="FILE", help="also write them to this file as JSON, one object per line")
    shared.add_scoring(parser)


def run(options):
    from fsad import inputs

    for path in filter(None, (options.csv, options.jsonl)):
        shared.check_output(path)
    samples = inputs.find(options.inputs)
    detector = shared.load_for(samples, options)
    failed, verdicts = 0, []
    with contextlib.ExitStack() as stack:
        files = [sys.stdout, *([stack.enter_context(_partial(options.csv))] if options.csv else [])]
        tables = [csv.writer(file, lineterminator="\n") for file in files]
        objects = stack.enter_context(_partial(options.jsonl)) if options.jsonl else None
        for table in tables:
            table.writerow(COLUMNS)
        for prediction in detector.stream(samples, options.threshold):
            row = _row(prediction)
            for table in tables:
                table.writerow(["" if value is None else value for value in row.values()])
            if objects:
                objects.write(json.dumps(row) + "\n")
            sys.stdout.flush()
            failed += prediction.error is not None
            verdicts.append(prediction.verdict)
    shared.question(verdicts)
    return int(failed > 0)


def _row(prediction):
    """A prediction by `COLUMNS`."""
    values = (prediction.name, prediction.score, prediction.verdict, prediction.confidence, prediction.error)
    rounded = (float(f"{value:.6g}") if isinstance(value, float) else value for value in values)
    return dict(zip(COLUMNS, rounded, strict=True))


@contextlib.contextmanager
def _partial(path):
    """A text file that appears when it is finished; what there is of an unfinished one is kept, and said."""
    from fsad.files import atomic_file

    try:
        with atomic_file(path, "w", keep=True) as file:
            yield file
    except BaseException:
        print(f"Not finished; the lines so far are in {path}.part", file=sys.stderr)
        raise
