"""Detector: fit, score, inspect, explain, evaluate, save, load: what a user holds."""

import collections
import dataclasses
import datetime
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

import fsad
from fsad import evaluation, fitting, images, pictures, recipes, siamese, storage, thresholds
from fsad.explain import attention, gradcam, overlay, saliency

log = logging.getLogger(__name__)

DEFAULT = "patches"
BATCH = 8
VERDICTS = ("good", "defective")


class Detector:
    """Tells defective pictures from good ones after a few of each. ``runtime`` names what scores them.

    Args:
        recipe: a name in `fsad.recipes.RECIPES`. ``"patches"`` is the default since it ranks real parts best
            (``experiments/results/study_few_magnetic_tile.md``); ``"senarathna"`` is the paper's and needs
            defective pictures.
        false_alarm_rate, miss_rate: what the threshold aims at; see `fsad.thresholds.choose`.
        max_references: good pictures kept to compare with; the others only help to set the threshold.
        folds: trainings that hold pictures out, to set the threshold of a recipe that is trained.
        seed: of every random draw.
        precision: of training, ``"float32"`` or ``"mixed_bfloat16"``; by `fsad.training.fast_precision` if None.
        settings: of the recipe, such as ``backbone``, ``weights``, ``side``, ``epochs``.
    """

    def __init__(
        self,
        recipe=DEFAULT,
        false_alarm_rate=None,
        miss_rate=None,
        max_references=32,
        folds=4,
        seed=0,
        precision=None,
        **settings,
    ):
        if recipe not in recipes.RECIPES:
            raise ValueError(f"Expected a recipe among {', '.join(recipes.RECIPES)}. Received: {recipe!r}")
        if max_references < 1 or folds < 0:
            raise ValueError(f"Expected max_references >= 1 and folds >= 0. Received: {max_references} and {folds}")
        self.recipe = recipe
        self.settings = {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}
        self.options = fitting.Options(false_alarm_rate, miss_rate, max_references, folds, seed, precision)
        self.fitted = None
        self._forget()

    def fit(self, good, defect=None, progress=True):
        """Learns from good pictures and, if there are any, defective ones.

        Args:
            good, defect: paths, folders, globs or arrays (`fsad.pictures.find`). Files that cannot be
                read are left out and named in a warning.
            progress: show progress bars on standard error.

        Returns:
            The detector.

        Raises:
            FileNotFoundError, ValueError: no pictures, too few, or pictures of the wrong kind.
        """
        self.fitted = fitting.fit(self.recipe, self.settings, self.options, good, defect, progress)
        self._forget()
        return self

    @property
    def threshold(self):
        """The `fsad.thresholds.Threshold` set by `fit`."""
        return self._known().threshold

    @property
    def model(self):
        """The two-picture Keras model."""
        return self._known().model

    @property
    def side(self):
        """Side of the pictures the model takes, in pixels."""
        return self.model.input_shape[0][1]

    def judge(self, batch):
        """Pictures -> score and map, as tensors; what `fsad.export` writes down.

        Args:
            batch: tensor ``(B, side, side, 3)`` in [0, 255].

        Returns:
            As `fsad.siamese.against`.
        """
        fitted = self._known()
        backbone, neck, _ = siamese.parts(fitted.model)
        embeddings = neck(backbone(tf.cast(batch, tf.float32), training=False), training=False)
        return siamese.against(fitted.model, embeddings, tf.constant(fitted.references), fitted.reduction)

    def traced(self):
        """`judge` of uint8 pictures as a ``tf.function``."""
        if self._compiled is None:
            shape = (None, self.side, self.side, 3)
            self._compiled = tf.function(self.judge, input_signature=[tf.TensorSpec(shape, tf.uint8, "pictures")])
        return self._compiled

    def use(self, judge, runtime):
        """Scores by a function like `traced` from here on, of the runtime named (`fsad.export.runtime.choose`)."""
        self._judge, self.runtime = judge, runtime

    def stream(self, given, threshold=None, maps=False):
        """Yields a `fsad.pictures.Finding` a picture, in order, as each is done. Bad files come with ``error``.

        Args:
            given: paths, folders, globs or arrays (`fsad.pictures.find`).
            threshold: in place of the detector's own.
            maps: also give the map, and the picture as read.
        """
        found, fitted = pictures.find(given), self._known()
        judge = self._judge or self.traced()
        cut = fitted.threshold.value if threshold is None else threshold
        views = len(fitted.references) // len(fitted.thumbnails)

        def read(item):
            try:
                picture = item.read()
                return picture if maps else None, images.resize(picture, self.side)
            except images.ImageError as error:
                return error

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            ahead, waiting = collections.deque(), iter(found)
            for start in range(0, len(found), BATCH):
                while len(ahead) < 2 * BATCH and (item := next(waiting, None)) is not None:
                    ahead.append((item, pool.submit(read, item)))
                batch = [ahead.popleft() for _ in range(min(BATCH, len(found) - start))]
                batch = [(item, future.result()) for item, future in batch]
                whole = [r[1] for _, r in batch if not isinstance(r, images.ImageError)]
                out = {k: iter(np.asarray(v)) for k, v in judge(np.stack(whole)).items()} if whole else {}
                for item, result in batch:
                    told = {"name": item.name, **{k: getattr(item, k) for k in ("label", "kind", "mask", "part")}}
                    if isinstance(result, images.ImageError):
                        yield pictures.Finding(error=result.reason, **told)
                        continue
                    one = {k: next(v) for k, v in out.items()}
                    score, heat = float(one["score"]), one.get("map")
                    if maps and heat is None:
                        heat = self._heat(self.methods[0], result[1])
                    yield pictures.Finding(
                        score=score,
                        verdict=VERDICTS[score > cut],
                        confidence=float(fitted.threshold.confidence(score, cut)),
                        nearest=int(np.argmin(one["dissimilarity"])) // views,
                        map=heat if maps else None,
                        picture=result[0],
                        **told,
                    )

    def score(self, given):
        """Scores ``(n,)``, float32; higher is more anomalous. NaN, and a warning, for a file that cannot be read."""
        findings = [f.bare() for f in self.stream(given)]
        for f in findings:
            if f.error:
                log.warning("%s: %s", f.name, f.error)
        return np.array([np.nan if f.error else f.score for f in findings], np.float32)

    def inspect(self, given, threshold=None):
        """A `Finding` a picture: score, verdict, confidence, nearest reference, map; arguments as in `stream`."""
        return [dataclasses.replace(f, picture=None) for f in self.stream(given, threshold, maps=True)]

    def explain(self, given, method=None):
        """The `Finding` of one picture, with its map by ``method`` and its pixels.

        Args:
            given: one path or array.
            method: ``"patches"`` (distance of each patch to its nearest reference patch; where the recipe
                compares patches), ``"attention"`` (where the network has it), ``"saliency"`` (gradient of the
                score), ``"gradcam"`` (feature maps that raise the score), or None for the first of these it has.

        Raises:
            ValueError: not one picture, or a method this detector does not have.
            fsad.images.ImageError: the picture cannot be read.
        """
        methods = self.methods
        if method is not None and method not in methods:
            raise ValueError(f"Expected a method among {', '.join(methods)}. Received: {method!r}")
        found = pictures.find(given)
        if len(found) != 1:
            raise ValueError(f"Expected one picture to explain. Received: {len(found)}")
        (finding,) = self.stream(given, maps=True)
        if finding.error:
            raise images.ImageError(finding.name, finding.error)
        if method is not None and method != methods[0]:
            heat = self._heat(method, images.resize(finding.picture, self.side))
            finding = dataclasses.replace(finding, map=heat)
        return finding

    @property
    def methods(self):
        """Names of the explanation methods, the best for this detector first."""
        fitted = self._known()
        native = ("patches",) if fitted.map_range else ("attention",) if attention.has_attention(fitted.model) else ()
        return (*native, "saliency", "gradcam")

    def heat(self, finding, method=None):
        """The map of a finding in [0, 1] for display.

        Patch distances are on one scale for all pictures: 0.5 is the threshold, so that good pictures stay
        dark. The others have no such scale; each picture's own 99.5th percentile becomes 1.
        """
        limits = self._known().map_range
        if limits is None or method not in (None, "patches"):
            return overlay.normalize(finding.map)
        return np.clip((finding.map - limits[0]) / (limits[1] - limits[0]), 0, 1)

    def evaluate(self, given, progress=True):
        """Metrics on labelled pictures; see `fsad.evaluation.evaluate`."""
        return evaluation.evaluate(self, given, progress)

    def save(self, folder):
        """Writes the detector to a folder, replacing a detector there; see `fsad.storage`."""
        fitted = self._known()
        note = {
            "fsad": fsad.__version__,
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "recipe": {"name": self.recipe, "settings": self.settings, "options": dataclasses.asdict(self.options)},
            **{k: getattr(fitted, k) for k in ("weights", "reduction", "map_range", "warnings", "training")},
            "threshold": dataclasses.asdict(fitted.threshold),
        }
        arrays = {k: getattr(fitted, k) for k in ("references", "thumbnails")}
        arrays["signatures"] = fitted.signatures.astype(np.float16)  # a third of the folder otherwise
        storage.save(folder, fitted.model, arrays, note)
        return Path(folder)

    def _known(self):
        if self.fitted is None:
            raise RuntimeError("Expected a fitted detector. Received: a new one; call fit first")
        return self.fitted

    def _forget(self):
        self._compiled = self._judge = None
        self.runtime = "tensorflow"

    def _heat(self, method, picture):
        fitted = self._known()
        if method == "attention":
            return attention.attention(fitted.model, picture[None])[0]
        if method == "gradcam":
            return gradcam.of_score(fitted.model, picture[None], fitted.references, fitted.reduction)[0]
        return saliency.saliency(fitted.model, picture[None], fitted.references, reduction=fitted.reduction)[0]


def load(folder):
    """A saved detector, ready to score; loading runs no code from the folder.

    Raises:
        fsad.storage.DetectorError: not a detector, damaged, or of a newer format.
    """
    model, arrays, note = storage.load(folder)
    try:
        recipe = note["recipe"]
        detector = Detector(recipe["name"], **recipe["options"], **recipe["settings"])
        threshold = {k: tuple(v) if isinstance(v, list) else v for k, v in note["threshold"].items()}
        detector.fitted = fitting.Fitted(
            model=model,
            threshold=thresholds.Threshold(**threshold),
            references=arrays["references"],
            thumbnails=arrays["thumbnails"],
            signatures=arrays["signatures"].astype(np.float32),
            map_range=note["map_range"] and tuple(note["map_range"]),
            **{k: note[k] for k in ("weights", "reduction")},
            **{k: tuple(note[k]) for k in ("warnings", "training")},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise storage.DetectorError(folder, f"detector.json is damaged ({type(error).__name__}: {error})") from error
    return detector
