"""Reads the arrays of a file that PyTorch's ``torch.save`` wrote before version 1.6, without PyTorch.

Such a file is a row of pickles, then the raw numbers. A pickle may name any function to be called; the reader here
knows four names, none of which does more than describe an array, and refuses every other. Nothing in the file is run.
"""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of every such file


def read(path):
    """The arrays of a state dict by name, in the order of the file: a dict of numpy arrays.

    Raises:
        ValueError: not such a file, damaged, or one that names anything but arrays.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if _Unpickler(file).load() != MAGIC:
                raise ValueError("another kind of file")
            for _ in range(2):  # versions, of no interest
                _Unpickler(file).load()
            described, keys = _Unpickler(file).load(), _Unpickler(file).load()
            types = {array.key: array.type for array in described.values()}
            numbers = {key: _numbers(file, types[key]) for key in keys}
            return {name: array.filled(numbers[array.key]) for name, array in described.items()}
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ValueError(f"{path}: expected arrays saved by PyTorch. Received: {error}") from error


class _Array:
    """An array before its numbers are read: what PyTorch calls with these arguments to build a tensor."""

    def __init__(self, storage, offset, shape, strides, *_):
        _, self.type, self.key = storage[:3]
        self.offset, self.shape, self.strides = offset, shape, strides

    def filled(self, numbers):
        places = self.offset + sum(
            np.arange(size).reshape(-1, *[1] * (len(self.shape) - 1 - axis)) * stride
            for axis, (size, stride) in enumerate(zip(self.shape, self.strides, strict=True))
        )
        return numbers[places]  # which raises IndexError for one outside


# What a pickle may name: nothing here does more than hold values.
KNOWN = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Array,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in KNOWN:
            raise ValueError(f"{module}.{name}, which is no array")
        return KNOWN[module, name]

    def persistent_load(self, storage):
        return storage


def _numbers(file, dtype):
    """The numbers that follow in the file, after how many they are."""
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * dtype.itemsize)
    if len(content) != count * dtype.itemsize:
        raise ValueError(f"the end of the file {count * dtype.itemsize - len(content)} bytes too early")
    return np.frombuffer(content, dtype)
