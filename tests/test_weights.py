import pytest

from fsad import weights
from fsad.files import FsadError

FILES = ("mine.weights.h5", "keras.h5")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """``FSAD_WEIGHTS_DIR`` and Keras's cache, both empty, and no network."""

    def offline(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setenv("FSAD_WEIGHTS_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights.socket, "create_connection", offline)
    for folder in weights.folders():
        folder.mkdir(parents=True)
    return weights.folders()


def test_the_users_folder_comes_before_keras_s_cache(folders):
    mine, cache = folders
    assert weights.local_file(FILES) is None and cache.name == "models"
    for path in (cache / FILES[1], cache / FILES[0], mine / FILES[1]):  # each comes before the earlier ones
        path.touch()
        assert weights.local_file(FILES) == weights.find_or_download("Mine", FILES, download=None) == path


def test_without_file_and_network_the_error_says_what_goes_where(folders):
    message = r"ImageNet weights of Mine: mine.weights.h5 or keras.h5 in .*mine or .*models.*no route"
    with pytest.raises(weights.WeightsError, match=message) as caught:
        weights.find_or_download("Mine", FILES, download=None)
    assert isinstance(caught.value, FsadError) and isinstance(caught.value, FileNotFoundError)


def test_a_download_is_what_lies_in_the_cache_afterwards(folders, monkeypatch):
    class Connection:
        def close(self):
            pass

    def broken():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(weights.socket, "create_connection", lambda *args, **kwargs: Connection())
    with pytest.raises(weights.WeightsError, match="URL fetch failure"):
        weights.find_or_download("Mine", FILES, broken)
    with pytest.raises(weights.WeightsError, match=r"after the download. Received: no such file"):
        weights.find_or_download("Mine", FILES, lambda: None)
    path = folders[1] / FILES[1]
    assert weights.find_or_download("Mine", FILES, path.touch) == path
