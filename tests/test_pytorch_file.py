import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from fsad.backbones import pytorch_file


class Named:
    """Pickles as a call of the function of this name, with these arguments."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Pickler(pickle._Pickler):
    """Writes what PyTorch writes: storages as persistent names, functions as names that need not exist here."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_named(self, named):
        self.write(pickle.GLOBAL + f"{named.module}\n{named.name}\n".encode())
        if named.arguments:
            self.save(named.arguments)
            self.write(pickle.REDUCE)

    dispatch[Named] = save_named

    def persistent_id(self, value):
        return value[1:] if isinstance(value, tuple) and value[:1] == ("persistent",) else None


def written(described, keys, numbers, magic=pytorch_file.MAGIC):
    file = io.BytesIO()
    for value in (magic, 1001, {"little_endian": True}, described, keys):
        Pickler(file, 2).dump(value)
    for array in numbers:
        file.write(len(array).to_bytes(8, "little") + array.tobytes())
    return file.getvalue()


def tensor(kind, key, count, offset, shape, strides):
    storage = ("persistent", "storage", Named("torch", kind), key, "cpu", count, None)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


@pytest.fixture
def content():
    described = OrderedDict(
        first=tensor("FloatStorage", "a", 6, 0, (2, 3), (1, 2)),  # transposed
        second=tensor("FloatStorage", "a", 6, 4, (2,), (1,)),  # the last two of the same numbers
        third=tensor("LongStorage", "b", 1, 0, (), ()),
    )
    return written(described, ["a", "b"], [np.arange(6, dtype="<f4"), np.array([7], "<i8")])


def test_reads_arrays_by_their_strides(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    arrays = pytorch_file.read(tmp_path / "a.pth")
    assert list(arrays) == ["first", "second", "third"] and arrays["third"] == 7
    assert arrays["first"].tolist() == [[0, 2, 4], [1, 3, 5]] and arrays["second"].tolist() == [4, 5]


def test_runs_nothing_that_a_file_names(tmp_path):
    proof = tmp_path / "proof"
    (tmp_path / "a.pth").write_bytes(written({"a": Named("os", "mkdir", str(proof))}, [], []))
    with pytest.raises(ValueError, match=r"a.pth: expected arrays saved by PyTorch. Received: os.mkdir, which is no"):
        pytorch_file.read(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(ValueError, match="which is no array"):
        pytorch_file.read(tmp_path / "b.pth")
    assert not proof.exists()


def test_refuses_what_is_damaged(tmp_path, content):
    outside = tensor("FloatStorage", "a", 2, 0, (3,), (1,))
    cases = (
        (content[:-4], "4 bytes too early"),
        (written({}, [], [], magic=5), "another kind of file"),
        (written({"a": outside}, ["a"], [np.zeros(2, "<f4")]), "out of bounds"),
        (b"no pickle", "expected arrays"),
    )
    for damaged, message in cases:
        (tmp_path / "a.pth").write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            pytorch_file.read(tmp_path / "a.pth")
