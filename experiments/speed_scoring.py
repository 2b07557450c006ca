"""Contenders of `experiments.benchmark_speed` that score, explain, and load."""

import contextlib
import math
import time
from pathlib import Path

import numpy as np

from experiments.race import Missing

REFERENCES = 8


def prepare(turns, pictures, folder):
    """Fits the detectors that the others load, in a process of its own."""
    from fsad.detector import Detector
    from fsad.export import onnx

    good, defective = sorted(Path(pictures, "train", "good").glob("*.png")), Path(pictures, "test", "*", "000.png")
    settings = {"senarathna": {"epochs": 3, "folds": 0}, "patches": {"max_references": REFERENCES}}
    for recipe, options in settings.items():
        number = 2 * REFERENCES if recipe == "senarathna" else REFERENCES  # half of its good ones are anchors
        detector = Detector(recipe, **options).fit(good[:number], str(defective), progress=False)
        detector.save(Path(folder) / recipe)
        with contextlib.suppress(ImportError):
            onnx.convert(Path(folder) / f"{recipe}.onnx", detector.traced())  # takes memory that scoring does not
    turns.repeat(lambda: None)


def _load(turns, folder):
    import fsad
    from experiments import cost
    from fsad import siamese

    detector = fsad.load(folder)
    backbone, neck, _ = siamese.parts(detector.model)
    layers, references = cost.of(backbone.layers + neck.layers), detector.fitted.references
    if references.ndim == 4:  # every patch with every patch of the references
        layers.append((math.prod(neck.output_shape[1:3]) * references.size, references.size))
    turns.tell(cost=layers)
    return detector


def _reader(detector, paths):
    """Gives the pictures as the detector takes them: one is read from its file each time, many are held in memory."""
    from fsad import images

    if len(paths) == 1:
        return lambda: images.read_all(paths, detector.side)
    held = images.read_all(paths, detector.side)
    return lambda: held


def naive(turns, folder, paths):
    """Keras ``predict`` of the two-picture model on a pair for each reference, as the papers' codes do."""
    from fsad import images

    detector = _load(turns, folder)
    references = images.read_all(_names(detector), detector.side).astype(np.float32)
    read = _reader(detector, paths)

    def score():
        pictures = read().astype(np.float32)
        left, right = np.tile(references, (len(pictures), 1, 1, 1)), np.repeat(pictures, len(references), axis=0)
        apart = detector.model.predict([left, right], verbose=0)
        turns.tell(passes=2 * len(references))
        if detector.fitted.map_range is None:  # else each patch chooses its own reference, which pairs cannot
            turns.tell(scores=apart.reshape(len(pictures), -1).mean(1).tolist())

    turns.repeat(score, len(paths))


def ours(turns, folder, paths, name):
    """`Detector.score` with one of the runtimes."""
    from fsad.export import ExportError, runtime

    detector = _load(turns, folder)
    begun = time.perf_counter()
    try:
        known = Path(f"{folder}.onnx")
        judge = runtime.session(known) if name == "onnx" and known.exists() else runtime.judges(detector, [name])[name]
    except ExportError as error:
        raise Missing(str(error)) from None
    judge(np.zeros((1, detector.side, detector.side, 3), np.uint8))
    turns.tell(ready_seconds=time.perf_counter() - begun, arithmetic="bfloat16" if "bfloat16" in name else "float32")
    detector.use(judge, name)
    given = paths if len(paths) == 1 else _reader(detector, paths)()
    turns.repeat(lambda: turns.tell(scores=detector.score(given).tolist()), len(paths))


