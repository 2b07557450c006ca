"""Explainable few-shot anomaly detection with Siamese networks.

`fsad.Detector` is `fsad.detector.Detector`, `fsad.load` is `fsad.detector.load`. Importing the package starts no
TensorFlow; using one of these does.
"""

__version__ = "0.1.0"


def __getattr__(name):
    if name in ("Detector", "load"):
        from fsad import detector

        return getattr(detector, name)
    raise AttributeError(f"module 'fsad' has no attribute {name!r}")
