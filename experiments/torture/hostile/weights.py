"""Files of weights made to do harm."""

import io
import pickle
from pathlib import Path

from experiments.torture.hostile.forged import Reduce
from experiments.torture.hostile.guard import PATH


def bytes_of(kind):
    """A file of weights made to do harm, as bytes."""
    import h5py
    import numpy as np

    packed = io.BytesIO()
    if kind == "a pickle":
        return pickle.dumps(Reduce())
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


def made(kind, path):
    Path(PATH).write_bytes(bytes(64))
    path.write_bytes(bytes_of(kind))
