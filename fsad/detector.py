"""Detector: fit, score, inspect, explain, evaluate, save, load: what a user holds."""

import copy
import dataclasses
import datetime
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import fsad
from fsad import alignment, drift, evaluation, inputs, regions, storage, thresholds
from fsad.fitted import Fitted, Network, Options, is_model
from fsad.images import ImageError, batch_for
from fsad.prediction import Prediction

if TYPE_CHECKING:
    import keras

    from fsad.export import runtime as runtimes
    from fsad.layers import Comparison

log = logging.getLogger(__name__)

RECIPES = ("patches", "senarathna", "takimoto", "livieris")
DEFAULT = "patches"
BATCH = 8
MAX_HELD = 50_000_000  # pixels of images at full size in a batch: 150 MB


class Detector:
    """Detects defective parts from a few reference images, with a confidence and an anomaly map.

    Args:
        recipe: a name in `fsad.recipes.RECIPES`. ``"patches"`` is the default since it ranks real parts best
            (``experiments/results/baselines.md``); ``"senarathna"``, ``"takimoto"`` and ``"livieris"``
            are the papers' and need defective images.
        false_alarm_rate, miss_rate: what the threshold aims at; see `fsad.thresholds.choose`.
        max_references: good images kept for comparison; the others only help to set the threshold.
        folds: trainings that hold images out, to set the threshold of a recipe that is trained.
        seed: of every random draw.
        precision: of training, ``"float32"`` or ``"mixed_bfloat16"``; by `fsad.training.fast_precision` if None.
        align: move and turn each image until it lies on a reference image (`fsad.alignment`), for parts whose outline
            or marks are in each image; `fit` refuses it where too few of the good images lock.
        group_pattern: a regular expression that finds the name of the part in the path of an image
            (`fsad.inputs.load`), where several images show one part from different sides: none of them vouches for
            another when the threshold is set, and `evaluate` leaves out parts seen before.
        settings: of the recipe, such as ``backbone`` (a name or a Keras model, see `fsad.backbones.build`), ``layer``,
            ``weights``, ``side``, ``epochs``.

    Attributes:
        fitted: a `fsad.fitted.Fitted`, None before `fit`.
        folder: where it was saved last or loaded from, None before.
    """

    def __init__(
        self,
        recipe: str = DEFAULT,
        false_alarm_rate: float | None = None,
        miss_rate: float | None = None,
        max_references: int = 32,
        folds: int = 4,
        seed: int = 0,
        precision: str | None = None,
        group_pattern: str | None = None,
        align: bool = False,
        **settings,
    ):
        if recipe not in RECIPES:
            raise ValueError(f"Expected a recipe among {', '.join(RECIPES)}. Received: {recipe!r}")
        if max_references < 1 or folds < 0:
            raise ValueError(f"Expected max_references >= 1 and folds >= 0. Received: {max_references} and {folds}")
        self.recipe = recipe
        self.settings = {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}
        self.options = Options(
            false_alarm_rate, miss_rate, max_references, folds, seed, precision, group_pattern, align
        )
        self.fitted: Fitted | None = None
        self.folder: Path | None = None
        self._scorer = None

    def __repr__(self):
        backbone = self.settings.get("backbone")
        backbone = backbone.name if is_model(backbone) else backbone
        backbone = backbone["keras_model"] if isinstance(backbone, dict) else backbone
        shown = [repr(self.recipe)] + ([f"backbone={backbone!r}"] if backbone else [])
        if self.fitted is None:
            return f"Detector({', '.join(shown)}, not fitted)"
        shown += [f"weights={self.fitted.weights!r}", f"references={len(self.fitted.references) // self.fitted.views}"]
        shown += [f"threshold={self.threshold.value:.4g}"] + ([f"runtime={self.runtime!r}"] if self._scorer else [])
        return f"Detector({', '.join(shown)})"

    def fit(self, good, defect=None, progress: bool = True) -> "Detector":
        """Learns from good images and, if there are any, defective ones.

        Args:
            good, defect: paths, folders, globs or arrays (`fsad.inputs.find`). Files that cannot be
                read are left out and named in a warning.
            progress: show progress bars on standard error.

        Returns:
            The detector.

        Raises:
            FileNotFoundError, ValueError: no images, too few, or images of the wrong kind.
        """
        if isinstance(self.settings.get("backbone"), dict):
            raise ValueError(
                "Expected the Keras model that the detector was built with as its backbone. Received: a loaded detector"
            )
        from fsad import fitting

        self.fitted = fitting.fit(self.recipe, self.settings, self.options, good, defect, progress)
        self._scorer = None
        return self

    def learn(self, good=None, defect=None, by: str | None = None, progress: bool = True) -> dict:
        """Learns from its mistakes: ``good``, false alarms, and ``defect``, missed parts; see `fsad.learning.learn`.

        Returns:
            The entry of the journal.
        """
        from fsad import learning

        self._known()
        self.fitted = learning.learn(self, good, defect, by, progress)
        self._scorer = None
        return self.fitted.journal[-1]

    def undo(self, progress: bool = True) -> None:
        """Forgets what it learned last."""
        from fsad import learning

        self._known()
        self.fitted = learning.undo(self, progress)
        self._scorer = None

    @property
    def threshold(self) -> thresholds.Threshold:
        """The threshold set by `fit`."""
        return self._known().threshold

    def set_threshold(self, value=None, false_alarm_rate=None, miss_rate=None, unsure=None) -> thresholds.Threshold:
        """Sets the threshold anew, by the held-out scores of the images that the detector was fitted to.

        Args:
            value: the threshold itself; or
            false_alarm_rate, miss_rate: what it aims at (`fsad.thresholds.choose`); with none of the three it stays.
            unsure: a rate; scores near the threshold become ``"unsure"`` (`fsad.thresholds.band`). 0: no band.

        Returns:
            The new one.

        Raises:
            ValueError: as the two functions do.
        """
        old = self.threshold
        new = dataclasses.replace(old, unsure=None, how=old.how.partition("; unsure")[0])
        if (value, false_alarm_rate, miss_rate) != (None, None, None):
            new = thresholds.choose(old.good, old.defective, false_alarm_rate, miss_rate, old.held_out, value)
        if unsure:
            new = thresholds.band(new, unsure)
        elif unsure is None and old.unsure:
            kept = min(old.unsure[0], new.value), max(old.unsure[1], new.value)
            how = new.how + "".join(old.how.partition("; unsure")[1:])
            new = dataclasses.replace(new, unsure=kept, how=how)
        self.fitted = self._known().with_threshold(new)
        return new

    @property
    def model(self) -> "keras.Model":
        """The two-input Keras model, which is built when it is asked for first."""
        return self._known().model

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the images the model takes, in pixels."""
        return self._known().size

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the explanation methods, the best for this detector first."""
        return tuple(self._known().methods)

    def compare(self, batch) -> "Comparison":
        """Images ``(B, height, width, 3)`` in [0, 255], any dtype -> their comparison with the references, as tensors.

        This is the graph that `fsad.export` writes down.
        """
        import tensorflow as tf

        from fsad import scoring, siamese

        fitted = self._known()
        with tf.init_scope():  # a model that is built now is no part of a function that is being traced
            model = fitted.model
        backbone, neck, _ = siamese.parts(model)
        embeddings = neck(backbone(tf.cast(batch, tf.float32), training=False), training=False)
        return scoring.compare(model, embeddings, tf.constant(fitted.references), fitted.reduction)

    @property
    def scorer(self):
        """A function of uint8 images ``(B, height, width, 3)``, computed by `runtime`: a dict of ``score`` ``(B,)``,
        ``per_reference`` ``(B, R)`` and, where patches are compared, ``anomaly_map`` ``(B, h, w)``."""
        return self._scoring()[1]

    @property
    def runtime(self) -> str:
        """Name of what scores images: ``"onnx"`` for a saved detector that has its graph, if ONNX Runtime is installed;
        else ``"tensorflow"``, or what `with_runtime` chose."""
        return self._scoring()[0] if self.fitted else "none"

    def _scoring(self):
        if self._scorer is None:
            from fsad.export import session

            graph = self._known().graph
            onnx = None if graph is None else session.of(graph)
            self._scorer = ("onnx", onnx) if onnx else ("tensorflow", self.traced())
        return self._scorer

    def traced(self):
        """`scorer` as a function of TensorFlow, which exports write down."""
        import tensorflow as tf

        def scorer(images):
            return {k: v for k, v in self.compare(images)._asdict().items() if v is not None}

        return tf.function(
            scorer, input_signature=[tf.TensorSpec((None, *self.size, 3), tf.uint8, "images")], autograph=False
        )

    def with_runtime(self, runtime: "str | runtimes.Choice" = "auto", given=None) -> "Detector":
        """The same detector, scoring by another runtime; this one stays as it is.

        Args:
            runtime: ``"tensorflow"``, ``"openvino"``, ``"openvino bfloat16"`` or ``"onnx"``; ``"auto"``, the fastest
                of those installed; or a `fsad.export.runtime.Choice`. It is only taken if its scores are the same.
            given: images to compare and time on (`fsad.inputs.find`); the training images if None.

        Raises:
            fsad.export.ExportError: its package is missing, or its scores differ.
        """
        from fsad.export import runtime as runtimes

        if isinstance(runtime, str):
            runtime = runtimes.choose(self, None if runtime == "auto" else [runtime], given)
        other = copy.copy(self)
        other._scorer = runtime.name, runtime.function
        return other

    def stream(self, given, threshold: float | None = None, details: bool = False) -> Iterator[Prediction]:
        """Yields a `Prediction` of each image, in order, as each is done. Unreadable files come with ``error``.

        Args:
            given: paths, folders, globs, arrays or samples (`fsad.inputs.find`).
            threshold: in place of the detector's own.
            details: also give the map, the image as read, and its signature.
        """
        if threshold is not None and not np.isfinite(threshold):
            raise ValueError(f"Expected a finite threshold. Received: {threshold}")
        samples, aligner = inputs.find(given), self._known().aligner
        readings = inputs.read_ahead(samples, self.size, signatures=details, images=details, aligner=aligner)
        for batch in _batches(readings, batch_for(self.size, BATCH), MAX_HELD if details else None):
            readable = [reading.resized for reading in batch if not reading.error]
            outputs = self.scorer(np.stack(readable)) if readable else {}
            columns = [np.asarray(values) for values in outputs.values()]
            rows = (dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True))
            for reading in batch:
                if reading.error:
                    yield Prediction(reading.sample, error=reading.error)
                else:
                    yield self._prediction(reading, next(rows), threshold, details)

    def score(self, given) -> np.ndarray:
        """Scores ``(n,)``, float32; higher is more anomalous. NaN, and a warning, for a file that cannot be read."""
        predictions = [p.bare() for p in self.stream(given)]
        for p in predictions:
            if p.error:
                log.warning("%s: %s", p.name, p.error)
        return np.array([np.nan if p.error else p.score for p in predictions], np.float32)

    def inspect(self, given, threshold: float | None = None) -> list[Prediction]:
        """A `Prediction` of each image, with its anomaly map; arguments as in `stream`."""
        stream = self.stream(given, threshold, details=True)
        return [dataclasses.replace(p, image=None, signature=None) for p in stream]

    def explain(self, given, method: str | None = None) -> Prediction:
        """The `Prediction` of one image, with its anomaly map by ``method`` and its pixels.

        Args:
            given: one path or array.
            method: ``"patches"`` (distance of each patch to its nearest reference patch; where the recipe
                compares patches), ``"attention"`` (where the network has it), ``"saliency"`` (gradient of the
                score), ``"gradcam"`` (feature maps that raise the score), or None for the first of these it has.

        Raises:
            ValueError: not one image, or a method this detector does not have.
            fsad.images.ImageError: the image cannot be read.
        """
        if method is not None and method not in self.methods:
            raise ValueError(f"Expected a method among {', '.join(self.methods)}. Received: {method!r}")
        samples = inputs.find(given)
        if len(samples) != 1:
            raise ValueError(f"Expected one image to explain. Received: {len(samples)}")
        (prediction,) = self.stream(samples, details=True)
        if prediction.error:
            raise ImageError(prediction.name, prediction.error)
        if method is not None and method != self.methods[0]:
            (reading,) = inputs.read_ahead([inputs.Sample(prediction.image)], self.size, aligner=self._known().aligner)
            from fsad.explain import methods

            anomaly_map = self._back(methods.anomaly_map(self._known(), method, reading.resized), reading)
            prediction = dataclasses.replace(prediction, anomaly_map=anomaly_map)
        return prediction

    def display_map(self, prediction: Prediction, method: str | None = None) -> np.ndarray:
        """The anomaly map of a prediction in [0, 1] for display.

        Patch distances are on one scale for all images: 0.5 is the threshold, so that good images stay
        dark. The others have no such scale; each image's own 99.5th percentile becomes 1.
        """
        if (method or self.methods[0]) != "patches":
            from fsad.explain import overlay

            return overlay.normalize(prediction.anomaly_map)
        low, high = self._known().map_range
        return np.clip((prediction.anomaly_map - low) / (high - low), 0, 1)

    def evaluate(self, given, progress: bool = True) -> dict:
        """Metrics on labelled images; see `fsad.evaluation.evaluate`."""
        return evaluation.evaluate(self, given, progress)

    def save(self, folder) -> Path:
        """Writes the detector to a folder, replacing a detector there; see `fsad.storage`.

        With it goes the graph by which it scores without TensorFlow, checked on training images, where the packages
        that write one are installed.
        """
        arrays, note = self._known().pack()
        settings = {k: {"keras_model": v.name} if is_model(v) else v for k, v in self.settings.items()}
        header = {
            "fsad": fsad.__version__,
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "recipe": {"name": self.recipe, "settings": settings, "options": dataclasses.asdict(self.options)},
        }
        graph = self.fitted.graph
        if graph is None:
            from fsad.export import onnx

            graph = onnx.graph_of(self)
        storage.save(folder, self.fitted.network.weights(), arrays, {**header, **note}, graph)
        self.folder = Path(folder)
        return self.folder

    def _known(self):
        if self.fitted is None:
            raise RuntimeError("Expected a fitted detector. Received: a new one; call fit first")
        return self.fitted

    def _back(self, anomaly_map, reading):
        """The map of an image as it lies in its file."""
        if reading.aligned is None or reading.aligned.matrix is None:
            return anomaly_map
        return alignment.back(anomaly_map, reading.aligned.matrix, self.size)

    def _prediction(self, reading, outputs, threshold, details):
        score, views = float(outputs["score"]), self.fitted.views
        if not np.isfinite(score):  # which no comparison calls defective
            return Prediction(reading.sample, error="the network gives no finite score: its weights are damaged")
        anomaly_map = None
        if details:
            anomaly_map = outputs.get("anomaly_map")
            if anomaly_map is None:
                from fsad.explain import methods

                anomaly_map = methods.anomaly_map(self.fitted, self.methods[0], reading.resized)
            anomaly_map = self._back(anomaly_map, reading)
        limit, found = self.fitted.map_limit, None
        if details and limit is not None:
            found = regions.find(anomaly_map, reading.image.shape[:2], limit)
        return Prediction(
            reading.sample,
            score=score,
            verdict=self.threshold.verdict(score, threshold),
            confidence=float(self.threshold.confidence(score, threshold)),
            nearest=int(np.argmin(outputs["per_reference"])) // views,
            anomaly_map=anomaly_map,
            regions=found,
            condition=drift.numbers(reading.resized),
            aligned=None if reading.aligned is None else reading.aligned.matrix is not None,
            image=reading.image,
            signature=reading.signature,
        )


