"""What decides the result of a run, as one key: a finished run is used again only under the same."""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path

from experiments import data
from fsad import backbones, datasets

ROOT = Path(__file__).parent
LIBRARIES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "pillow", "scipy")


def key(decides):
    """Name of a run's folder: a digest of all that decides its result."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:20]


def decides(settings, train):
    """All that decides the result of a run.

    Data and weights enter by content, not by the name they were given on the command line; ImageNet
    weights that cannot be reached now are other weights than those that can.
    """
    weights = backbones.source(settings["backbone"], settings["weights"])
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {
        **settings,
        "data": _digest_of_data(data.resolve(settings["data"])),
        "weights": _digest([Path(weights)]) if Path(weights).is_file() else weights,
        "versions": versions,
        "code": code_version(_module(train)),
    }


def _module(function):
    name = function.__module__
    if name == "__main__":  # of a script that `python -m` runs
        name = sys.modules[name].__spec__.name
    return name


@functools.lru_cache(maxsize=4)
def _digest_of_data(folder):
    samples = datasets.load(folder).samples
    names = "\n".join(f"{s.path.relative_to(folder).as_posix()} {s.label} {s.kind}" for s in samples)
    return hashlib.sha256(names.encode()).hexdigest()[:16] + _digest(
        [p for s in samples for p in (s.path, s.mask) if p]
    )


def _digest(paths):
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError):  # an unreadable picture is skipped by the run too
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def code_version(module):
    """Digest of the code of a module and of all it imports from `fsad` and `experiments`.

    Of the syntax trees, docstrings and comments left out: rewording or reformatting keeps finished runs,
    changing what is computed does not, and neither does what a run never imports.
    """
    found, todo = {}, [module]
    while todo:
        name = todo.pop()
        base = ROOT.parent / name.replace(".", "/")
        path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
        if path is None or name in found:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                node.body[0].value.value = ""
        found[name] = ast.dump(tree)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
