"""Detectors and weights made to do harm, with hashes that fit, loaded in a process whose every access is audited."""

import hashlib
import io
import json
import os
import pickle
import resource
import sys
import zipfile
from pathlib import Path

from experiments.torture import Attack, Outcome, copy

# Events of Python's audit hooks that none of them may cause. (Network: sockets are all that there is to it.)
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
    "socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request",
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "shutil.rmtree", "shutil.copyfile", "shutil.move", "tempfile.mkstemp", "tempfile.mkdtemp", "pickle.find_class",
    "ctypes.dlopen", "webbrowser.open", "os.putenv", "sys.setprofile", "sys.settrace",
)  # fmt: skip
MEMORY = 12 * 2**30  # bytes of addresses, beside which TensorFlow alone takes some
CANARY = "canary"  # in the names of files that nobody may open
PATH = f"/tmp/{CANARY}-of-fsad"


class _Reduce:
    """A pickle that calls something."""

    def __reduce__(self):
        return os.system, (f"touch {PATH}",)


def _guard(events):
    """From here on what is forbidden raises an error and is noted in ``events``."""

    def hook(name, arguments):
        bad = name in FORBIDDEN
        if name == "open":
            path, mode, flags = arguments
            writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR) or (isinstance(mode, str) and set(mode) & set("wax+"))
            named = isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path)
            # A device to throw away to, and temporary files without a name, harm nobody.
            bad = (bool(writes) and named not in ("/dev/null",)) or (named and CANARY in named)
        if bad:
            events.append(f"{name} {str(arguments)[:120]}")
            raise PermissionError(f"forbidden: {name}")

    sys.addaudithook(hook)


def _rewritten(folder, note=None, **files):
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

    return lambda folder: _rewritten(folder, change)


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
        _rewritten(folder, **{f"{name}_npz": packed.getvalue()})

    return apply


def _zip(name, *members):
    def apply(folder):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for inner, content in members:
                file.writestr(inner, content)
        _rewritten(folder, **{f"{name}_npz": packed.getvalue()})

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
        _rewritten(folder, references_npz=packed.getvalue())

    return apply


def _graph(make):
    """Another graph, made by a function of ``onnx.helper`` and a model's parts."""

    def apply(folder):
        _rewritten(folder, scorer_onnx=make().SerializeToString())

    return apply


def _model(nodes, constants=(), inputs=("images",), outputs=("score",), **more):
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.UINT8, [None, 96, 96, 3]) for name in inputs]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    more.setdefault("opset_imports", [helper.make_opsetid("", 17)])
    model = helper.make_model(helper.make_graph(nodes, "g", ports, results, list(constants)), **more)
    model.ir_version = 8
    return model


def _external(location):
    def make():
        import numpy as np
        from onnx import TensorProto, helper, numpy_helper

        constant = numpy_helper.from_array(np.ones(4, np.float32), "w")
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "16")):
            entry = constant.external_data.add()
            entry.key, entry.value = key, value
        return _model([helper.make_node("Identity", ["w"], ["score"])], [constant])

    return _graph(make)


def _node(operator, *constants, outputs=("score",), inputs=("images",), **attributes):
    def make():
        from onnx import helper, numpy_helper

        named = [numpy_helper.from_array(value, f"c{k}") for k, value in enumerate(constants)]
        given = [*inputs, *(c.name for c in named)]
        return _model([helper.make_node(operator, given, list(outputs), **attributes)], named)

    return _graph(make)


def _loop():
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [info("i", TensorProto.INT64, []), info("c", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, [1])],
        [info("d", TensorProto.BOOL, []), info("w", TensorProto.FLOAT, [1])],
    )
    constants = [numpy_helper.from_array(np.array(True), "yes"), numpy_helper.from_array(np.ones(1, np.float32), "one")]
    return _model([helper.make_node("Loop", ["", "yes", "one"], ["score"], body=body)], constants)


def _foreign():
    from onnx import helper

    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return _model([helper.make_node("QuickGelu", ["images"], ["score"], domain="com.microsoft")], opset_imports=domains)


def _numbers(value, shape=(1,)):
    """A graph whose score is always one number."""

    def make():
        import numpy as np
        from onnx import helper, numpy_helper

        constant = numpy_helper.from_array(np.full(shape, value, np.float32), "w")
        named = [numpy_helper.from_array(np.full((1, 18), value, np.float32), "p")]
        nodes = [helper.make_node("Identity", ["w"], ["score"]), helper.make_node("Identity", ["p"], ["per_reference"])]
        return _model(nodes, [constant, *named], outputs=("score", "per_reference"))

    return _graph(make)


