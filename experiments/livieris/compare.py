"""Two images, one model: how similar are they, and what speaks for and against it?

    python -m experiments.livieris.compare A.jpg B.jpg --model=MODEL.keras --method=xgradcam --target=same
    python -m experiments.livieris.compare A.jpg B.jpg --model=MODEL.keras --advice \\
        --masks=A_mask.png,B_mask.png --training=data/train --test=data/test

What you will see, in seconds: the similarity, the verdict, and a panel of both maps for both images (Figures 2 to 4 of
Livieris et al. 2023), written to ``--out``; with ``--maps=FILE.npz`` the maps themselves too. With ``--advice`` also
sentences on what to do, each with what it measured (`fsad.explain.advice`): what happens if the region that
makes the two alike is covered; with ``--masks``, how much of the map is on the object; with ``--training`` and
``--test``, folders of images, whether the maps of both lie in the same places. MODEL is a two-input model of this
project: `experiments.livieris.table1` keeps its models below ``experiments/.cache/livieris``.
"""

import os
from pathlib import Path

import keras
import numpy as np
from absl import flags

from experiments import runner
from fsad import inputs, siamese
from fsad.explain import advice, gradcam, overlay
from fsad.images import read_image, read_images, read_mask, resize

FLAGS = flags.FLAGS
MAX_PAIRS = 64  # of a folder, whose maps are compared


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


def advise(model, paths, masks=(), training=None, test=None, seed=0):
    """Sentences on two image files and, if they are given, the masks of their objects and two folders of images.

    Raises:
        FileNotFoundError, ValueError: a missing file or folder, one mask, one folder, or too few images in one.
    """
    rng, side = np.random.default_rng(seed), model.input_shape[0][1]
    if len(masks) not in (0, 2) or (training is None) != (test is None):
        raise ValueError(f"Expected two masks or none, and both folders or none. Received: {masks}, {training}, {test}")
    images = read_images(paths, side)
    sentences = advice.removal(model, *images, rng)[1]
    if masks:
        maps = gradcam.pair_maps(model, images[:1], images[1:]).magnitude[0]
        sentences += advice.on_object(maps, [read_mask(Path(mask)) for mask in masks])[1]
    if training is not None:
        sentences += advice.bias(*(_maps_of(model, folder, side, rng) for folder in (training, test)))[1]
    return sentences


def _maps_of(model, folder, side, rng):
    """Maps, both signs, of random pairs of the images of a folder."""
    paths = [sample.path for sample in inputs.find(str(folder))]
    if len(paths) < 4:
        raise ValueError(f"{folder}: expected four images or more. Received: {len(paths)}")
    chosen = rng.permutation(len(paths))[: 2 * MAX_PAIRS]
    chosen = chosen[: len(chosen) // 2 * 2]
    first, second = np.split(read_images([paths[k] for k in chosen], side), 2)
    maps = gradcam.pair_maps(model, first, second).magnitude
    return maps.reshape(-1, *maps.shape[2:])


def main(arguments):
    if len(arguments) != 3:
        raise ValueError(f"Expected two images. Received: {arguments[1:]}")
    options = {name: FLAGS[name].value for name in ("target", "layer", "method")}
    model, paths = load(FLAGS.model), [Path(path) for path in arguments[1:]]
    run(model, paths, options, FLAGS.out, FLAGS.maps)
    if FLAGS.advice:
        print("\n".join(advise(model, paths, FLAGS.masks or (), FLAGS.training, FLAGS.test)))


if __name__ == "__main__":
    flags.DEFINE_string("model", None, "a two-input model, .keras", required=True)
    flags.DEFINE_enum("target", "different", list(gradcam.TARGETS), "what is explained")
    flags.DEFINE_enum("method", "gradcam", list(gradcam.METHODS), "weights of the feature maps")
    flags.DEFINE_string("layer", None, "a layer of the backbone; its last by default")
    flags.DEFINE_string(
        "out", "comparison.png", "the panel", allow_override=True
    )  # the runner has a folder of this name
    flags.DEFINE_bool("advice", False, "say what to do, and what that is measured on")
    flags.DEFINE_list("masks", None, "masks of the object in the two images")
    flags.DEFINE_string("training", None, "a folder of images like those it was trained on")
    flags.DEFINE_string("test", None, "a folder of images it is to judge")
    flags.DEFINE_string("maps", None, "a file for the maps as arrays, .npz")
    runner.run_main(main)
