"""One shard: read, scored by the detectors that its rows name, written whole. Knows no Ray."""

import dataclasses
import functools
import io
import json
import math
import os
from pathlib import Path

from fsad.files import FsadError, atomic_file, sha256
from fsad.images import decode_image, size_of
from fsad.inputs import Sample

FORMATS = ("parquet", "jsonl")
CHUNK = 64  # rows with the bytes of images that are held at a time
DETECTORS = 4  # that an actor holds at a time
MAX_STARTS = 5  # of a shard: an image that kills its process must not do so for ever
STARTS = ".shard-{}-starts"  # a file with a byte for each start of a shard that is not finished


@dataclasses.dataclass(frozen=True)
class Job:
    """What all shards of a run have in common: arguments of `fsad.scale.score`; ``root``: the folder that relative
    paths start from."""

    output: str
    detector: str
    detector_column: str | None
    format: str
    threads: int
    threshold: float | None
    root: str

    def path(self, number):
        """The file of a shard."""
        return Path(self.output, f"shard-{number:06d}.{self.format}")


@dataclasses.dataclass(frozen=True)
class Encoded(Sample):
    """An image whose file is in memory; ``source`` only names it."""

    data: bytes | None = dataclasses.field(default=None, repr=False)

    def size(self):
        return size_of(io.BytesIO(self.data or b""))

    def read(self):
        return decode_image(self.data, self.name)


def check(format, threshold=None, **counts):
    """Raises ValueError for arguments of `fsad.scale.score` that are out of range."""
    if format not in FORMATS:
        raise ValueError(f"Expected format to be one of {', '.join(FORMATS)}. Received: {format!r}")
    for name, count in counts.items():
        if count is not None and (count != int(count) or count < 1):
            raise ValueError(f"Expected {name} to be a whole number of at least 1. Received: {count}")
    if threshold is not None and not math.isfinite(threshold):
        raise ValueError(f"Expected a finite threshold. Received: {threshold}")


def decides(job, names):
    """What decides the rows of a run beside its inputs: format, threshold, and digests of the detectors of ``names``.

    Raises:
        ValueError: none of the named detectors is there.
    """
    folders = {"": job.detector}
    if job.detector_column:
        folders = {name: Path(job.detector, name) for name in names if _is_name(name)}
    notes = {name: Path(folder, "detector.json") for name, folder in folders.items()}
    digests = {name: sha256(note) for name, note in notes.items() if note.is_file()}
    if names and not digests:
        raise ValueError(
            f"{job.detector}: expected folders of saved detectors, named as in the column {job.detector_column}: "
            f"{', '.join(names[:5])}. Received: none of them"
        )
    return {"format": job.format, "threshold": job.threshold, "detectors": digests}


def _is_name(name):
    """Whether a value of a column is the name of a folder, and of none outside of the one it is looked up in."""
    return Path(name).name == name and name not in ("", "..") and "\0" not in name


class Actor:
    """What scores shards, in a process of its own; ``job``: a `Job`."""

    def __init__(self, job):
        # Read by `fsad.export.session`, and by TensorFlow for detectors without a graph. The threads that read images
        # ahead are not counted: they wait while enough images are ready.
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            os.environ[name] = str(job.threads)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import cv2

        cv2.setNumThreads(job.threads)
        self.job, self.detector_of = job, loader(job)

    def __call__(self, shard):
        """Scores and writes a shard, a dict of the fields of `fsad.scale.listing.Shard`."""
        starts = Path(self.job.output, STARTS.format(f"{shard['number']:06d}"))
        with open(starts, "ab") as file:
            if file.tell() >= MAX_STARTS:
                raise RuntimeError(f"shard {shard['number']}: the process that scored it died {MAX_STARTS} times")
            file.write(b".")
        rows = score_rows(self.job, read(shard, self.job.detector_column), self.detector_of)
        write(self.job.path(shard["number"]), rows, self.job.format)
        starts.unlink(missing_ok=True)
        return {"images": len(rows), "errors": sum(row["error"] is not None for row in rows)}


def loader(job):
    """A function that loads a detector by its name, and holds the latest few."""
    import fsad

    @functools.lru_cache(DETECTORS)
    def detector_of(name):
        if not job.detector_column:
            return fsad.load(job.detector)
        if not name or not _is_name(name):
            raise FsadError(f"expected the name of a detector. Received: {name!r}")
        return fsad.load(Path(job.detector, name))

    return detector_of


def read(shard, detector_column=None):
    """Yields lists of rows of a shard, dicts with ``row``, ``path``, ``detector`` and, where the file has
    them, ``bytes``.

    Paths come in one list; of images that are in the file itself no more than `CHUNK` are held at a time.
    """
    import pyarrow.parquet as pq

    start, stop, seen = shard["start"], shard["start"] + shard["rows"], 0
    # A row group may be larger than memory: pages are read as they are needed.
    with pq.ParquetFile(shard["file"], memory_map=True, pre_buffer=False) as file:
        there = file.schema_arrow.names
        encoded = "bytes" in there
        columns = ["path", "bytes" if encoded else "row", *filter(None, [detector_column])]
        columns = [name for name in columns if name in there]
        for batch in file.iter_batches(CHUNK if encoded else shard["rows"], [shard["group"]], columns=columns):
            low, high = max(start - seen, 0), min(stop - seen, len(batch))
            rows = batch.slice(low, high - low).to_pylist() if low < high else []
            for k, row in enumerate(rows, shard["first"] + seen + low - start):
                row.setdefault("row", k)
                row["detector"] = row.pop(detector_column) if detector_column else None
            if rows:
                yield rows
            seen += len(batch)
            if seen >= stop:
                return


def score_rows(job, chunks, detector_of):
    """The rows of the output, a list of dicts, in the order of the rows in ``chunks``, as `read` yields them."""
    out = []
    for chunk in chunks:
        results, by_detector = [None] * len(chunk), {}
        for k, row in enumerate(chunk):
            by_detector.setdefault(row["detector"], []).append(k)
        for name, places in by_detector.items():
            for k, values in zip(places, _scored(job, [chunk[k] for k in places], name, detector_of), strict=True):
                own = {"detector": name} if job.detector_column else {}
                results[k] = {"row": chunk[k]["row"], "path": _text(_path(chunk[k])), **own, **values}
        out += results
    return out


def _scored(job, rows, name, detector_of):
    """Yields score, verdict, confidence and error of rows of one detector; one that cannot be had is their error."""
    try:
        detector = detector_of(name)
    except FsadError as error:
        yield from ({"score": None, "verdict": None, "confidence": None, "error": str(error)} for _ in rows)
        return
    for p in detector.stream([_sample(job, row) for row in rows], job.threshold):
        error = None if p.error is None else _text(p.error)
        yield {"score": p.score, "verdict": p.verdict, "confidence": p.confidence, "error": error}


def _path(row):
    return os.fsdecode(row.get("path") or f"row {row['row']}")


def _sample(job, row):
    if "bytes" in row:
        return Encoded(Path(_path(row)), data=row["bytes"])
    return Sample(Path(job.root, _path(row)))


def _text(text):
    """Text that UTF-8 can hold: file names need not be."""
    return text.encode("utf-8", "backslashreplace").decode()


def write(path, rows, format):
    """Writes rows as Parquet or as JSON, one object per line; the file appears whole or not at all."""
    if format == "jsonl":
        with atomic_file(path, "w") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"row": pa.int64(), "score": pa.float64(), "confidence": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0]])
    with atomic_file(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema), file)
