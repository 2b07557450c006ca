"""Explainable few-shot anomaly detection with Siamese networks.

`Detector` is fitted to images of good parts and scores others; `load` reads a saved one; a `Prediction` is what it says
of an image; `FsadError` is the root of every error about a file. Importing the package starts no TensorFlow; using one
of the first three does.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsad.detector import Detector, load
    from fsad.files import FsadError
    from fsad.prediction import Prediction

__version__ = "0.1.0"
__all__ = ["Detector", "FsadError", "Prediction", "load"]
_WHERE = {"Detector": "detector", "FsadError": "files", "Prediction": "prediction", "load": "detector"}


def __getattr__(name):
    if name in _WHERE:
        return getattr(importlib.import_module(f"fsad.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'fsad' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
