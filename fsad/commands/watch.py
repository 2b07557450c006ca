"""Scores new images in a folder as they come, until it is interrupted; one JSON line for each.

A file is scored once it is complete, and once only: started again, fsad goes on where it stopped.
"""

import json
import sys
import time
from pathlib import Path

from fsad.commands import arguments, shared

VERDICTS = ("good", "defective", "unsure", "unreadable")


def add_arguments(parser):
    add = parser.add_argument
    add("detector", metavar="DETECTOR", help="folder of a saved detector")
    add("folder", metavar="FOLDER", help="the folder that images come into; its subfolders too")
    add("--jsonl", required=True, metavar="FILE", help="file to append the lines to; it says what is done, too")
    add(
        "--move",
        metavar="VERDICT,...",
        default="",
        help="move images of these verdicts, of good, defective, unsure and unreadable, into folders of these names in "
        "FOLDER",
    )
    add("--webhook", metavar="URL", help="also post each line to this address, again until it is taken")
    add("--every", type=float, default=1.0, metavar="S", help="seconds between two looks at the folder (default: 1)")
    add("--until_idle", type=float, metavar="S", help="stop once no image has come for so many seconds")
    arguments.add_scoring(parser)


def run(options):
    folder, moved = Path(options.folder), [name for name in options.move.split(",") if name]
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder to watch. Received: no such folder")
    if unknown := [name for name in moved if name not in VERDICTS]:
        raise ValueError(f"Expected --move among {', '.join(VERDICTS)}. Received: {unknown[0]}")
    if options.webhook and not options.webhook.startswith(("http://", "https://")):
        raise ValueError(f"Expected --webhook to be an http address. Received: {options.webhook}")
    shared.check_output(options.jsonl)
    from fsad import inputs, watching

    # What is done is told at once; so is a damaged file of results.
    watched = watching.Folder(folder, options.jsonl, leave_out=moved)
    webhook = watching.Webhook(options.webhook, options.jsonl) if options.webhook else None
    detector = shared.load_for([], options)
    from fsad import drift

    monitor, last = drift.monitor_of(detector.fitted), time.monotonic()
    for row in watched.left():
        if watching.destination(row) in moved:
            watched.move(row)
    print(f"Watching {folder}; {len(watched.done)} images are done. Ctrl-C stops.", file=sys.stderr)
    try:
        while True:
            marks = watched.ready()
            samples = [inputs.Sample(folder / mark.name) for mark in marks]
            for mark, prediction in zip(marks, detector.stream(samples, options.threshold), strict=True):
                if prediction.error and watched.waited(mark) < watching.PATIENCE:
                    continue  # perhaps not whole yet
                last = time.monotonic()
                row = watched.finish(mark, shared.row_of(prediction, monitor))
                print(json.dumps(row), flush=True)
                if watching.destination(row) in moved:
                    watched.move(row)
            if webhook:
                try:
                    webhook.deliver()
                except watching.DeliveryError as error:
                    print(error, file=sys.stderr)
            if watched.arrived:  # to look at a large folder alone takes seconds
                last = time.monotonic()
            if options.until_idle is not None and time.monotonic() - last > options.until_idle:
                break
            time.sleep(options.every)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    return shared.drifted(monitor, options.strict)
