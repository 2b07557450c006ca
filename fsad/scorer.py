"""Scorer: a fitted detector's threshold, model and scores; imports no TensorFlow unless it must."""

import copy
import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from fsad import alignment, answers, drift, inputs, regions, thresholds
from fsad.fitted import Fitted
from fsad.images import batch_for
from fsad.prediction import Prediction

if TYPE_CHECKING:
    import keras

    from fsad.export import runtime as runtimes
    from fsad.layers import Comparison

log = logging.getLogger(__name__)

BATCH = 8
MAX_HELD = 50_000_000  # pixels of images at full size in a batch: 150 MB


class Scorer:
    """What scores images; `fsad.Detector` is one that can also be fitted, saved and taught.

    Attributes:
        fitted: a `fsad.fitted.Fitted`, None before the fit.
        folder: where it was saved last or loaded from, None before.
    """

    fitted: Fitted | None = None
    folder: Path | None = None
    _scorer = None

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
            band = min(old.unsure[0], new.value), max(old.unsure[1], new.value)
            how = new.how + "".join(old.how.partition("; unsure")[1:])
            new = dataclasses.replace(new, unsure=band, how=how)
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
        from fsad.explain import methods

        first = tuple(self._known().methods)  # as saved: by an earlier version, without those that came later
        return (*first, *(name for name in methods.GENERAL if name not in first))

    def compare(self, batch, references=None) -> "Comparison":
        """Images ``(B, height, width, 3)`` in [0, 255], any dtype -> their comparison with the references, as tensors.

        This is the graph that `fsad.export` writes down. ``references``, embedded, stand in for the detector's own.
        """
        import tensorflow as tf

        from fsad import scoring, siamese

        fitted = self._known()
        with tf.init_scope():  # a model that is built now is no part of a function that is being traced
            model = fitted.model
        embeddings = siamese.embedded(model, tf.cast(batch, tf.float32))
        references = tf.constant(fitted.references) if references is None else references
        return scoring.compare(model, embeddings, references, fitted.reduction)

    @property
    def scorer(self):
        """A function of uint8 images ``(B, height, width, 3)``, computed by `runtime`: a dict of ``score`` ``(B,)``,
        ``per_reference`` ``(B, R)`` and, where patches are compared, ``anomaly_map`` ``(B, h, w)`` and ``answer``
        ``(B, 4)`` (`fsad.layers.Comparison`)."""
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

    def traced(self, references_given=False):
        """`scorer` as a function of TensorFlow, which exports write down; its arguments as in
        `fsad.export.graph.signature`."""
        import tensorflow as tf

        from fsad.export import graph

        def scorer(images, *references):
            return {k: v for k, v in self.compare(images, *references)._asdict().items() if v is not None}

        return tf.function(scorer, input_signature=graph.signature(self, references_given), autograph=False)

    def with_runtime(self, runtime: "str | runtimes.Choice" = "auto", given=None) -> Self:
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

    def display_map(self, prediction: Prediction, method: str | None = None) -> np.ndarray:
        """The anomaly map of a prediction in [0, 1] for display.

        Patch distances are on one scale for all images: 0.5 is the threshold, so that good images stay
        dark. The others have no such scale; each image's own 99.5th percentile becomes 1.
        """
        method = method or self.methods[0]
        if method != "patches":
            from fsad.explain import methods, overlay

            return overlay.normalize(methods.shown(method, prediction.anomaly_map))
        low, high = self._known().map_range
        return np.clip((prediction.anomaly_map - low) / (high - low), 0, 1)

    def _known(self):
        if self.fitted is None:
            raise RuntimeError("Expected a fitted detector. Received: a new one; call fit first")
        return self.fitted

    def _back(self, anomaly_map, reading):
        """The map of an image as it lies in its file."""
        if reading.aligned is None or reading.aligned.matrix is None:
            return anomaly_map
        return alignment.back(anomaly_map, reading.aligned.matrix, self.size)

    def _answer(self, outputs, reading):
        """Which reference patch answers; None of a graph that was saved before it was asked, or that is wrong."""
        numbers, places = np.asarray(outputs.get("answer", ())), self.fitted.places
        if places is None or numbers.shape != (4,) or numbers.dtype.kind != "f" or not np.isfinite(numbers).all():
            return None
        if not 0 <= numbers[2] < places.shape[0] * places.shape[1]:
            return None
        answer = answers.of(numbers, places, self.fitted.views)
        if reading.aligned is None or reading.aligned.matrix is None:
            return answer
        return answer._replace(place=alignment.point_back(answer.place, reading.aligned.matrix, self.size))

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
        limit, outlines = self.fitted.map_limit, None
        if details and limit is not None:
            outlines = regions.find(anomaly_map, reading.image.shape[:2], limit)
        return Prediction(
            reading.sample,
            score=score,
            verdict=self.threshold.verdict(score, threshold),
            confidence=float(self.threshold.confidence(score, threshold)),
            nearest=int(np.argmin(outputs["per_reference"])) // views,
            anomaly_map=anomaly_map,
            answer=self._answer(outputs, reading),
            regions=outlines,
            condition=drift.numbers(reading.resized),
            aligned=None if reading.aligned is None else reading.aligned.matrix is not None,
            image=reading.image,
            signature=reading.signature,
        )


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
