"""The digest of all that decides a result: settings, data, weights, library versions and code."""

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path

from experiments import data
from fsad import backbones, inputs, weights
from fsad.files import sha256

ROOT = Path(__file__).parent
LIBRARIES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "pillow", "scipy")


def key(deciding):
    """The name of a run's folder: a digest of all that decides its result."""
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:20]


def decides(settings, train):
    """All that decides the result of a run: data and weights by content, not by name. No network is asked."""
    folder, given = data.resolve(settings["data"]), settings["weights"]
    if given not in ("imagenet", "none") and not Path(given).is_file():
        raise FileNotFoundError(f"{given}: expected --weights to be imagenet, none or a file. Received: no such file")
    file = weights.local_file(backbones.spec_of(settings["backbone"]).files) if given == "imagenet" else Path(given)
    digests = {"data": _digest_of_data(folder), "weights": _digest(file) or given}
    return {**settings, **digests, "versions": versions(), "code": code_version(module(train))}


@functools.cache
def _digest_of_data(folder):
    return key([
        (s.path.relative_to(folder).as_posix(), s.label, s.kind, _digest(s.path), _digest(s.mask))
        for s in inputs.load(folder).samples
    ])  # fmt: skip


def _digest(path):
    """SHA-256 of a file; None if it is missing or unreadable, which a run leaves out too."""
    return sha256(path) if path and path.is_file() and os.access(path, os.R_OK) else None


def versions():
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def module(function):
    """The module of a function, also in the script that ``python -m`` runs."""
    name = function.__module__
    return sys.modules[name].__spec__.name if name == "__main__" else name


@functools.cache
def code_version(name):
    """Digest of the code of a module and of all it imports from `fsad` and `experiments`.

    Of the syntax trees without docstrings: rewording or reformatting keeps finished runs, changing what is computed
    does not, and what a run never imports does not matter.
    """
    trees, names = {}, [name]
    while names:
        name = names.pop()
        base = ROOT.parent / name.replace(".", "/")
        path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
        if path is None or name in trees:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                node.body[0].value.value = ""
        trees[name] = ast.dump(tree)
    return key(trees)
