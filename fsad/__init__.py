"""Explainable few-shot anomaly detection with Siamese networks.

Importing the package starts no TensorFlow; its modules do, when they are imported.
"""

__version__ = "0.1.0"
