import os
import stat
import subprocess
import sys
import threading

import pytest

from fsad import files
from fsad.files import atomic_file, atomic_folder, check_replaceable, sha256


def test_sha256_of_the_standard_s_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_appears_at_the_end_in_a_folder_made_for_it(tmp_path):
    path = tmp_path / "new" / "log.csv"
    with atomic_file(path, "w") as file:
        file.write("name,ü\n")
        (part,) = (tmp_path / "new").iterdir()
        assert not path.exists() and part.read_bytes() == "name,ü\n".encode()
        file.write("\udcff.png\r\n")  # a file name that is not UTF-8
    assert path.read_bytes() == "name,ü\n\\udcff.png\r\n".encode() and os.listdir(tmp_path / "new") == ["log.csv"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_failure_leaves_the_former_file(tmp_path, keep):
    (tmp_path / "a").write_bytes(b"former")
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a", keep=keep) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({"a": b"former", "a.part": b"half"} if keep else {"a": b"former"})


def test_a_link_is_not_followed_but_its_file_is_replaced(tmp_path):
    (tmp_path / "real").write_text("first")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "real.part").symlink_to(tmp_path / "victim")
    with atomic_file(tmp_path / "link", "w") as file:
        file.write("second")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "second"
    with pytest.raises(KeyError), atomic_file(tmp_path / "real", "w", keep=True) as file:
        file.write("half")
        raise KeyError
    assert (tmp_path / "victim").read_text() == "mine" and (tmp_path / "real.part").read_text() == "half"


def test_what_is_no_file_is_written_straight(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with atomic_file(tmp_path / "pipe") as file:
        file.write(b"through")
    assert os.read(reader, 10) == b"through" and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    os.close(reader)


def test_permissions_are_the_usual_or_the_former_ones(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "a") as file:
            file.write(b"1")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
        os.chmod(tmp_path / "a", 0o600)
        with atomic_file(tmp_path / "a") as file:
            file.write(b"2")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)


def test_two_that_write_one_file_do_not_mix(tmp_path):
    with atomic_file(tmp_path / "a", "w") as first, atomic_file(tmp_path / "a", "w") as second:
        for k in range(3):
            first.write(f"first {k}\n")
            second.write(f"second {k}\n")
    assert (tmp_path / "a").read_text() == "first 0\nfirst 1\nfirst 2\n" and os.listdir(tmp_path) == ["a"]


KILLED = """
import os, sys
from fsad import files
kind, path = sys.argv[1:]
if kind == "file":
    with files.atomic_file(path) as file:
        file.write(b"half")
        os._exit(9)
if kind == "between":  # of two renames, where there is no exchange
    files._exchanged = lambda *paths: False
    rename = os.rename
    def stop(source, target):
        if str(target) == path:
            os._exit(9)
        rename(source, target)
    os.rename = stop
with files.atomic_folder(path, "a note", "note.txt") as part:
    (part / "note.txt").write_text("second")
    if kind == "folder":
        os._exit(9)
"""


@pytest.mark.parametrize("kind", ["file", "folder", "between"])
def test_the_next_run_clears_what_a_killed_one_left(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "file":
        path.write_bytes(b"first")
    else:
        write(path, "first")
    assert subprocess.run([sys.executable, "-c", KILLED, kind, path]).returncode == 9
    assert len(os.listdir(tmp_path)) == 2
    if kind == "file":
        assert path.read_bytes() == b"first"
        with atomic_file(path) as file:
            file.write(b"third")
    else:
        assert kind == "between" or (path / "note.txt").read_text() == "first"
        with pytest.raises(KeyError), atomic_folder(path, "a note", "note.txt"):
            raise KeyError  # even one that fails
        assert (path / "note.txt").read_text() == "first"
    assert os.listdir(tmp_path) == ["a"]


def test_readers_always_meet_a_whole_folder(tmp_path):
    path, stop, missing = tmp_path / "a", threading.Event(), []
    write(path, "0")

    def read():
        while not stop.is_set():
            try:
                assert (path / "note.txt").read_text()
            except FileNotFoundError:
                missing.append(path.exists())

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(100):
        write(path, str(k))
    stop.set()
    reader.join()
    assert False not in missing  # the folder itself was never gone


def write(folder, text):
    with atomic_folder(folder, "a note", "note.txt") as part:
        (part / "note.txt").write_text(text)


def test_a_folder_replaces_nothing_an_empty_one_and_an_earlier_one(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for text in ("first", "second"):
        write(tmp_path / "a" / "b", text)
        write(tmp_path / "c" / "d", text)
        assert (
            (tmp_path / "a" / "b" / "note.txt").read_text() == (tmp_path / "c" / "d" / "note.txt").read_text() == text
        )
    assert os.listdir(tmp_path / "a") == ["b"] and (tmp_path / "c" / "d").stat().st_mode & 0o777 == 0o755


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    write(tmp_path / "a", "first")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write(tmp_path / "link", "second")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "a" / "note.txt").read_text() == "second"
    assert sorted(os.listdir(tmp_path)) == ["a", "link"]


def test_a_failure_leaves_the_former_folder_and_nothing_else(tmp_path):
    write(tmp_path / "a", "first")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "a", "a note", "note.txt") as part:
        (part / "half").touch()
        raise RuntimeError
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["note.txt"]


def test_a_former_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    def only_aside(source, target):
        if target == tmp_path / "a" and not source.name.endswith("-old"):
            raise PermissionError
        rename(source, target)

    write(tmp_path / "a", "first")
    monkeypatch.setattr("fsad.files._exchanged", lambda *paths: False)
    rename = os.rename
    monkeypatch.setattr(os, "rename", only_aside)
    with pytest.raises(PermissionError):
        write(tmp_path / "a", "second")
    assert (tmp_path / "a" / "note.txt").read_text() == "first" and os.listdir(tmp_path) == ["a"]


def test_other_files_are_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").touch()
    (tmp_path / "file").touch()
    for name in ("thesis", "file"):
        with pytest.raises(FileExistsError, match=f"{name}: expected a new or empty folder, or a note to replace"):
            write(tmp_path / name, "lost")
        with pytest.raises(FileExistsError, match="Received: other files"):
            check_replaceable(tmp_path / name, "a note", "note.txt")
    assert (tmp_path / "thesis" / "chapter.txt").exists() and sorted(os.listdir(tmp_path)) == ["file", "thesis"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_part_that_another_process_cleared_before_it_was_locked_is_made_again(tmp_path, monkeypatch, kind):
    locks, lock = [], files.lock

    def cleared_first(handle):
        locks.append(handle)
        if len(locks) == 1:
            for part in tmp_path.glob(".*.part"):
                part.rmdir() if part.is_dir() else part.unlink()
        return lock(handle)

    monkeypatch.setattr(files, "lock", cleared_first)
    if kind == "file":
        with atomic_file(tmp_path / "a") as file:
            file.write(b"whole")
        assert (tmp_path / "a").read_bytes() == b"whole"
    else:
        with atomic_folder(tmp_path / "a", "a thing", "mark") as part:
            (part / "mark").write_bytes(b"whole")
        assert (tmp_path / "a" / "mark").read_bytes() == b"whole"
    assert len(locks) == 2 and os.listdir(tmp_path) == ["a"]
