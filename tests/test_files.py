import os

import pytest

from fsad.files import atomic_file, atomic_folder, check_replaceable, sha256


def test_sha256_of_the_standard_s_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_appears_at_the_end_in_a_folder_made_for_it(tmp_path):
    path = tmp_path / "new" / "log.csv"
    with atomic_file(path, "w") as file:
        file.write("name,ü\n")
        assert not path.exists() and (tmp_path / "new" / "log.csv.part").read_bytes() == "name,ü\n".encode()
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
