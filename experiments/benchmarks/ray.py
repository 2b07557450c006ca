"""Bulk scoring on Ray: speed and memory beside one process, what a lost node costs, and many cores on paper.

    python -m experiments.benchmarks.ray                    # 20,000 images; an hour on two cores
    python -m experiments.benchmarks.ray --images=600       # minutes

What you will see: results/benchmark_ray.md. Images are synthetic. Expected: Ray with as many actors as cores is as fast
as one process with all cores, and neither driver nor actors grow with the number of images; after a node is lost the
rows are exact. The lines for 10 cores and more are arithmetic from the measured processor time of an image, a price and
a bandwidth that are flags, and call themselves so.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
from absl import flags

from experiments import memory
from experiments.benchmarks import race
from experiments.benchmarks.ray_page import page
from fsad.files import atomic_file

# The others are imported where they are needed: the processes that are measured hold no TensorFlow.
FLAGS = flags.FLAGS
HANDED_OUT = 400  # shards without an image, by which the driver is timed
SAMPLED = 0.2  # seconds between looks at the actors


def one_process(detector, paths):
    """Scores paths in this process, a dict of figures and the ``scores``."""
    import fsad

    detector = fsad.load(detector)
    detector.score(paths[:8])
    memory.forget_peak()
    begun, processor = time.perf_counter(), time.process_time()
    scores = [p.score for p in detector.stream(paths)]
    return {
        "seconds": time.perf_counter() - begun,
        "processor": (time.process_time() - processor) / len(paths),
        "driver": memory.peak(),
        "scores": scores,
    }


def actors(detector, paths, output, number, shard_size):
    """Scores paths by actors of a Ray of this machine, a dict of figures."""
    from fsad import scale

    begun = time.perf_counter()
    with scale.cluster("local", num_cpus=number):
        started = time.perf_counter() - begun
        memory.forget_peak()
        begun = time.perf_counter()
        with watched(output) as seen:
            scale.score(paths, detector, output, actors=number, shard_size=shard_size, progress=False)
        seconds = time.perf_counter() - begun
    after = len(paths) - shard_size  # images after the first shard
    return {
        "start": started,
        "seconds": seconds,
        "running": running(output),
        "processor": sum(figures["processor"] - figures["before"] for figures in seen.values()) / after,
        "driver": memory.peak(),
        "actor": max(figures["megabytes"] for figures in seen.values()),
        **exact(output),
    }


@contextlib.contextmanager
def watched(output):
    """Process id -> ``processor`` seconds of each actor of this process's Ray, those ``before`` the first shard was
    written, and the most ``megabytes``."""
    import psutil

    seen, done = {}, threading.Event()

    def look():
        while not done.wait(SAMPLED):
            begun = any(Path(output).glob("shard-*"))
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    if "MapWorker" in " ".join(process.cmdline()):
                        own = seen.setdefault(process.pid, {"megabytes": 0, "before": 0})
                        times = process.cpu_times()
                        own["processor"] = times.user + times.system
                        own["megabytes"] = max(own["megabytes"], process.memory_info().rss / 1e6)
                        if not begun:
                            own["before"] = own["processor"]

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def running(output):
    """Images per second between the first and the last shard that was written, without the start of the actors."""
    import pyarrow.parquet as pq

    ends = sorted((path.stat().st_mtime, pq.read_metadata(path).num_rows) for path in Path(output).glob("shard-*"))
    between = ends[-1][0] - ends[0][0]
    return sum(rows for _, rows in ends[1:]) / between if between else float("nan")


def exact(output):
    """``rows`` of an output, how many of them are ``distinct``, and its ``scores`` in the order of the inputs."""
    import pyarrow.parquet as pq

    table = pd.concat([pq.read_table(path).to_pandas() for path in sorted(Path(output).glob("shard-*"))])
    scores = table.sort_values("row")["score"].tolist()
    return {"rows": len(table), "distinct": table["row"].nunique(), "scores": scores}


def lost_node(detector, paths, output, shard_size):
    """Scores on three nodes of this machine, of which one is lost after the first shard."""
    from fsad import scale

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_AUTH_MODE"] = "disabled"  # the nodes listen to this machine only
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    lost = threading.Event()

    def lose():
        while not any(Path(output).glob("shard-*")):
            time.sleep(SAMPLED)
        cluster.remove_node(nodes[0], allow_graceful=False)
        lost.set()

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    begun = time.perf_counter()
    try:
        with scale.cluster(cluster.address):
            scale.score(paths, detector, output, actors=2, shard_size=shard_size, progress=False)
            seconds = time.perf_counter() - begun
            thread.join(60)
    finally:
        cluster.shutdown()
    return {"seconds": seconds, "lost": lost.is_set(), **exact(output)}


def prepare(backbone, folder, count):
    """``(detector folder, paths)``: a detector on synthetic parts, and links to its test images."""
    import fsad
    from experiments import data

    parts = data.resolve("synthetic-metal")
    good, defective = sorted(parts.glob("train/good/*.png"))[:16], str(parts / "test" / "*" / "000.png")
    detector = fsad.Detector(backbone=backbone).fit(good, defective, progress=False)
    saved = detector.save(folder / "detector")
    paths = sorted(parts.glob("test/*/*.png"))
    return str(saved), [str(paths[k % len(paths)]) for k in range(count)]


def main(_):
    import fsad

    count, size = FLAGS.images, FLAGS.shard
    folder = Path(tempfile.mkdtemp(prefix="fsad-ray-"))
    try:
        saved, paths = race.alone(prepare, FLAGS.backbone or "mobilenet", folder, count)
        fitted = fsad.load(saved)
        fewer = paths[: max(4 * size, count // 4)]
        missing = [f"missing/{k}.png" for k in range(HANDED_OUT)]
        facts = {
            "command": f"python -m experiments.benchmarks.ray --images={count} --shard={size} --price={FLAGS.price:g}",
            "images": count,
            "shard_size": size,
            "paper_shard_size": FLAGS.paper_shard_size,
            "bytes": float(np.mean([os.path.getsize(path) for path in paths])),
            "weights": fitted.fitted.weights,
            "side": "{1} x {0} pixels".format(*fitted.size),
            "price": FLAGS.price,
            "gigabits": FLAGS.gigabits,
            "load": os.getloadavg()[0],
            "one": race.alone(one_process, saved, paths),
            "actors": {n: race.alone(actors, saved, paths, folder / f"out{n}", n, size) for n in (1, 2)},
            "handed out": race.alone(actors, saved, missing, folder / "missing", 2, 1)["running"],
            "lost images": len(fewer),
            "lost": race.alone(lost_node, saved, fewer, folder / "lost", size),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = page(facts)
    with atomic_file(Path(FLAGS.out) / "benchmark_ray.md", "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    from experiments import runner

    flags.DEFINE_integer("images", 20_000, "images to score", lower_bound=20)
    flags.DEFINE_integer("shard", 250, "images of a shard, small so that a short run has several", lower_bound=1)
    flags.DEFINE_integer("paper_shard_size", 1000, "images of a shard on paper", lower_bound=1)
    flags.DEFINE_float("price", 0.05, "euros of a core for an hour; assumed, put in your own", lower_bound=0)
    flags.DEFINE_float("gigabits", 10.0, "per second from the storage of the images; assumed", lower_bound=0)
    runner.run_main(main)
