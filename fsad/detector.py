"""Detector: fit, score, inspect, explain, evaluate, save, load: what a user holds."""

import dataclasses
import datetime
import sys
from pathlib import Path

import fsad
from fsad import evaluation, inputs, storage
from fsad.fitted import Fitted, Network, Options, is_model
from fsad.images import ImageError
from fsad.prediction import Prediction
from fsad.scorer import Scorer

RECIPES = ("patches", "senarathna", "takimoto", "livieris")
DEFAULT = "patches"


class Detector(Scorer):
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
            (`fsad.inputs.load`), where several images show one part from different sides: they are not compared
            with each other when the threshold is set, and `evaluate` leaves out parts seen before.
        settings: of the recipe, such as ``backbone`` (a name or a Keras model, see `fsad.backbones.build`), ``layers``,
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
        known = getattr(sys.modules.get("fsad.recipes"), "RECIPES", RECIPES)  # a user may have added one
        if recipe not in known:
            raise ValueError(f"Expected a recipe among {', '.join(known)}. Received: {recipe!r}")
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
        if backbone is None and self.fitted:
            backbone = self.fitted.settings.get("backbone")
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

    def explain(self, given, method: str | None = None) -> Prediction:
        """The `Prediction` of one image, with its anomaly map by ``method`` and its pixels.

        Args:
            given: one path or array.
            method: a name in `fsad.explain.methods.NAMES` that this detector has (`methods`), such as ``"patches"``
                (distance of each patch to its nearest reference patch), ``"attention"``, ``"saliency"`` or ``"sinex"``;
                None for the first.

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

    def evaluate(self, given, progress: bool = True) -> dict:
        """Metrics on labelled images; see `fsad.evaluation.evaluate`."""
        return evaluation.evaluate(self, given, progress)

    def save(self, folder) -> Path:
        """Writes the detector to a folder, replacing a detector there; see `fsad.storage`.

        With it goes the graph by which it scores without TensorFlow, checked on training images, where the packages
        that write one are installed.
        """
        storage.check_writable(folder)
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


def load(folder) -> Detector:
    """A saved detector, ready to score; loading runs no code from the folder.

    Raises:
        fsad.storage.DetectorError: not a detector, damaged, or of a newer format.
    """
    weights, arrays, note, graph = storage.load(folder)

    def build():
        from tensorflow.errors import OpError

        from fsad import recipes
        from fsad.backbones import own

        try:
            settings = {**own.revived(note["settings"]), "weights": "none"}
            model = recipes.RECIPES[note["recipe"]["name"]](**settings).model
            model.set_weights(weights)
        except (ArithmeticError, AttributeError, LookupError, MemoryError, OpError, TypeError, ValueError) as error:
            raise storage.DetectorError(folder, f"cannot be built ({type(error).__name__}: {error})") from error
        return model

    try:
        recipe = note["recipe"]
        detector = Detector(recipe["name"], **recipe["options"], **recipe["settings"])
        detector.fitted = Fitted.unpack(Network(build, weights), graph, arrays, note)
        detector.folder = Path(folder)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise storage.DetectorError(folder, f"detector.json is damaged ({type(error).__name__}: {error})") from error
    return detector
