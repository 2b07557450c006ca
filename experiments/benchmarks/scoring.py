"""Implementations for `experiments.benchmarks.speed` that score, explain, and load."""

import math
from pathlib import Path
from unittest import mock

import numpy as np

from experiments.benchmarks.race import Missing, Work

REFERENCES = 8
WITHOUT_GRAPH = "patches_without_graph"


def prepare(folder_of_images, folder):
    """Fits the detectors that the others load."""
    from fsad.detector import Detector

    good = sorted(Path(folder_of_images, "train", "good").glob("*.png"))
    defective = Path(folder_of_images, "test", "*", "000.png")
    settings = {"senarathna": {"epochs": 3, "folds": 0}, "patches": {"max_references": REFERENCES}}
    for recipe, options in settings.items():
        number = 2 * REFERENCES if recipe == "senarathna" else REFERENCES  # half of its good ones are anchors
        detector = Detector(recipe, **options).fit(good[:number], str(defective), progress=False)
        detector.save(Path(folder) / recipe)
    with mock.patch("fsad.export.onnx.graph_of", return_value=None):  # as all detectors once were
        detector.save(Path(folder) / WITHOUT_GRAPH)


def _load(folder):
    """``(detector, facts)``."""
    import fsad
    from experiments.benchmarks import limits
    from fsad import siamese

    detector = fsad.load(folder)
    backbone, neck, _ = siamese.parts(detector.model)
    layers, references = limits.cost_of(backbone.layers + neck.layers), detector.fitted.references
    if references.ndim == 4:  # every patch with every patch of the references
        layers.append((math.prod(neck.output_shape[1:3]) * references.size, references.size))
    return detector, {"cost": layers, "arithmetic": "float32"}


def _reader(detector, paths):
    """Gives the images as the detector takes them: one is read from its file each time, many stay in memory."""
    from fsad.images import read_images

    if len(paths) == 1:
        return lambda: read_images(paths, detector.size)
    images = read_images(paths, detector.size)
    return lambda: images


def _references(detector):
    """The reference images at the side of the detector."""
    from fsad.images import read_images

    chosen = [(r["reference"], r["name"]) for r in detector.fitted.training if r["reference"] is not None]
    return read_images([name for _, name in sorted(chosen)], detector.size)


def baseline(folder, paths):
    """Keras ``predict`` of the two-input model on a pair for each reference, as the papers' codes do."""
    detector, facts = _load(folder)
    references, read = _references(detector).astype(np.float32), _reader(detector, paths)

    def score():
        images = read().astype(np.float32)
        left, right = np.tile(references, (len(images), 1, 1, 1)), np.repeat(images, len(references), axis=0)
        values = detector.model.predict([left, right], verbose=0)
        if detector.methods[0] != "patches":  # there each patch chooses its own reference, which pairs cannot
            facts["scores"] = values.reshape(len(images), -1).mean(1).tolist()

    facts["passes"] = 2 * len(references)
    return Work(score, len(paths), facts)


def fsad_scores(folder, paths, name):
    """`Detector.score` with one of the runtimes."""
    from fsad.export import ExportError, runtime

    detector, facts = _load(folder)
    try:
        function = runtime.functions(detector, [name])[name]
    except ExportError as error:
        raise Missing(str(error)) from None
    function(np.zeros((1, *detector.size, 3), np.uint8))
    facts["arithmetic"] = "bfloat16" if "bfloat16" in name else "float32"
    detector = detector.with_runtime(runtime.Choice(name, function))
    given = paths if len(paths) == 1 else _reader(detector, paths)()
    return Work(lambda: facts.update(scores=detector.score(given).tolist()), len(paths), facts)


def fsad_files(folder, paths, name):
    """The same from files, many at a time."""
    from fsad.export import ExportError

    detector, facts = _load(folder)
    try:
        detector = detector.with_runtime(name)
    except ExportError as error:
        raise Missing(str(error)) from None
    return Work(lambda: facts.update(scores=detector.score(paths).tolist()), len(paths), facts)


