"""What a detector knows once it is fitted, and how it is packed into a folder."""

import dataclasses
import functools
import numbers
from typing import NamedTuple

import numpy as np

from fsad import alignment, thresholds
from fsad.images import shrunk

THUMBNAIL = 160  # pixels


@dataclasses.dataclass(frozen=True)
class Options:
    """How to fit, beside the recipe's own settings; see `fsad.detector.Detector`."""

    false_alarm_rate: float | None = None
    miss_rate: float | None = None
    max_references: int = 32
    folds: int = 4
    seed: int = 0
    precision: str | None = None
    group_pattern: str | None = None
    align: bool = False

    def __post_init__(self):
        for name in ("false_alarm_rate", "miss_rate", "max_references", "folds", "seed"):
            check_number(name, getattr(self, name))
        if self.max_references < 1 or self.folds < 0:
            raise ValueError(
                f"Expected max_references >= 1 and folds >= 0. Received: {self.max_references} and {self.folds}"
            )


def check_number(name, value):
    """Raises ValueError for an argument that is neither a number nor None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        raise ValueError(f"Expected a number as {name}. Received: {value!r}")


class Outcome(NamedTuple):
    """What comes of embedding or training, before there is a threshold.

    Attributes:
        references: embeddings ``(r v, ...)``, as in `Fitted`.
        chosen: ``(r,)``, the rows of their images.
        scores: held-out scores ``(n,)``, NaN where there is none; None where no image could be held out.
        maps: held-out anomaly maps ``(n, h, w)``; None where there are none.
        places: as in `Fitted`.
    """

    references: np.ndarray
    chosen: np.ndarray
    scores: np.ndarray | None
    maps: np.ndarray | None = None
    places: np.ndarray | None = None


class Network:
    """A two-input model that is built when it is asked for first.

    Args:
        build: a function that makes it.
        weights: the arrays of its weights, in its order, if they are known without it.
    """

    def __init__(self, build, weights=None):
        self._build, self._weights = build, weights

    @functools.cached_property
    def model(self):
        """The `keras.Model`."""
        return self._build()

    def weights(self):
        """The arrays of its weights, in its order."""
        return self.model.get_weights() if self._weights is None else self._weights


def is_model(setting):
    """Whether a setting is a Keras model, asked without Keras."""
    return hasattr(setting, "get_config")


def _described(model):
    from fsad.backbones import own  # with Keras, which is there if the model is

    return own.described(model)


def _is_reference(record):
    return record["reference"] is not None


def display_range(low, threshold):
    """Values of an anomaly map shown as 0 and 1: the threshold is the middle."""
    return low, max(2 * threshold - low, low + 1e-6)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What a detector knows once it is fitted.

    Attributes:
        network: a `Network`, the two-input model, built when it is asked for: scoring by the graph needs none.
        methods: names of the explanation methods, the best first (`fsad.explain.methods`).
        reduction: of its dissimilarities to the score.
        weights: what its backbone started from.
        references: embeddings ``(r v, ...)`` of r images in v views each (`fsad.scoring.embed_references`); of patches,
            ``(r v, 1, p, C)`` where they are thinned.
        places: of references that are patches, x and y of their centres in [0, 1] of an image's sides ``(r v, p, 2)``;
            None of others, and of a detector that an earlier version saved.
        threshold: a `fsad.thresholds.Threshold`.
        map_range: patch distances shown as 0 and 1, or None.
        map_limit: the threshold of maps, above which their regions lie (`fsad.regions`), or None.
        training: a dict for each training image with ``name``, ``role`` (``"good"``, ``"defective"``), ``sha256``,
            ``part`` (its name, where a pattern or the layout tells it), ``group`` (equal for
            images of one part), ``reference`` (its number or None), ``score``
            (held out, or None), ``image`` (its row in ``images``, or None) and, of what was learned later,
            ``learned``, the number of its entry in the journal, from 1 on.
        images: uint8 ``(s, height, width, 3)``, training images as the network takes them, by which the detector
            learns on and is checked without the files.
        signatures: ``(t, 64, 64)`` of the training images, by which other photographs of the same parts are recognised.
        warnings: what a user should know.
        settings: those that the network was built with, a dict.
        graph: the network, references and all else that a score takes, as an ONNX file's bytes, of a detector that was
            saved and loaded; None before, or where the packages that write one were not installed.
        reference: uint8 ``(height, width, 3)``, the image that all are aligned to (`fsad.alignment`), or None.
        journal: a dict for each time the detector learned (`fsad.learning`).
    """

    network: Network = dataclasses.field(repr=False)
    methods: tuple
    reduction: str
    weights: str
    references: np.ndarray
    threshold: thresholds.Threshold
    map_range: tuple | None
    map_limit: float | None
    training: tuple
    images: np.ndarray
    signatures: np.ndarray
    warnings: tuple
    settings: dict
    journal: tuple = ()
    reference: np.ndarray | None = None
    places: np.ndarray | None = None
    graph: bytes | None = dataclasses.field(default=None, repr=False)

    @property
    def model(self):
        """The two-input model, a `keras.Model`."""
        return self.network.model

    @property
    def size(self):
        """``(height, width)`` of the images the network takes, in pixels."""
        return tuple(self.images.shape[1:3])

    @property
    def reference_images(self):
        """The reference images as the network takes them, uint8 ``(r, height, width, 3)``."""
        rows = [r["image"] for r in sorted(filter(_is_reference, self.training), key=lambda r: r["reference"])]
        return self.images[rows]

    @functools.cached_property
    def thumbnails(self):
        """The reference images, uint8 ``(r, h, w, 3)``, the longer side at most `THUMBNAIL` pixels."""
        return np.stack([shrunk(image, THUMBNAIL) for image in self.reference_images])

    @functools.cached_property
    def aligner(self):
        """The `fsad.alignment.Aligner` of images, None where they are taken as they lie."""
        return None if self.reference is None else alignment.Aligner(self.reference)

    @property
    def views(self):
        """How many views of each reference image the references hold."""
        return len(self.references) // sum(map(_is_reference, self.training))

    def with_threshold(self, threshold):
        """The same with another threshold, and the warnings that come with it."""
        own = [text for text in self.warnings if text not in self.threshold.warnings]
        low = None if self.map_range is None else self.map_range[0]
        shown = None if low is None else display_range(low, threshold.value)
        return dataclasses.replace(self, threshold=threshold, map_range=shown, warnings=(*own, *threshold.warnings))

    def pack(self):
        """``(arrays, note)``: the arrays, and the rest as JSON values; model and graph are saved on their own."""
        own = [field.name for field in dataclasses.fields(self) if field.name not in ("network", "graph")]
        values = {name: getattr(self, name) for name in own}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        arrays["signatures"] = arrays["signatures"].astype(np.float16)  # a third of the folder otherwise
        note = {name: value for name, value in values.items() if name not in arrays}
        return arrays, {
            **note,
            "threshold": dataclasses.asdict(self.threshold),
            "settings": {k: _described(v) if is_model(v) else v for k, v in self.settings.items()},
        }

    @classmethod
    def unpack(cls, network, graph, arrays, note):
        """The reverse of `pack`; raises KeyError, TypeError or ValueError for what `pack` did not make."""
        values = {field.name: note[field.name] for field in dataclasses.fields(cls) if field.name in note}
        values.setdefault(
            "methods", ("patches", "saliency", "gradcam") if values["map_range"] else ("saliency", "gradcam")
        )
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        limits = {k: tuple(v) if isinstance(v, list) else v for k, v in note["threshold"].items()}
        numbers = [
            limits["value"],
            limits["scale"],
            *limits["good"],
            *limits["defective"],
            *(values["map_range"] or ()),
        ]
        count, images = sum(map(_is_reference, note["training"])), arrays["images"]
        if not count or not len(arrays["references"]) or len(arrays["references"]) % count:
            raise ValueError(f"expected embeddings of {count} references. Received: {len(arrays['references'])}")
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(f"expected images, uint8 (s, height, width, 3). Received: {images.dtype} {images.shape}")
        if not np.isfinite(np.array(numbers, float)).all() or not np.isfinite(arrays["references"]).all():
            raise ValueError("expected finite numbers. Received: NaN or infinity")
        if note.get("places") is not None or note.get("reference") is not None:
            raise ValueError("expected places and reference image as arrays. Received: others")
        places, shape = arrays.get("places"), arrays["references"].shape
        expected = (shape[0], int(np.prod(shape[1:3])), 2)
        if places is not None and (
            places.dtype.kind != "f" or places.shape != expected or not ((places >= 0) & (places <= 1)).all()
        ):
            raise ValueError(f"expected places {expected} in [0, 1]. Received: {places.dtype} {places.shape}")
        arrays = {**arrays, "signatures": arrays["signatures"].astype(np.float32)}
        return cls(
            **{**values, **arrays, "network": network, "graph": graph, "threshold": thresholds.Threshold(**limits)}
        )
