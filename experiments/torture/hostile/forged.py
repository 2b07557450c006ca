"""Detectors whose note or arrays are made to do harm, with hashes that fit."""

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

from experiments.torture.hostile.guard import PATH


class Reduce:
    """A pickle that calls something."""

    def __reduce__(self):
        return os.system, (f"touch {PATH}",)


def rewritten(folder, note=None, **files):
    """Puts changed contents into a detector, and hashes that fit."""
    from fsad import storage

    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    text = json.loads((folder / "detector.json").read_text())
    text = note(text) if note else text
    if isinstance(text, dict):
        text["files"] = {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (*storage.FILES, storage.GRAPH)
            if (folder / name).exists()
        }
        text["sha256"] = storage._digest(json.loads(json.dumps(text)))
    (folder / "detector.json").write_text(json.dumps(text))


def _set(*path, to):
    """A change of one value in the note."""

    def change(note):
        place = note
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        return note

    return lambda folder: rewritten(folder, change)


def _backbone(module, name, config=None, registered=None):
    layer = {"module": module, "class_name": name, "config": config or {}, "registered_name": registered}
    return _set("settings", "backbone", to=layer)


def _functional(layer):
    """A network of one layer, as Keras describes one."""
    given = {
        "module": "keras.layers", "class_name": "InputLayer", "registered_name": None, "name": "i", "inbound_nodes": [],
        "config": {"batch_shape": [None, 96, 96, 3], "dtype": "float32", "name": "i"},
    }  # fmt: skip
    node = {"args": [{"class_name": "__keras_tensor__",
                      "config": {"shape": [None, 96, 96, 3], "dtype": "float32", "keras_history": ["i", 0, 0]}}],
            "kwargs": {}}  # fmt: skip
    layer = {"registered_name": None, "name": "l", "inbound_nodes": [node], **layer}
    config = {"name": "b", "trainable": True, "layers": [given, layer], "input_layers": [["i", 0, 0]],
              "output_layers": [["l", 0, 0]]}  # fmt: skip
    return _set(
        "settings", "backbone",
        to={"module": "keras.src.models.functional", "class_name": "Functional", "config": config,
            "registered_name": "Functional"},
    )  # fmt: skip


def _layer(module, name, **config):
    return _functional({"module": module, "class_name": name, "config": {"name": "l", **config}})


def _array(name, change):
    """Other arrays in an ``.npz``."""

    def apply(folder):
        import numpy as np

        with np.load(folder / f"{name}.npz") as file:
            arrays = change(dict(file))
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        rewritten(folder, **{f"{name}_npz": packed.getvalue()})

    return apply


def _zip(name, *members):
    def apply(folder):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for inner, content in members:
                file.writestr(inner, content)
        rewritten(folder, **{f"{name}_npz": packed.getvalue()})

    return apply


def _npy(shape, descr="'<f4'", data=b""):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def _lying(size):
    """A member of 16 MB of zeros that is said to have another size."""

    def apply(folder):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("references.npy", _npy(f"({2**22},)", data=bytes(2**24)))
            file.filelist[0].file_size = size
        rewritten(folder, references_npz=packed.getvalue())

    return apply


def _linked(name):
    def apply(folder):
        Path(PATH).write_text("secret")
        (folder / name).unlink()
        (folder / name).symlink_to(PATH)

    return apply


def _nested(note):
    deep = []
    for _ in range(900):
        deep = [deep]
    return {**note, "settings": {"backbone": {"class_name": "x", "config": deep}}}


NOTE = {
    "threshold a text": _set("threshold", "value", to="high"),
    "threshold a list": _set("threshold", "value", to=[1]),
    "threshold null": _set("threshold", "value", to=None),
    "threshold 1e400": lambda folder: rewritten(
        folder, lambda n: {**n, "threshold": {**n["threshold"], "value": 10**400}}
    ),
    "scale zero": _set("threshold", "scale", to=0),
    "map range reversed": _set("map_range", to=[1, 0]),
    "map range a text": _set("map_range", to="ab"),
    "map limit a text": _set("map_limit", to="x"),
    "a threshold of more fields": _set("threshold", "__class__", to="x"),
    "recipe unknown": _set("recipe", "name", to="os.system"),
    "recipe a list": _set("recipe", to=[]),
    "options of others": _set("recipe", "options", to={"__init__": 1}),
    "options with a path": _set("recipe", "options", "group_pattern", to="(a+)+$"),
    "methods unknown": _set("methods", to=["__import__('os')"]),
    "training empty": _set("training", to=[]),
    "training numbers out of range": _set("training", 0, "image", to=10**6),
    "training negative": _set("training", 0, "reference", to=-5),
    "training a text": _set("training", to="abc"),
    "names with escapes": _set("training", 0, "name", to="\x1b]0;x\x07</script><script>alert(1)</script>"),
    "warnings with escapes": _set("warnings", to=["\x1b[2J"]),
    "format a text": _set("format", to="5; import os"),
    "format huge": _set("format", to=10**30),
    "note a list": lambda folder: rewritten(folder, lambda note: [note]),
    "note nested": lambda folder: rewritten(folder, _nested),
    "files elsewhere": lambda folder: (
        Path(PATH).write_text("secret"),
        rewritten(folder, lambda note: {**note, "files": {**note["files"], f"../../..{PATH}": "0"}}),
    ),
    "places in the note": _set("places", to=[[[0, 0]]]),
    "places a text": _set("places", to="here"),
    "weights a link": _linked("weights.npz"),
    "graph a link": _linked("scorer.onnx"),
}


