"""Every results table of the papers, declared once as data and remade by one runner."""

import os

# TensorFlow prints a page about the machine at start-up unless told not to before it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