def _huge():
    import numpy as np
    from onnx import helper, numpy_helper

    size = numpy_helper.from_array(np.array([2**45]), "s")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["b"]),
        helper.make_node("ReduceMax", ["b"], ["score"], keepdims=0),
    ]
    return _model(nodes, [size])


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
    "threshold 1e400": lambda folder: _rewritten(
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
    "note a list": lambda folder: _rewritten(folder, lambda note: [note]),
    "note nested": lambda folder: _rewritten(folder, _nested),
    "files elsewhere": lambda folder: (
        Path(PATH).write_text("secret"),
        _rewritten(folder, lambda note: {**note, "files": {**note["files"], f"../../..{PATH}": "0"}}),
    ),
    "weights a link": _linked("weights.npz"),
    "graph a link": _linked("scorer.onnx"),
}
ARRAYS = {
    "a pickle among the weights": _zip("weights", ("0000.npy", _npy("()", "'|O'", pickle.dumps(_Reduce())))),
    "a pickle among the references": _zip(
        "references", ("references.npy", _npy("(1,)", "'|O'", pickle.dumps(_Reduce())))
    ),
    "a pickle in place of the weights": lambda folder: _rewritten(folder, weights_npz=pickle.dumps(_Reduce())),
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
    "signatures infinite": _array("references", lambda a: {**a, "signatures": a["signatures"] * float("inf")}),
    "arrays of other names": _array("references", lambda a: {**a, "model": a["images"], "__class__": a["images"]}),
    "weights too few": _array("weights", lambda a: dict(list(a.items())[:-1])),
    "weights of other shapes": _array("weights", lambda a: {k: v.ravel() for k, v in a.items()}),
}
GRAPHS = {
    "no graph": lambda folder: _rewritten(folder, scorer_onnx=b""),
    "noise": lambda folder: _rewritten(folder, scorer_onnx=bytes(range(256)) * 9),
    "a script": lambda folder: _rewritten(folder, scorer_onnx=b"import os; os.system('true')"),
    "numbers in another file": _external(PATH),
    "numbers in a file above": _external(f"../../../../../..{PATH}"),
    "an endless loop": _graph(_loop),
    "an operator of a vendor": _graph(_foreign),
    "an operator that is none": _node("System"),
    "a score of NaN": _numbers(float("nan")),
    "a score of infinity": _numbers(float("inf")),
    "scores of another shape": _numbers(1.0, (3, 3)),
    "two inputs": _graph(lambda: _model([], inputs=("images", "more"), outputs=())),
    "memory without end": _graph(_huge),
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
CASES = {**NOTE, **ARRAYS, **GRAPHS}


def _examine(case, folder, image, builds, result):
    """Loads and scores, and builds the network, under guard; writes what happened as JSON."""
    sys.dont_write_bytecode = True
    import fsad.detector
    import fsad.scorer
    from fsad.files import FsadError

    if builds:
        import fsad.recipes  # before the guard: Keras and TensorFlow write and ask as they start
        from fsad.backbones import own  # noqa: F401
    import PIL.Image

    PIL.Image.init()
    events, handle = [], os.open(result, os.O_WRONLY | os.O_CREAT)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _guard(events)
    try:
        detector = fsad.detector.load(folder)
        if builds:
            _ = detector.model
            outcome = "built"
        else:
            (prediction,) = detector.stream([image])
            outcome = "an error for the image" if prediction.error else "scored"
    except (FsadError, ValueError) as error:
        outcome = "refused"
        text = str(error)
    except Exception as error:
        outcome, text = "raised", f"{type(error).__name__}: {error}"
    else:
        text = ""
    os.write(handle, json.dumps({"outcome": outcome, "events": events, "text": text[:300]}).encode())


def _attempt(workshop, case, cases, builds):
    with workshop.folder() as folder:
        detector = copy(workshop.detector, folder / "detector")
        workshop.must(cases[case], detector)
        image, result = workshop.images()[0], folder / "result"
        ended = workshop.run(_examine, case, detector, image, builds, result, seconds=60)
        found = json.loads(result.read_text() or "{}") if result.exists() else {}
    Path(PATH).unlink(missing_ok=True)
    if ended.status != 0 or not found:
        return Outcome(
            {"ended": 1}, [f"{case}: the process ended with {ended.status} after {ended.seconds:.0f} s: {ended.said}"]
        )
    failures = [f"{case}: {event}" for event in found["events"]]
    if found["outcome"] == "raised":
        failures.append(f"{case}: {found['text']}")
    return Outcome({found["outcome"]: 1}, failures)


def _weights(kind):
    """A file of weights made to do harm, as bytes."""
    import h5py
    import numpy as np

    packed = io.BytesIO()
    if kind == "a pickle":
        return pickle.dumps(_Reduce())
    if kind == "noise":
        return bytes(range(256)) * 100
    if kind == "nothing":
        return b""
    with h5py.File(packed, "w") as file:
        if kind == "a link to another file":
            file["layers"] = h5py.ExternalLink(PATH, "/layers")
        elif kind == "numbers in another file":
            file.create_group("layers/conv/vars").create_dataset("0", (4,), "f4", external=[(PATH, 0, 16)])
        elif kind == "a link to itself":
            file["layers"] = h5py.SoftLink("/layers")
        elif kind == "a shape beyond memory":
            file.create_group("layers/conv/vars").create_dataset("0", (2**45,), "f4", chunks=(1024,))
        elif kind == "other layers":
            file.create_group("layers/conv/vars")["0"] = np.ones(3)
        elif kind == "attributes that are code":
            file.attrs["keras_version"], file.attrs["layer_names"] = "3", [b"__import__('os')"]
    return packed.getvalue()


WEIGHTS = (
    "a pickle", "noise", "nothing", "a link to another file", "numbers in another file", "a link to itself",
    "a shape beyond memory", "other layers", "attributes that are code",
)  # fmt: skip


def _take(path, result):
    """Loads a file as weights of MobileNet, under guard."""
    sys.dont_write_bytecode = True
    from fsad import backbones
    from fsad.backbones import efficientnet_lite, own, pytorch_file  # noqa: F401
    from fsad.files import FsadError

    events, handle = [], os.open(result, os.O_WRONLY | os.O_CREAT)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _guard(events)
    try:
        backbones.build("mobilenet", 96, weights=str(path))
        outcome, text = "loaded", ""
    except (FsadError, ValueError) as error:
        outcome, text = "refused", str(error)
    except Exception as error:
        outcome, text = "raised", f"{type(error).__name__}: {error}"
    os.write(handle, json.dumps({"outcome": outcome, "events": events, "text": text[:300]}).encode())


def _made(kind, path):
    Path(PATH).write_bytes(bytes(64))
    path.write_bytes(_weights(kind))


def _attempt_weights(workshop, case):
    kind, _, suffix = case.partition(" as ")
    with workshop.folder() as folder:
        path, result = folder / f"w{suffix}", folder / "result"
        workshop.must(_made, kind, path)
        ended = workshop.run(_take, path, result, seconds=90)
        found = json.loads(result.read_text() or "{}") if result.exists() else {}
    Path(PATH).unlink(missing_ok=True)
    if ended.status != 0 or not found:
        return Outcome({"ended": 1}, [f"{case}: the process ended with {ended.status}: {ended.said}"])
    failures = [f"{case}: {event}" for event in found["events"]]
    if found["outcome"] != "refused":
        failures.append(f"{case}: {found['outcome']} {found['text']}")
    return Outcome({found["outcome"]: 1}, failures)


_EXPECTED = (
    "an error, or a score; no file written or opened beyond the folder's, no process, no network, no pickle; within a "
    "minute"
)
ATTACKS = (
    Attack(
        "detectors",
        f"{len(CASES)} detectors made to do harm, hashes recomputed, loaded and asked for a score",
        _EXPECTED,
        "safetensors: a file of weights holds numbers and nothing that runs",
        lambda workshop, quick: list(CASES)[:: 8 if quick else 1],
        lambda workshop, case: _attempt(workshop, case, CASES, False),
    ),
    Attack(
        "networks",
        f"{len(NETWORKS)} detectors whose settings describe a network made to do harm, built",
        _EXPECTED,
        "Keras's safe mode, and the holes found in it (CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9906)",
        lambda workshop, quick: list(NETWORKS),
        lambda workshop, case: _attempt(workshop, case, NETWORKS, True),
        slow=True,
    ),
    Attack(
        "weights",
        f"{len(WEIGHTS)} kinds of weights files made to do harm, as .h5, .keras and .pth",
        "an error; no file opened beyond it, no process, no network, no pickle",
        "Keras, whose .h5 could read other files until 3.13.2",
        lambda workshop, quick: [
            f"{kind} as {suffix}" for kind in WEIGHTS for suffix in (".weights.h5", ".keras", ".pth")
        ],
        _attempt_weights,
        slow=True,
    ),
)