ARRAYS = {
    "a pickle among the weights": _zip("weights", ("0000.npy", _npy("()", "'|O'", pickle.dumps(Reduce())))),
    "a pickle among the references": _zip(
        "references", ("references.npy", _npy("(1,)", "'|O'", pickle.dumps(Reduce())))
    ),
    "a pickle in place of the weights": lambda folder: rewritten(folder, weights_npz=pickle.dumps(Reduce())),
    "a header that is code": _zip("weights", ("0000.npy", _npy("__import__('os').system('true')"))),
    "a type that is code": _zip("weights", ("0000.npy", _npy("(1,)", "__import__('os')"))),
    "a shape beyond memory": _zip("weights", ("0000.npy", _npy(f"({2**50},)"))),
    "a negative shape": _zip("weights", ("0000.npy", _npy("(-1,)"))),
    "a header of a megabyte": _zip("weights", ("0000.npy", _npy("(" + "1," * 30_000 + ")"))),
    "members outside": _zip("weights", (f"../../../..{PATH}", b"x"), ("0000.npy", _npy("(1,)", data=bytes(4)))),
    "a member said to be of a terabyte": _lying(2**40),
    "a member larger than it says": _lying(100),
    "no member": _zip("references"),
    "references that are no numbers": _array(
        "references", lambda a: {**a, "references": a["references"] * float("nan")}
    ),
    "references as text": _array("references", lambda a: {**a, "references": a["references"].astype("U8")}),
    "references of no size": _array("references", lambda a: {**a, "references": a["references"][:0]}),
    "images of another size": _array("references", lambda a: {**a, "images": a["images"][:, :8]}),
    "images as floats": _array("references", lambda a: {**a, "images": a["images"].astype("f8")}),
    "places of another shape": _array("references", lambda a: {**a, "places": a["places"][:, :1]}),
    "places that are complex": _array("references", lambda a: {**a, "places": a["places"] * (1 + 0j)}),
    "places far outside": _array("references", lambda a: {**a, "places": a["places"] * 1e30}),
    "signatures infinite": _array("references", lambda a: {**a, "signatures": a["signatures"] * float("inf")}),
    "arrays of other names": _array("references", lambda a: {**a, "model": a["images"], "__class__": a["images"]}),
    "weights too few": _array("weights", lambda a: dict(list(a.items())[:-1])),
    "weights of other shapes": _array("weights", lambda a: {k: v.ravel() for k, v in a.items()}),
}


NETWORKS = {
    "backbone a lambda": _layer(
        "keras.layers", "Lambda", function={"class_name": "__lambda__", "config": {"code": "x"}}
    ),
    "backbone a lambda by another way": _layer("keras", "layers.Lambda", function="x"),
    "backbone a TFSMLayer": _layer("keras.layers", "TFSMLayer", filepath=PATH),
    "activation a TFSMLayer": _layer(
        "keras.layers", "Activation", activation={"module": "keras.layers", "class_name": "TFSMLayer",
                                                  "config": {"filepath": PATH}, "registered_name": None},
    ),
    "activation a function": _layer("keras.layers", "Activation", activation={
        "module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"}),
    "activation by name": _layer("keras.layers", "Activation", activation="os.system"),
    "a function of os": _backbone("os", "system", {"command": "true"}),
    "a function of builtins": _backbone("builtins", "exec", {"source": "1"}),
    "a data set": _backbone("keras.datasets", "mnist.load_data"),
    "a setting of Keras": _backbone("keras.config", "set_floatx", {"value": "float16"}),
    "a gallery of images": _backbone("keras.visualization", "plot_image_gallery", {"path": PATH}),
    "a model by its path": _backbone("keras.models", "load_model", {"filepath": PATH}),
    "a file of weights": _backbone("keras.utils", "get_file", {"origin": "http://127.0.0.1:9/x"}),
    "registered by another": _backbone("keras.layers", "Dense", {"units": 1}, "os>system"),
    "backbone a path": _set("settings", "backbone", to=PATH),
    "backbone a function of applications": _set("settings", "backbone", to="preprocess_input"),
    "weights by a path": _set("settings", "weights", to=PATH),
    "region by a path": _set("settings", "roi", to=PATH),
    "a side beyond memory": _set("settings", "side", to=[10**6, 10**6]),
    "a side that is none": _set("settings", "side", to=[-1, 0]),
    "settings of no recipe": _set("settings", "__class__", to=1),
    "a nested shape": _layer("keras.layers", "Reshape", target_shape=[2**40, 2**40]),
    "units beyond memory": _layer("keras.layers", "Dense", units=2**40),
}  # fmt: skip
