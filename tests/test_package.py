import subprocess
import sys

import pytest

import fsad
from fsad import files, images, storage, weights


def test_import_starts_nothing_heavy_and_shows_what_there_is():
    script = "import sys, fsad; assert {'Detector', 'load', 'Prediction', 'FsadError'} <= set(dir(fsad));"
    script += "sys.exit(bool({'tensorflow', 'cv2', 'numpy'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_one_tree_of_errors():
    from fsad import export

    for error in (images.ImageError, storage.DetectorError, weights.WeightsError, export.ExportError):
        assert issubclass(error, fsad.FsadError)
    assert fsad.FsadError is files.FsadError
    with pytest.raises(AttributeError, match="no attribute 'detect'"):
        fsad.detect  # noqa: B018
