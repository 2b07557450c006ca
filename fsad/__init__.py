"""Explainable few-shot anomaly detection with Siamese networks.

Importing the package starts no TensorFlow; using `Detector` or `load` does.
"""

__version__ = "0.1.0"
__all__ = ["Detector", "load"]


def __getattr__(name):
    if name in __all__:
        from fsad import detector

        return getattr(detector, name)
    raise AttributeError(f"module 'fsad' has no attribute {name!r}")
