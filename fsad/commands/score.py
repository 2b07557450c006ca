"""Prints one line per image as results arrive: path, score, verdict, confidence, error, drift.

An image that cannot be read becomes a line with its error, and the exit status is 1 at the end. The column drift says
how the latest images differ from those of the fit: darker, less sharp, redder, scores; with --strict the exit status is
3 then.

For millions of images --ray scores on the cores of this machine or of a cluster, into a folder of shards; the same
command goes on after an interrupt.
"""

import contextlib
import csv
import json
import os
import sys
from pathlib import Path

from fsad.commands import arguments, shared

MORE = ("regions", "area", "box")  # with regions: how many, pixels of all, left top width height of the first


def add_arguments(parser):
    arguments.add_paths(parser)
    parser.add_argument("--csv", metavar="FILE", help="also write the lines to this file")
    parser.add_argument("--jsonl", metavar="FILE", help="also write them to this file as JSON, one object per line")
    parser.add_argument(
        "--regions", action="store_true", help="add the defective regions: three columns, and all of them in --jsonl"
    )
    parser.add_argument("--min_area", type=int, default=0, metavar="N", help="leave out regions of fewer pixels")
    parser.add_argument("--coco", metavar="FILE", help="write the regions to this file in the style of COCO")
    parser.add_argument("--maps", metavar="FOLDER", help="write anomaly maps at full size, 16-bit PNG, to this folder")
    arguments.add_scoring(parser)
    add_ray(parser.add_argument_group("bulk scoring", "docs/scale.md; not with the files above, --strict or --runtime"))


def add_ray(group):
    group.add_argument("--ray", metavar="ADDRESS", help="score on Ray: local, or the address of a cluster")
    group.add_argument("--out", metavar="FOLDER", help="folder of the shards, new or of the same run")
    group.add_argument("--format", choices=["parquet", "jsonl"], help="of the shards (default: parquet)")
    group.add_argument("--shard_size", type=arguments.positive, metavar="N", help="images of a shard (default: 1000)")
    group.add_argument("--actors", type=arguments.positive, metavar="N", help="processes at most (default: all cores)")
    group.add_argument("--threads", type=arguments.positive, metavar="N", help="cores of each process (default: 1)")
    group.add_argument(
        "--detector_column",
        metavar="NAME",
        help="the column of Parquet inputs that names the detector of each image, a folder below DETECTOR",
    )


BULK = ("out", "format", "shard_size", "actors", "threads", "detector_column")
ONE_PROCESS = ("csv", "jsonl", "regions", "coco", "maps", "strict")  # with the lines, in the order of the images


def run(options):
    if options.ray:
        return _on_ray(options)
    for name in BULK:
        if getattr(options, name) is not None:
            raise ValueError(f"Expected --ray with --{name}. Received: --{name} alone")
    from fsad import inputs

    for path in filter(None, (options.csv, options.jsonl, options.coco)):
        shared.check_output(path)
    if options.maps:
        shared.check_output(Path(options.maps) / "map.png")
    samples = inputs.find(options.inputs)
    detector = shared.load_for(samples, options)
    from fsad import drift, regions

    details = bool(options.regions or options.coco or options.maps)
    if details and detector.fitted.map_limit is None:
        raise ValueError(
            f"Expected a detector whose anomaly maps have a scale, of the recipe patches, for regions and maps. "
            f"Received: the recipe {detector.recipe}"
        )
    failed, verdicts, coco, monitor = 0, [], regions.Coco(), drift.monitor_of(detector.fitted)
    columns = (*shared.COLUMNS, *(MORE if options.regions else ()))
    with contextlib.ExitStack() as stack:
        files = [sys.stdout, *([stack.enter_context(_partial(options.csv))] if options.csv else [])]
        tables = [csv.writer(file, lineterminator="\n") for file in files]
        objects = stack.enter_context(_partial(options.jsonl)) if options.jsonl else None
        for table in tables:
            table.writerow(columns)
        for prediction in detector.stream(samples, options.threshold, details):
            row = shared.row_of(prediction, monitor)
            chosen = [region for region in prediction.regions or () if region.area >= options.min_area]
            more = {"regions": [regions.as_json(region) for region in chosen]} if options.regions else {}
            for table in tables:
                values = [*row.values(), *(_summary(prediction, chosen) if options.regions else ())]
                table.writerow(["" if value is None else value for value in values])
            if objects:
                objects.write(json.dumps({**row, **more}) + "\n")
            if prediction.image is not None:
                size = prediction.image.shape[:2]
                coco.add(prediction.name, size, chosen)
                if options.maps:
                    _write_map(options.maps, detector, prediction)
            sys.stdout.flush()
            failed += prediction.error is not None
            verdicts.append(prediction.verdict)
    if options.coco:
        coco.write(options.coco)
    shared.question(verdicts)
    return shared.drifted(monitor, options.strict) or int(failed > 0)


def _on_ray(options):
    """Scores into a folder of shards; returns the exit status."""
    if not options.out:
        raise ValueError("Expected --out, the folder of the shards, with --ray. Received: none")
    others = [name for name in ONE_PROCESS if getattr(options, name)]
    if others or options.runtime != "auto":
        raise ValueError(f"Expected no --{(*others, 'runtime')[0]} with --ray. Received: both")
    from fsad import scale

    given = {name: getattr(options, name) for name in BULK[1:] if getattr(options, name) is not None}
    summary = scale.score(
        options.inputs, options.detector, options.out, address=options.ray, threshold=options.threshold, **given
    )
    print(f"Written: {options.out}: {summary.images} images, {summary.scored} of them now, {summary.errors} of these "
          "without a score")  # fmt: skip
    return int(summary.errors > 0)


def _summary(prediction, regions):
    """The values of `MORE`."""
    if prediction.error:
        return None, None, None
    box = " ".join(map(str, regions[0].box)) if regions else None
    return len(regions), sum(region.area for region in regions), box


def _write_map(folder, detector, prediction):
    """Below the folder by the path of the image, since names repeat from folder to folder."""
    from fsad import regions

    source = prediction.sample.path
    parts = [part for part in source.parts if part not in (source.anchor, "..")]
    path = Path(folder, *parts[:-1], f"{source.name}.png")
    regions.write_map(path, prediction.anomaly_map, prediction.image.shape[:2], detector.fitted.map_range)


@contextlib.contextmanager
def _partial(path):
    """A text file that appears when it is finished; what there is of an unfinished one is kept, and said."""
    from fsad.files import atomic_file

    try:
        with atomic_file(path, "w", keep=True) as file:
            yield file
    except BaseException:
        path = os.path.realpath(path) if Path(path).is_symlink() else path
        print(f"Not finished; the lines so far are in {path}.part", file=sys.stderr)
        raise
