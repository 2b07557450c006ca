"""What `experiments.benchmarks.speed` compares: sections, their contenders, and what each is compared with."""

import dataclasses
import sys
from pathlib import Path

from experiments.benchmarks import scoring

FOLDER, PATHS = "FOLDER/", "PATHS"  # of a command, and
GOOD, DEFECTIVE = "GOOD", "DEFECTIVE"  # so are these: put in when it is run
START = "Start-up, whole commands"
PYTORCH = "PyTorch"  # left out by --quick


@dataclasses.dataclass(frozen=True)
class Section:
    """``what``: the unit of work; ``contenders``: name -> ``(module:function, arguments)``, the baseline first;
    ``files``: images per turn for those that score. Arguments that are ``FOLDER`` and ``PATHS`` are filled in."""

    title: str
    what: str
    contenders: dict
    rounds: int
    files: int = 1
    slow: bool = False  # left out by --quick


def _runtimes(recipe):
    names = ("tensorflow", "onnx", "openvino", "openvino bfloat16")
    by_name = {f"fsad, {name}": ("scoring:fsad_scores", (FOLDER + recipe, PATHS, name)) for name in names}
    return {"Keras predict on pairs": ("scoring:baseline", (FOLDER + recipe, PATHS))} | by_name


def _files(recipe):
    names = ("tensorflow", "onnx", "openvino")
    return {f"fsad, {name}": ("scoring:fsad_files", (FOLDER + recipe, PATHS, name)) for name in names}


def _torch(recipe):
    arithmetics = ("float32", "bfloat16")
    return {f"{PYTORCH}, {kind}": ("scoring:torch_scores", (FOLDER + recipe, PATHS, kind)) for kind in arithmetics}


def _explain(method):
    arguments = {"one image, its pairs": False, "fsad": True}
    return {n: ("scoring:explain", (FOLDER + "senarathna", PATHS, method, b)) for n, b in arguments.items()}


def _training(name, ways):
    return {title: (f"training:{name}", arguments) for title, arguments in ways.items()}


KERAS = "Keras fit, two inputs, float32"
SECTIONS = {
    "score": Section("File to verdict, one image, 8 references, custom CNN", "image",
                     _runtimes("senarathna") | _torch("senarathna"), 11, slow=True),
    "batch": Section("64 images in memory, 8 references, custom CNN", "image",
                     _runtimes("senarathna") | _torch("senarathna"), 5, files=64, slow=True),
    "score_patches": Section("File to verdict, one image, 8 references, the Detector's default", "image",
                             _runtimes("patches"), 11),
    "batch_patches": Section("64 images in memory, 8 references, the Detector's default", "image",
                             _runtimes("patches"), 5, files=64, slow=True),
    "files_patches": Section("64 files to predictions, 8 references, the Detector's default", "image",
                             _files("patches"), 5, files=64),
    "train_s": Section("Training of paper S (custom CNN), an epoch", "pair", _training("senarathna", {
        KERAS: ("baseline",), "fsad, float32": ("fsad float32",), "fsad": ("fsad",)})
        | _training("senarathna_torch", {f"{PYTORCH}, {kind}": (kind,) for kind in ("float32", "bfloat16")}), 5),
    "train_t": Section("Training of paper T (VGG16, attention, branch), all pairs of 120 images, a step", "pair",
                       _training("takimoto", {KERAS: ("baseline",), "fsad, 16 pairs per step": ("pairs",),
                                              "fsad, 40 images per step": ("images",),
                                              "fsad, 60 images per step": ("images", 60)}), 3, slow=True),
    "train_l_frozen": Section("Training of paper L, ResNet50 frozen, an epoch of 64 pairs", "pair",
                              _training("livieris", {KERAS: ("baseline", True),
                                                     "fsad, features cached": ("fsad", True)}), 3, slow=True),
    "features": Section("Features of ResNet50, which is what comes before", "image", _training("features", {
        "fsad": ()}), 3, slow=True),
    "train_l": Section("Training of paper L, ResNet50 fine-tuned, a step of 4 pairs", "pair",
                       _training("livieris", {KERAS: ("baseline", False), "fsad": ("fsad", False)}), 3, slow=True),
    "saliency": Section("Pixel saliency, 16 images, 8 references, custom CNN", "map", _explain("saliency"), 5, 16),
    "gradcam": Section("Grad-CAM, 16 images, 8 references, custom CNN", "map", _explain("gradcam"), 5, 16, slow=True),
}  # fmt: skip
FSAD = str(Path(sys.executable).with_name("fsad"))
TENSORFLOW = "import tensorflow"
STARTS = {
    TENSORFLOW: [sys.executable, "-c", TENSORFLOW],
    "import fsad": [sys.executable, "-c", "import fsad"],
    "fsad --help": [FSAD, "--help"],
    "fsad score of one image, default, without a graph": [FSAD, "score", FOLDER + scoring.WITHOUT_GRAPH, PATHS],
    "fsad score of one image, default": [FSAD, "score", FOLDER + "patches", PATHS],
    "fsad score of one image, custom CNN": [FSAD, "score", FOLDER + "senarathna", PATHS],
    "fsad fit of 16 + 8 images, and a report on 8": [
        FSAD,
        "fit",
        GOOD,
        DEFECTIVE,
        "--out=" + FOLDER + "fitted",
        "--inspect=" + PATHS,
        "--report=" + FOLDER + "r.html",
    ],
}
BASES = {  # what the others are compared with
    "fsad score of one image, default": "fsad score of one image, default, without a graph",
    "fsad score of one image, custom CNN": "fsad score of one image, default, without a graph",
    "fsad fit of 16 + 8 images, and a report on 8": TENSORFLOW,
}


def title_of(key):
    return START if key == "start" else SECTIONS[key].title
