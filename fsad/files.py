"""Files and folders that appear whole or not at all, and the root of every error of this package."""

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path

_cleared = set()  # folders, by this process
PART, OLD = ".part", "-old"  # how the names of temporary files end, and of a folder that is put aside


class FsadError(Exception):
    """A file, detector, weights or export that cannot be used. Wrong arguments are plain ValueErrors."""


def sha256(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_file(path, mode="wb", keep=False):
    """An open file under a temporary name beside ``path``, which takes its place at the end, on the disk.

    Args:
        path: where to; its folder is made if needed. A link stays, and what it points to is replaced. What is no
            regular file, such as a pipe, is written to as it is.
        mode: ``"wb"``, or ``"w"`` for UTF-8 text, each line flushed as it ends.
        keep: on failure leave what was written so far in ``<path>.part``, for output that takes long.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace", "newline": "", "buffering": 1}
    if path.exists() and not path.is_file() and not path.is_dir():
        with open(path, mode, **text) as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent not in _cleared:  # once: a folder may get thousands of files
        _clear(path)
        _cleared.add(path.parent)
    # By a name that nobody can foresee, and that must not be there: a link put in its place is not followed.
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    part, handle = _made(path, lambda part: os.open(part, flags, 0o666))
    lock = None
    try:
        with open(handle, mode, **text) as file:
            if hasattr(os, "O_DIRECTORY"):  # not on Windows, which renames no open file
                lock = os.dup(handle)  # shares the lock, until the file is in its place
            yield file
            file.flush()
            os.fsync(handle)
        if path.exists():
            os.chmod(part, path.stat().st_mode & 0o7777)
        os.replace(part, path)
        _sync(path.parent)
    except BaseException:
        if keep:
            os.replace(part, path.with_name(path.name + ".part"))
        else:
            part.unlink(missing_ok=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def move_file(source, path):
    """Moves a finished file into its place, on the disk; a link stays, and what it points to is replaced."""
    path = Path(os.path.realpath(path))
    _sync(source)
    os.replace(source, path)
    _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(folder, what, mark):
    """An empty folder beside ``folder`` that takes its place at the end; on failure ``folder`` stays as it was.

    Where the system can exchange two folders in one step (Linux), there is no moment without one.

    Args:
        folder: where to. A link stays, and what it points to is replaced.
        what, mark: an earlier ``what`` there, such as ``"a detector"``, is known by the file ``mark``.

    Raises:
        FileExistsError: the folder holds something else.
    """
    folder = Path(folder).resolve()
    if folder.parent.is_dir():
        _clear(folder)
    check_replaceable(folder, what, mark)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, handle = _made(folder, _made_folder)
    old = part.with_name(part.name + OLD)
    try:
        yield part
        for path in sorted(part.rglob("*"), reverse=True):
            _sync(path)
        _sync(part)
        if not folder.exists():
            os.rename(part, folder)
        elif not _exchanged(part, folder):
            os.rename(folder, old)
            os.rename(part, folder)
        _sync(folder.parent)
    finally:
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _beside(path):
    return path.with_name(f".{path.name[:100]}-{secrets.token_hex(6)}{PART}")


def _made(path, make):
    """``(part, handle)``: a temporary file or folder beside a path, made, open and locked. Another process that clears
    may come between the two; then it is made again."""
    while True:
        part = _beside(path)
        try:
            handle = make(part)
        except FileNotFoundError:  # cleared before it was open
            if not part.parent.is_dir():
                raise
            continue
        if handle is None or (lock(handle) and part.exists()):
            return part, handle
        os.close(handle)


def _made_folder(part):
    part.mkdir()
    return os.open(part, os.O_RDONLY) if hasattr(os, "O_DIRECTORY") else None


def _clear(path):
    """Removes what killed runs left beside a path that they wrote; a folder that one of them put aside comes back."""
    name = re.compile(rf"\.{re.escape(path.name[:100])}-[0-9a-f]{{12}}{re.escape(PART)}({OLD})?")
    for left in [entry for entry in os.scandir(path.parent) if name.fullmatch(entry.name)]:
        if left.is_symlink():
            continue
        with _claimed(left.path.removesuffix(OLD)) as claimed:  # held until it is gone
            if not claimed:
                continue
            if left.name.endswith(OLD) and not path.exists():
                os.rename(left.path, path)
            elif left.is_dir():
                shutil.rmtree(left.path, ignore_errors=True)
            else:
                Path(left.path).unlink(missing_ok=True)


@contextlib.contextmanager
def _claimed(path):
    """Whether no running process holds the lock of a temporary file or folder; this one does, within the block."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        yield True
        return
    except OSError:
        yield False
        return
    try:
        yield lock(handle)
    finally:
        os.close(handle)


def lock(handle):
    """Locks an open file or folder until it is closed, by its process's end at the latest; False if another one has.
    True where locks cannot be had, as on Windows: there nothing is cleared while it is open."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return True
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _sync(path):
    """Has a file or folder written to the disk, where the system lets it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # a folder on Windows
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _exchanged(first, second):
    """Exchanges two folders in one step (renameat2 of Linux); False where that cannot be had."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here = -100  # AT_FDCWD: the paths are absolute
    return rename(here, os.fsencode(first), here, os.fsencode(second), 2) == 0


def check_replaceable(folder, what, mark):
    """Raises FileExistsError unless `atomic_folder` could write there: nothing, an empty folder, or an earlier one."""
    path = Path(folder).resolve()
    occupied = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if occupied and not (path / mark).is_file():
        raise FileExistsError(f"{folder}: expected a new or empty folder, or {what} to replace. Received: other files")