def torch(turns, folder, paths, arithmetic):
    """The custom CNN in PyTorch with the same weights, every picture embedded once."""
    import torch

    from fsad import siamese

    detector = _load(turns, folder)
    turns.tell(arithmetic=arithmetic)
    backbone, neck, distance = siamese.parts(detector.model)
    net = torch_net(backbone, neck)
    unit = distance.get_layer("dissimilarity").get_weights()
    weight, bias = (torch.from_numpy(w) for w in unit)
    references = torch.from_numpy(detector.fitted.references)
    read = _reader(detector, paths)

    def score():
        pictures = torch.from_numpy(read()).permute(0, 3, 1, 2).float()
        bfloat16 = arithmetic == "bfloat16"
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            embeddings = net(pictures.contiguous(memory_format=torch.channels_last)).float()
        with torch.inference_mode():
            apart = (embeddings[:, None] - references[None]).abs() @ weight + bias
            turns.tell(scores=torch.sigmoid(apart)[..., 0].mean(1).tolist())

    turns.repeat(score, len(paths))


def torch_net(backbone, neck):
    """A Keras custom CNN and its neck as a PyTorch module, NCHW in [0, 255] -> embeddings, with the same weights."""
    import keras
    import torch
    from torch import nn

    made = []
    for layer in [*backbone.layers, *neck.layers]:
        weights = [torch.from_numpy(w.copy()) for w in layer.get_weights()]
        if isinstance(layer, keras.layers.Rescaling):
            made.append(_scaled(layer.scale))
        elif isinstance(layer, keras.layers.Conv2D):
            height, width, given, filters = weights[0].shape
            made.append(nn.Conv2d(given, filters, (height, width)))
            made[-1].weight.data = weights[0].permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
            made[-1].bias.data = weights[1]
        elif isinstance(layer, keras.layers.MaxPooling2D):
            made.append(nn.MaxPool2d(layer.pool_size, ceil_mode=True))
        elif isinstance(layer, keras.layers.Flatten):
            made += [_channels_last(), nn.Flatten()]
        elif isinstance(layer, keras.layers.Dense):
            made.append(nn.Linear(*weights[0].shape))
            made[-1].weight.data, made[-1].bias.data = weights[0].T.contiguous(), weights[1]
        elif not isinstance(layer, keras.layers.InputLayer):
            raise Missing(f"no counterpart of {type(layer).__name__} written")
        activation = getattr(layer, "activation", None)
        if activation is not None and activation.__name__ != "linear":
            made.append({"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[activation.__name__]())
    return nn.Sequential(*made)


def _scaled(factor):
    from torch import nn

    class Scale(nn.Module):
        def forward(self, x):
            return x * factor

    return Scale()


def _channels_last():
    from torch import nn

    class ChannelsLast(nn.Module):  # Keras flattens (height, width, channels)
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    return ChannelsLast()


def explain(turns, folder, paths, method, batched):
    """Maps of some pictures: all at once against embedded references, or each by itself on its pairs."""
    import tensorflow as tf

    from fsad import images
    from fsad.explain import gradcam, saliency

    detector = _load(turns, folder)
    fitted, pictures = detector.fitted, images.read_all(paths, detector.side)
    turns.tell(arithmetic="float32")
    if batched:
        explain = saliency.saliency if method == "saliency" else gradcam.of_score
        turns.repeat(lambda: explain(fitted.model, pictures, fitted.references), len(paths))
    references = tf.constant(images.read_all(_names(detector), detector.side), tf.float32)

    def each():
        for picture in pictures:
            if method == "saliency":
                one = tf.constant(picture[None], tf.float32)
                with tf.GradientTape() as tape:
                    tape.watch(one)
                    pair = [references, tf.repeat(one, len(references), axis=0)]
                    score = tf.reduce_mean(fitted.model(pair, training=False))
                saliency.smooth(np.abs(tape.gradient(score, one).numpy()).mean(-1), saliency.SIGMA * detector.side)
            else:
                gradcam.gradcam(fitted.model, references, np.repeat(picture[None], len(references), 0))

    turns.repeat(each, len(paths))


def _names(detector):
    chosen = [(r["reference"], r["name"]) for r in detector.fitted.training if r["reference"] is not None]
    return [name for _, name in sorted(chosen)]
