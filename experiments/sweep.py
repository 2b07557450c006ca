"""The runs of a table on Ray: one task each, in a process of its own, into the same folder of finished runs.

    python -m experiments.takimoto.tables --table=11 --ray=auto --out=/shared/results --cache=/shared/runs

As in one process, a finished run stays. A task whose node died is done again, and after the driver was killed the same
command makes the rest. Each node has this code, the data, the weights and the cache under the same names. A task takes
a GPU where the cluster has any; `--precision=auto` is decided by the machine of the command.
"""

import importlib
import os
from pathlib import Path

from absl import flags
from tqdm import tqdm

RETRIES = 3  # of a run whose process or node died; an exception of the run itself is its result
CORES = 4  # of a run without a GPU, if a node has as many: more help a training little, another run is better


def make(runs, train, address):
    """As `experiments.runs.make`, on the Ray cluster of an address or, for ``"local"``, on this machine.

    Args:
        train: a function at the top of its module: the tasks import it.
    """
    from experiments import digests
    from experiments.runs import failure
    from fsad import scale

    runs = [run for run in runs if run.wanted]
    missing = {run.folder: run for run in runs if not run.finished}  # rows may share a run
    print(f"{len(runs) - len(missing)} of {len(runs)} runs are finished already and used again.")
    if not missing:
        return {}
    where, failures = (digests.module(train), train.__qualname__), {}
    arguments = [flags.FLAGS[name].serialize() for name in flags.FLAGS if flags.FLAGS[name].present]
    with scale.cluster(address):
        import ray

        needs = resources([node["Resources"] for node in ray.nodes() if node["Alive"]])
        # A process for each run: TensorFlow gives back no memory between trainings (`experiments.runs`).
        task = ray.remote(max_calls=1, max_retries=RETRIES, **needs)(work)
        given = (where, arguments, int(needs["num_cpus"]))
        pending = {
            task.remote(*given, str(run.folder.resolve()), run.settings, run.row.title): run for run in missing.values()
        }
        with tqdm(total=len(pending), unit="run") as bar:
            while pending:
                (done,), _ = ray.wait(list(pending))
                run = pending.pop(done)
                try:
                    ray.get(done)
                except ray.exceptions.RayError as error:
                    failures[run.folder] = failure(run, getattr(error, "cause", None) or error)
                    bar.write(failures[run.folder])
                bar.update()
    return failures


def resources(nodes):
    """What a run asks for: a GPU if a node has one, else up to `CORES` cores; ``nodes``: dicts of their resources."""
    if any(node.get("GPU", 0) >= 1 for node in nodes):
        return {"num_gpus": 1, "num_cpus": 1}
    return {"num_gpus": 0, "num_cpus": min(CORES, max(int(node.get("CPU", 1)) for node in nodes))}


def work(where, arguments, cores, folder, settings, title):
    """One run, in a process of its own.

    Args:
        where: module and name of the function that trains.
        arguments: flags of the command, for a module that reads some.
        cores: for TensorFlow, which is imported here first.
        folder, settings, title: of the `experiments.runs.Run`.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cores))
    from experiments import runner, runs  # noqa: F401  # the former defines the flags
    from experiments.page import Row

    train = getattr(importlib.import_module(where[0]), where[1])
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["work", *arguments], known_only=True)
    run = runs.Run(Row(title, title, {}), settings, Path(folder))
    if not run.finished:  # by a task that died before it could say so
        runs.prepare()
        runs.make_one(run, train, f"{title} on {settings['data']}, seed {settings['seed']}")
