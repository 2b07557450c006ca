"""Files and folders that appear whole or not at all, and the root of every error of this package."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path


class FsadError(Exception):
    """A file, detector, weights or export that cannot be used. Wrong arguments are plain ValueErrors."""


def sha256(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_file(path, mode="wb", keep=False):
    """An open file under a temporary name beside ``path``, renamed to it at the end.

    Args:
        path: where to; its folder is made if needed.
        mode: ``"wb"``, or ``"w"`` for UTF-8 text, each line flushed as it ends.
        keep: on failure leave what was written so far in ``<path>.part``, for output that takes long.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    text = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace", "newline": "", "buffering": 1}
    try:
        with open(part, mode, **text) as file:
            yield file
        os.replace(part, path)
    except BaseException:
        if not keep:
            part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(folder, what, mark):
    """An empty folder beside ``folder`` that takes its place at the end; on failure ``folder`` stays as it was.

    Args:
        folder: where to. A link stays, and what it points to is replaced.
        what, mark: an earlier ``what`` there, such as ``"a detector"``, is known by the file ``mark``.

    Raises:
        FileExistsError: the folder holds something else.
    """
    check_replaceable(folder, what, mark)
    folder = Path(folder).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    old = part.with_name(part.name + "-old")
    try:
        yield part
        os.chmod(part, 0o755)
        if folder.exists():
            os.rename(folder, old)
        os.rename(part, folder)
    finally:
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)


def check_replaceable(folder, what, mark):
    """Raises FileExistsError unless `atomic_folder` could write there: nothing, an empty folder, or an earlier one."""
    path = Path(folder).resolve()
    occupied = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if occupied and not (path / mark).is_file():
        raise FileExistsError(f"{folder}: expected a new or empty folder, or {what} to replace. Received: other files")
