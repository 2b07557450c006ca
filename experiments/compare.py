"""Two pictures, one model: how similar are they, and what speaks for and against it?

    python -m experiments.compare A.jpg B.jpg --model=MODEL.keras
    python -m experiments.compare A.jpg B.jpg --model=MODEL.keras --method=xgradcam --target=same --out=pair.png

What you will see: the similarity, the verdict, and a panel of both maps for both pictures (figures 2 to 4 of Livieris
et al. 2023), written to ``--out``; with ``--maps=FILE.npz`` the maps themselves too. MODEL is a two-picture model of
this project: `python -m experiments.livieris_table1` keeps its models below ``experiments/.cache/livieris``.
"""

import os
from pathlib import Path

import keras
import numpy as np
from absl import flags

from experiments import study
from fsad import images, siamese
from fsad.explain import gradcam, overlay

FLAGS = flags.FLAGS


def load(path):
    """A two-picture model of a file.

    Raises:
        FileNotFoundError, ValueError: no such file, or no such model.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a model file, such as original.keras. Received: nothing there")
    try:
        model = keras.models.load_model(path)
    except Exception as error:
        raise ValueError(f"{path}: expected a model that Keras can load. Received: {error}") from error
    if "dissimilarity" not in [layer.name for layer in siamese.parts(model).distance.layers]:
        raise ValueError(f"{path}: expected a model whose output is in [0, 1]. Received: a bare distance")
    return model


def main(arguments):
    if len(arguments) != 3:
        raise ValueError(f"Expected two pictures. Received: {arguments[1:]}")
    paths = [Path(a) for a in arguments[1:]]
    model = load(FLAGS.model)
    pair, found, title = explain(model, paths, target=FLAGS.target, layer=FLAGS.layer, method=FLAGS.method)
    print(title.replace("\n", ": "))
    what = "the verdict" if FLAGS.target == "verdict" else f"'{FLAGS.target}'"
    names = (f"for {what}", f"against {what}")
    for name, maps in zip(names, (found.factual, found.counterfactual), strict=True):
        for path, heat in zip(paths, maps[0], strict=True):
            if not heat.any():
                print(f"{path.name}: nothing in this layer speaks {name}")
    figure = overlay.pair_panel(*pair, found.factual[0], found.counterfactual[0], title, names)
    overlay.save(figure, FLAGS.out, dpi=100)
    print(f"Written: {os.path.relpath(FLAGS.out)}")
    if FLAGS.maps:
        names = ("output", "raw", "raw_counterfactual", "factual", "counterfactual")
        np.savez_compressed(FLAGS.maps, **{name: getattr(found, name)[0] for name in names})
        print(f"Written: {os.path.relpath(FLAGS.maps)}")


def explain(model, paths, **options):
    """``(pictures, explanation, title)`` of two picture files; ``options`` are those of `fsad.explain.gradcam`."""
    pair = [images.read(path) for path in paths]
    found = gradcam.gradcam(model, *(images.resize(p, model.input_shape[0][1])[None] for p in pair), **options)
    names = " and ".join(f"{path.parent.name}/{path.name}".lstrip("/") for path in paths)
    output = found.output[0]
    return pair, found, f"{names}\nsimilarity {1 - output:.0%}: {'different' if output > 0.5 else 'same'}"


if __name__ == "__main__":
    flags.DEFINE_string("model", None, "a two-picture model, .keras", required=True)
    flags.DEFINE_enum("target", "verdict", list(gradcam.TARGETS), "what is explained")
    flags.DEFINE_enum("method", "gradcam", list(gradcam.METHODS), "weights of the feature maps")
    flags.DEFINE_string("layer", None, "a layer of the backbone; its last if not given")
    flags.DEFINE_string("out", "comparison.png", "the panel")
    flags.DEFINE_string("maps", None, "a file for the maps as arrays, .npz")
    study.run_main(main)
