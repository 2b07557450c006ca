"""Scores images by the million on Ray: on the cores of this machine, or on a cluster.

The images are listed once and divided into shards (`fsad.scale.listing`). An actor holds the graph of the detector,
reads and scores one shard after the other, writes the file of each, and hands back two numbers. Images never travel
between processes, so the memory of driver, actors and object store does not grow with their number. The file of a
shard appears whole or not at all, and its rows depend on nothing but the shard (`fsad.scale.shards`): what an actor had
under way when it was killed is done again by another, what is finished is not, and no row is lost or doubled.

Paths, detectors and the output are on storage that every node has under the same name. Importing this starts no Ray.
"""

import contextlib
import functools
import logging
import os
import secrets
import sys
from pathlib import Path
from typing import NamedTuple

import fsad
from fsad.files import FsadError
from fsad.scale import listing, shards

SHARD_SIZE = 1000  # images: minutes of work for a core, which is what a killed actor loses at most
MAX_BLOCKS = 10_000  # of Ray Data, each an object with its owner's bookkeeping
STORE = 100_000_000  # bytes of Ray's object store on this machine, which holds shard numbers and counts only


class Summary(NamedTuple):
    """``images``: rows of the output; ``scored``: those of them that this call scored; ``errors``: of these, those
    without a score."""

    images: int
    scored: int
    errors: int


def score(
    images,
    detector,
    output,
    *,
    detector_column: str | None = None,
    address: str = "local",
    format: str = "parquet",
    shard_size: int = SHARD_SIZE,
    actors: int | None = None,
    threads: int = 1,
    threshold: float | None = None,
    progress: bool = True,
) -> Summary:
    """Scores images on Ray into a folder of shards; called again after an interrupt, it does what is missing.

    Each row of the output has ``row``, the number of the image among the inputs, ``path``, ``detector`` where a column
    names it, ``score``, ``verdict``, ``confidence``, and ``error``, why there is no score. Scores are those of
    `fsad.Detector.stream`. Rows of a shard are in the order of the inputs; with a detector column, paths are sorted by
    it first, so that an actor changes its detector seldom.

    Args:
        images: folders, patterns or paths (`fsad.inputs.find`); or Parquet files, or a folder of them, with a column
            ``path``, or ``bytes`` of encoded images beside a ``path`` that only names them, as
            ``ray.data.read_binary_files(include_paths=True)`` gives. A Parquet of bytes is read where it is.
        detector: folder of a saved detector; with ``detector_column``, a folder of several.
        output: folder, new or of the same run.
        detector_column: the column of the Parquet files that names the detector of each image, such as the product.
        address: ``"local"`` starts Ray on this machine for the time of the call; else that of a cluster, as `ray.init`
            takes it. Where Ray is initialized already, that cluster is used.
        format: ``"parquet"`` or ``"jsonl"``.
        shard_size: images of a shard.
        actors: how many at most; as many as the cluster has cores for if None.
        threads: cores of each actor.
        threshold: in place of the detectors' own.
        progress: show a bar.

    Raises:
        FileExistsError: the output holds something else.
        ValueError: the output is of another run; a column is missing; no detector that the column names is there.
        FsadError: the detector cannot be loaded, or some shards failed; the others are written.
    """
    shards.check(format, shard_size=shard_size, threads=threads, actors=actors, threshold=threshold)
    if detector_column is None:
        fsad.load(detector)  # a damaged one is said now
    job = shards.Job(
        output=str(Path(output).resolve()),
        detector=str(Path(detector).resolve()),
        detector_column=detector_column,
        format=format,
        threads=threads,
        threshold=threshold,
        root=os.getcwd(),
    )
    listed = listing.make(images, output, shard_size, detector_column, functools.partial(shards.decides, job))
    for marker in Path(output).glob(shards.STARTS.format("*")):  # of a run before
        marker.unlink()
    missing = [shard for shard in listed.shards if not job.path(shard.number).is_file()]
    scored, errors = _run(job, missing, address, actors, progress) if missing else (0, 0)
    if failed := [shard.number for shard in missing if not job.path(shard.number).is_file()]:
        raise FsadError(
            f"{output}: {len(failed)} of {len(listed.shards)} shards could not be scored, the first is number "
            f"{failed[0]}; the log above says why, and the same call tries these again"
        )
    return Summary(listed.images, scored, errors)


def _run(job, missing, address, actors, progress):
    """Scores shards on Ray; returns how many images, and how many of them have an error."""
    from tqdm import tqdm

    with cluster(address), _errors_only():
        import ray

        most = actors or max(1, int(ray.cluster_resources().get("CPU", 1)) // job.threads)
        most = min(most, len(missing))
        rows = [shard._asdict() for shard in missing]
        dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))
        context = dataset.context
        context.enable_progress_bars = context.print_on_execution_start = False
        context.max_errored_blocks = -1  # the other shards go on; `score` names those that failed
        done = dataset.map(
            shards.Actor,
            fn_constructor_args=(job,),
            # The pool grows to what the cluster has room for, and shrinks with the nodes it loses. Ray Data
            # starts actors and tasks again without end, as it must: while a node is lost, attempts fail in seconds.
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
            num_cpus=job.threads,
        )
        scored = errors = 0
        with tqdm(total=sum(shard.rows for shard in missing), unit="image", disable=not progress) as bar:
            for row in done.iter_rows():
                scored, errors = scored + row["images"], errors + row["errors"]
                bar.update(row["images"])
                bar.set_postfix(errors=errors, refresh=False)
        return scored, errors


@contextlib.contextmanager
def _errors_only():
    """Ray Data says no more than errors; the bar is ours."""
    import ray.data  # noqa: F401  # which sets its own level

    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def cluster(address, **options):
    """Ray for the time of a block: the one that is initialized already, or the cluster of an address, or, for
    ``"local"``, one of this machine alone with a token of its own, which reports no usage. ``options``: of `ray.init`.
    """
    local = address == "local"
    if local:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if "RAY_AUTH_MODE" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into the home folder
            if "ray" not in sys.modules:  # which reads the mode once; `ray.init` turns it on otherwise, with a warning
                os.environ["RAY_AUTH_MODE"] = "token"
    import ray

    if ray.is_initialized():
        yield
        return
    if local:
        options = {"include_dashboard": False, "object_store_memory": STORE, **options}
    ray.init(address, log_to_driver=False, logging_level="warning", **options)
    try:
        yield
    finally:
        ray.shutdown()