def load(folder) -> Detector:
    """A saved detector, ready to score; loading runs no code from the folder.

    Raises:
        fsad.storage.DetectorError: not a detector, damaged, or of a newer format.
    """
    weights, arrays, note, graph = storage.load(folder)

    def build():
        from fsad import recipes
        from fsad.backbones import own

        try:
            settings = {**own.revived(note["settings"]), "weights": "none"}
            model = recipes.RECIPES[note["recipe"]["name"]](**settings).model
            model.set_weights(weights)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise storage.DetectorError(folder, f"cannot be built ({type(error).__name__}: {error})") from error
        return model

    try:
        recipe = note["recipe"]
        detector = Detector(recipe["name"], **recipe["options"], **recipe["settings"])
        detector.fitted = Fitted.unpack(Network(build, weights), graph, arrays, note)
        detector.folder = Path(folder)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise storage.DetectorError(folder, f"detector.json is damaged ({type(error).__name__}: {error})") from error
    return detector


def _batches(readings, size, most=None):
    """Lists of ``size`` readings, fewer if their images have more than ``most`` pixels together."""
    batch, pixels = [], 0
    for reading in readings:
        batch.append(reading)
        pixels += 0 if reading.error else reading.size[0] * reading.size[1]
        if len(batch) == size or (most and pixels > most):
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