def torch_scores(folder, paths, arithmetic):
    """The custom CNN in PyTorch with the same weights, every image embedded once."""
    import torch

    from fsad import siamese

    detector, facts = _load(folder)
    facts["arithmetic"] = arithmetic
    backbone, neck, distance = siamese.parts(detector.model)
    net = torch_net(backbone, neck)
    weight, bias = (torch.from_numpy(w) for w in distance.get_layer("dissimilarity").get_weights())
    references, read = torch.from_numpy(detector.fitted.references), _reader(detector, paths)

    def score():
        images = torch.from_numpy(read()).permute(0, 3, 1, 2).float()
        bfloat16 = arithmetic == "bfloat16"
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            embeddings = net(images.contiguous(memory_format=torch.channels_last)).float()
        with torch.inference_mode():
            values = (embeddings[:, None] - references[None]).abs() @ weight + bias
            facts["scores"] = torch.sigmoid(values)[..., 0].mean(1).tolist()

    return Work(score, len(paths), facts)


def torch_net(backbone, neck):
    """A Keras custom CNN and its neck as a PyTorch module, NCHW in [0, 255] -> embeddings, with the same weights."""
    import keras
    import torch
    from torch import nn

    class Apply(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.forward = function

    modules = []
    for layer in [*backbone.layers, *neck.layers]:
        weights = [torch.from_numpy(w.copy()) for w in layer.get_weights()]
        if isinstance(layer, keras.layers.Rescaling):
            modules.append(Apply(lambda x, scale=layer.scale: x * scale))
        elif isinstance(layer, keras.layers.Conv2D):
            height, width, channels, filters = weights[0].shape
            modules.append(nn.Conv2d(channels, filters, (height, width)))
            kernel = weights[0].permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
            modules[-1].weight.data, modules[-1].bias.data = kernel, weights[1]
        elif isinstance(layer, keras.layers.MaxPooling2D):
            modules.append(nn.MaxPool2d(layer.pool_size, ceil_mode=True))
        elif isinstance(layer, keras.layers.Flatten):  # Keras flattens (height, width, channels)
            modules += [Apply(lambda x: x.permute(0, 2, 3, 1)), nn.Flatten()]
        elif isinstance(layer, keras.layers.Dense):
            modules.append(nn.Linear(*weights[0].shape))
            modules[-1].weight.data, modules[-1].bias.data = weights[0].T.contiguous(), weights[1]
        elif not isinstance(layer, keras.layers.InputLayer):
            raise Missing(f"no counterpart of {type(layer).__name__} written")
        activation = getattr(layer, "activation", None)
        if activation is not None and activation.__name__ != "linear":
            modules.append({"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[activation.__name__]())
    return nn.Sequential(*modules)


def explain(folder, paths, method, batched):
    """Maps of some images: all at once against embedded references, or each by itself on its pairs."""
    import tensorflow as tf

    from fsad.explain import cams, gradcam, saliency
    from fsad.images import read_images

    detector, _ = _load(folder)
    fitted, images = detector.fitted, read_images(paths, detector.size)
    if batched:
        maps = saliency.saliency_maps if method == "saliency" else cams.score_maps
        return Work(lambda: maps(fitted.model, images, fitted.references), len(paths))
    references = tf.constant(_references(detector), tf.float32)

    def each():
        for image in images:
            if method == "gradcam":
                gradcam.pair_maps(fitted.model, references, np.repeat(image[None], len(references), 0))
                continue
            one = tf.constant(image[None], tf.float32)
            with tf.GradientTape() as tape:
                tape.watch(one)
                pair = [references, tf.repeat(one, len(references), axis=0)]
                score = tf.reduce_mean(fitted.model(pair, training=False))
            saliency.smooth(np.abs(tape.gradient(score, one).numpy()).mean(-1), saliency.SIGMA * detector.size[0])

    return Work(each, len(paths))
