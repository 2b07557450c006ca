"""Two images, one model: how similar are they, and what speaks for and against it?

    python -m experiments.livieris.compare A.jpg B.jpg --model=MODEL.keras --method=xgradcam --target=same

What you will see, in seconds: the similarity, the verdict, and a panel of both maps for both images (Figures 2 to 4 of
Livieris et al. 2023), written to ``--out``; with ``--maps=FILE.npz`` the maps themselves too. MODEL is a two-input
model of this project: `experiments.livieris.table1` keeps its models below ``experiments/.cache/livieris``.
"""

import os
from pathlib import Path

import keras
import numpy as np
from absl import flags

from experiments import runner
from fsad import siamese
from fsad.explain import gradcam, overlay
from fsad.images import read_image, resize

FLAGS = flags.FLAGS


def load(path):
    """A two-input model from a file.

    Raises:
        FileNotFoundError, ValueError: no such file, or no such model.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a model file, such as original.keras. Received: no such file")
    try:
        model = keras.models.load_model(path)
    except Exception as error:
        raise ValueError(f"{path}: expected a model that Keras can load. Received: {error}") from error
    if "dissimilarity" not in [layer.name for layer in siamese.parts(model).distance.layers]:
        raise ValueError(f"{path}: expected a model whose output is in [0, 1]. Received: a bare distance")
    return model


def explain(model, paths, **options):
    """``(images, explanation, title)`` of two image files; ``options``: of `fsad.explain.gradcam.pair_maps`."""
    images = [read_image(path) for path in paths]
    explanation = gradcam.pair_maps(model, *(resize(i, model.input_shape[0][1])[None] for i in images), **options)
    names = " and ".join(f"{path.parent.name}/{path.name}".lstrip("/") for path in paths)
    score = explanation.output[0]
    return images, explanation, f"{names}\nsimilarity {1 - score:.0%}: {'different' if score > 0.5 else 'same'}"


def run(model, paths, options, out, maps=None):
    """Prints the similarity of two image files, and writes their panel and, if asked for, the maps."""
    images, explanation, title = explain(model, paths, **options)
    print(title.replace("\n", ": "))
    target = "the verdict" if options["target"] == "verdict" else f"'{options['target']}'"
    pair = {f"for {target}": explanation.factual[0], f"against {target}": explanation.counterfactual[0]}
    for name, (first, second) in pair.items():
        for path, one in zip(paths, (first, second), strict=True):
            if not one.any():
                print(f"{path.name}: nothing in this layer speaks {name}")
    overlay.save(overlay.pair_panel(*images, *pair.values(), title, tuple(pair)), out, dpi=100)
    print(f"Written: {os.path.relpath(out)}")
    if maps:
        names = ("output", "raw", "raw_counterfactual", "factual", "counterfactual")
        np.savez_compressed(maps, **{name: getattr(explanation, name)[0] for name in names})
        print(f"Written: {os.path.relpath(maps)}")


def main(arguments):
    if len(arguments) != 3:
        raise ValueError(f"Expected two images. Received: {arguments[1:]}")
    options = {name: FLAGS[name].value for name in ("target", "layer", "method")}
    run(load(FLAGS.model), [Path(path) for path in arguments[1:]], options, FLAGS.out, FLAGS.maps)


if __name__ == "__main__":
    flags.DEFINE_string("model", None, "a two-input model, .keras", required=True)
    flags.DEFINE_enum("target", "verdict", list(gradcam.TARGETS), "what is explained")
    flags.DEFINE_enum("method", "gradcam", list(gradcam.METHODS), "weights of the feature maps")
    flags.DEFINE_string("layer", None, "a layer of the backbone; its last by default")
    flags.DEFINE_string(
        "out", "comparison.png", "the panel", allow_override=True
    )  # the runner has a folder of this name
    flags.DEFINE_string("maps", None, "a file for the maps as arrays, .npz")
    runner.run_main(main)
