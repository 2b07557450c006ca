"""TensorFlow SavedModel, for TensorFlow Serving: endpoints ``score`` (default), ``score_encoded``, ``similarity``."""

import os

import keras
import tensorflow as tf

from fsad.export import KIND, graph
from fsad.files import atomic_folder

ENDPOINTS = ("score", "score_encoded", "similarity")


def write(detector, path):
    """Writes the folder; returns images -> scores by what was written."""
    save(detector, path, {name: getattr(graph, name)(detector) for name in ENDPOINTS})
    loaded = tf.saved_model.load(path)
    run = loaded.signatures["score"]
    run.keeps = loaded  # a signature alone does not keep its variables
    return lambda images: run(images=tf.constant(images))["score"].numpy()


def save(detector, folder, endpoints):
    """Writes a SavedModel of ``endpoints``, names and functions over the detector's model; the first is the default."""
    archive = keras.export.ExportArchive()
    archive.track(detector.model)
    for name, function in endpoints.items():
        archive.add_endpoint(name, function)
    archive.write_out(folder, verbose=False)


def place(part, path):
    """Moves what was written to where it belongs."""
    with atomic_folder(path, *KIND) as folder:
        for inner in part.iterdir():
            os.rename(inner, folder / inner.name)
