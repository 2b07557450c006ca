import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
def test_the_walkthrough_improves_step_by_step(tmp_path):
    program = [sys.executable, EXAMPLES / "few_shot_anomaly_detection.py"]
    text = subprocess.run(program, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    first, second, third = map(float, re.findall(r"^\d\..*AUROC ([\d.]+)", text, re.M))
    assert first < second < third and (tmp_path / "few_shot_anomaly_detection.png").stat().st_size > 10_000


@pytest.mark.slow
def test_cpp_scores_as_the_detector_does(fitted, exported, parts, tmp_path):
    openvino = pytest.importorskip("openvino")
    compiler = shutil.which("g++")
    if not compiler:
        pytest.skip("needs g++")
    folder = Path(openvino.__file__).parent
    libraries = [*folder.glob("libs/libopenvino.so.*")]
    options = ["-std=c++17", f"-I{folder}/include", *libraries, f"-Wl,-rpath,{folder}/libs"]
    subprocess.run([compiler, EXAMPLES / "score.cpp", "-o", tmp_path / "score", *options], check=True)
    with Image.open(parts / "test" / "hole" / "001.png") as image:
        larger = image.convert("RGB").resize((230, 151))
    larger.save(tmp_path / "part.png")
    larger.save(tmp_path / "part.ppm")
    path, _ = exported("onnx")

    def run(name):
        return subprocess.run([tmp_path / "score", path, tmp_path / name], capture_output=True, text=True, check=False)

    score, verdict, confidence = run("part.ppm").stdout.split()
    (expected,) = fitted.inspect(tmp_path / "part.png")
    assert float(score) == pytest.approx(expected.score, abs=1e-3) and verdict == expected.verdict
    assert float(confidence) == pytest.approx(expected.confidence, abs=1e-3)
    assert run("part.png").returncode == 2 and "expected a binary PPM" in run("part.png").stderr
