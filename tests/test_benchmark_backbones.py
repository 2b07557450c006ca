import json
import subprocess
import sys


def test_measures_and_writes_json(tmp_path):
    command = [sys.executable, "-m", "experiments.benchmark_backbones", f"--json={tmp_path / 'b.json'}"]
    command += ["--backbones=custom_cnn", "--steps=1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "38,964,545" in shown and "467.6 MB" in shown
    (found,) = json.loads((tmp_path / "b.json").read_text())["backbones"]
    assert found["parameters"] == 38_964_545 and 0 < found["latency_median_ms"] <= found["latency_p95_ms"]
    assert found["pictures_per_second"] > 0 and found["epoch_seconds"] > 0
    wrong = subprocess.run([*command, "--backbones=alexnet"], capture_output=True, text=True)
    assert wrong.returncode != 0 and "alexnet" in wrong.stdout + wrong.stderr
