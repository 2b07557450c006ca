"""Inputs -> shards: what is to be scored, listed once and divided the same way each time."""

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from fsad import inputs
from fsad.files import atomic_file, check_replaceable

# Names with an underscore are passed over by those who read a folder of Parquet files: pandas, Spark, Ray.
LISTING, NOTE = "_inputs.parquet", "_run.json"


class Shard(NamedTuple):
    """``rows`` rows from ``start`` on of a row group of a Parquet file; ``first``: the number of its first image, of
    files that do not number theirs."""

    number: int
    file: str
    group: int
    start: int
    rows: int
    first: int


class Listing(NamedTuple):
    """``shards``, and how many ``images`` they have together."""

    shards: list
    images: int


def make(images, output, shard_size, detector_column, decide):
    """Lists inputs as `fsad.scale.score` takes them, and marks the output folder as that of their run: a `Listing`.

    Paths are written to a Parquet file in ``output``, a row group for each shard; 100 bytes of memory per path. Parquet
    files with bytes stay where they are, and a shard is up to ``shard_size`` rows of one of their row groups.

    Args:
        decide: ``names of detectors -> dict`` of all else that decides the rows of the output; names of those that the
            column gives, sorted.

    Raises:
        FileExistsError: the folder holds something else; ValueError: it is of another run, or a column is missing.
    """
    check_replaceable(output, "a run to go on with", NOTE)
    files = _parquet_files(images)
    if files is None and detector_column:
        raise ValueError(
            f"Expected Parquet files with a column {detector_column}. Received: {_shown(images)}, images themselves"
        )
    if files and _has_bytes(files, detector_column):
        shards, names, digest = _of_bytes(files, shard_size, detector_column)
        table = None
    else:
        table = _read(files, detector_column) if files else _found(images)
        table, names, digest = _ordered(table, detector_column)
        path = (Path(output) / LISTING).resolve()
        firsts = range(0, len(table), shard_size)
        shards = [Shard(k, str(path), k, 0, min(shard_size, len(table) - n), n) for k, n in enumerate(firsts)]
    count = sum(shard.rows for shard in shards)
    _claim(output, {"images": count, "inputs": digest, "shard_size": shard_size, "detector_column": detector_column,
                    **decide(names)})  # fmt: skip
    if table is not None and not path.is_file():
        import pyarrow.parquet as pq

        with atomic_file(path) as file:
            pq.write_table(table, file, row_group_size=shard_size)
    return Listing(shards, count)


def _claim(output, note):
    path = Path(output) / NOTE
    if not path.is_file():
        with atomic_file(path, "w") as file:
            file.write(json.dumps(note, indent=1) + "\n")
        return
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if differing := [name for name in note if note[name] != earlier.get(name)]:
        pairs = [f"{name} {str(earlier.get(name))[:60]}, now {str(note[name])[:60]}" for name in differing]
        raise ValueError(
            f"{output}: expected the run that was begun there, or another folder. Received: a run that differs in "
            + "; ".join(pairs)
        )


def _has_bytes(files, detector_column):
    """Whether Parquet files hold the images; raises ValueError where a column is missing in one of them."""
    import pyarrow.parquet as pq

    columns = [set(pq.read_schema(file).names) for file in files]
    wanted = "bytes" if all("bytes" in names for names in columns) else "path"
    for file, names in zip(files, columns, strict=True):
        for name in filter(None, (wanted, detector_column)):
            if name not in names:
                raise ValueError(f"{file}: expected a column {name}. Received: {', '.join(sorted(names))}")
    return wanted == "bytes"


def _parquet_files(images):
    """The Parquet files among inputs, sorted; None if there are none."""
    items, files = images if isinstance(images, (list, tuple)) else [images], []
    for item in items:
        if isinstance(item, (str, Path)) and (path := Path(item)).is_dir():
            files += sorted(p for p in path.glob("*.parquet") if p.name[0] not in "._")
        elif isinstance(item, (str, Path)) and Path(item).suffix.lower() == ".parquet":
            files.append(Path(item))
        else:
            files.append(None)
    if None in files and any(files):
        raise ValueError(f"Expected images or Parquet files. Received both: {_shown(images)}")
    files = [str(file.resolve(strict=True)) for file in files if file]
    return files or None


def _shown(images):
    return ", ".join(map(str, images[:3])) if isinstance(images, (list, tuple)) else str(images)


def _found(images):
    """A table of the paths of inputs, as given."""
    import pyarrow as pa

    samples = inputs.find(images)
    if odd := [sample.name for sample in samples if sample.path is None]:
        raise ValueError(f"Expected paths, which every node can read. Received: {odd[0]}")
    return pa.table({"path": pa.array([os.fsencode(sample.path) for sample in samples], pa.binary())})


def _read(files, detector_column):
    """A table of the paths in Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for file in files:
        table = pq.read_table(file, columns=["path", *filter(None, [detector_column])])
        columns = {"path": table["path"].cast(pa.binary())}
        if detector_column:
            columns[detector_column] = table[detector_column].cast(pa.string())
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _ordered(table, detector_column):
    """``(table, names, digest)``: the table with its rows numbered, then sorted by detector; see `make`."""
    import pyarrow as pa

    table, names = table.append_column("row", pa.array(range(len(table)), pa.int64())), ()
    if detector_column:
        table = table.sort_by(detector_column)  # stable
        names = _distinct([table[detector_column]])
    digest = hashlib.sha256()
    for batch in table.to_batches(1000):
        for row in batch.to_pylist():
            digest.update(repr(list(row.values())).encode())
    return table, names, digest.hexdigest()


def _of_bytes(files, shard_size, detector_column):
    """``(shards, names, digest)`` of Parquet files that hold the images; see `make`."""
    import pyarrow.parquet as pq

    shards, first, digest = [], 0, hashlib.sha256()
    for file in files:
        digest.update(_footer(file))
        metadata = pq.read_metadata(file)
        for group in range(metadata.num_row_groups):
            total = metadata.row_group(group).num_rows
            for start in range(0, total, shard_size):
                rows = min(shard_size, total - start)
                shards.append(Shard(len(shards), file, group, start, rows, first))
                first += rows
    columns = (pq.read_table(file, columns=[detector_column])[detector_column] for file in files)
    return shards, _distinct(columns) if detector_column else (), digest.hexdigest()


def _distinct(columns):
    names = set()
    for column in columns:
        names.update(column.unique().to_pylist())
    return tuple(sorted(map(str, names - {None})))


def _footer(file):
    """The footer of a Parquet file, which has place, size and extremes of all its columns: in place of its content,
    which may be terabytes."""
    with open(file, "rb") as opened:
        opened.seek(-8, os.SEEK_END)
        length = int.from_bytes(opened.read(4), "little")
        opened.seek(-8 - length, os.SEEK_END)
        return opened.read(length)
