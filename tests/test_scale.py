"""Bulk scoring: the parts that know no Ray, then one run each on a cluster of this machine."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fsad
from fsad import cli, scale
from fsad.scale import listing, shards

pa = pytest.importorskip("pyarrow", reason="needs Ray and pyarrow: pip install 'fsad[scale]'")
pq = pytest.importorskip("pyarrow.parquet")
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'fsad[scale]'")


def list_of(images, output, size, column=None):
    return listing.make(images, output, size, column, lambda names: {"detectors": list(names)})


def rows_of(listed, column=None):
    """All rows that the shards of a listing read, in order."""
    return [row for shard in listed.shards for rows in shards.read(shard._asdict(), column) for row in rows]


def written(folder):
    """The rows of a Parquet output, by number."""
    return sorted((row for f in folder.glob("shard-*.parquet") for row in pq.read_table(f).to_pylist()),
                  key=lambda row: row["row"])  # fmt: skip


def job_of(folder, output, column=None, format="parquet"):
    return shards.Job(str(output), str(folder), column, format, 1, None, os.getcwd())


def test_importing_starts_no_ray():
    code = "import sys, fsad, fsad.scale, fsad.commands.score; print({'ray', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_paths_are_listed_once_in_shards(tmp_path):
    names = [f"image {k}.png" for k in range(7)] + ["not utf-8 \udcff.png"]
    listed = list_of(names, tmp_path / "out", 3)
    assert [shard.rows for shard in listed.shards] == [3, 3, 2] and listed.images == 8
    rows = rows_of(listed)
    assert [row["row"] for row in rows] == list(range(8))
    assert [os.fsdecode(row["path"]) for row in rows] == names
    assert list_of(names, tmp_path / "out", 3) == listed


def test_another_run_is_refused(tmp_path):
    list_of(["a.png", "b.png"], tmp_path / "out", 1)
    with pytest.raises(ValueError, match="differs in inputs"):
        list_of(["a.png", "c.png"], tmp_path / "out", 1)
    with pytest.raises(ValueError, match="differs in shard_size 1, now 2"):
        list_of(["a.png", "b.png"], tmp_path / "out", 2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(FileExistsError, match="a run to go on with"):
        list_of(["a.png"], tmp_path / "other", 1)


def test_paths_of_a_parquet_file_are_sorted_by_detector_and_keep_their_number(tmp_path):
    table = pa.table({"path": ["a", "b", "c", "d"], "product": ["nut", "bolt", "nut", "bolt"]})
    pq.write_table(table, tmp_path / "in.parquet")
    rows = rows_of(list_of(str(tmp_path / "in.parquet"), tmp_path / "out", 3, "product"), "product")
    assert [(row["row"], row["path"], row["detector"]) for row in rows] == [
        (1, b"b", "bolt"), (3, b"d", "bolt"), (0, b"a", "nut"), (2, b"c", "nut")
    ]  # fmt: skip


def test_bytes_stay_in_their_files(tmp_path):
    """Row groups of 4 and 1 rows, twice, in shards of 3: 3, 1, 1 rows of each file."""
    for k, name in enumerate("ab"):
        data = [bytes([5 * k + n]) for n in range(5)]
        pq.write_table(pa.table({"bytes": data, "row": ["x"] * 5}), tmp_path / f"{name}.parquet", row_group_size=4)
    listed = list_of(tmp_path, tmp_path / "out", 3)
    assert [shard.rows for shard in listed.shards] == [3, 1, 1, 3, 1, 1]
    rows = rows_of(listed)
    assert [row["row"] for row in rows] == list(range(10)) == [row["bytes"][0] for row in rows]
    assert not (tmp_path / "out" / listing.LISTING).exists()


def test_wrong_inputs(tmp_path):
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="expected a column path"):
        list_of(tmp_path / "a.parquet", tmp_path / "out", 3)
    with pytest.raises(ValueError, match="Received both"):
        list_of([tmp_path / "a.parquet", "b.png"], tmp_path / "out", 3)
    with pytest.raises(ValueError, match="with a column product"):
        list_of(["b.png"], tmp_path / "out", 3, "product")
    with pytest.raises(ValueError, match="which every node can read"):
        list_of([np.zeros((9, 9, 3), np.uint8)], tmp_path / "out", 3)
    with pytest.raises(ValueError, match="Expected shard_size"):
        scale.score(["b.png"], tmp_path, tmp_path / "out", shard_size=0)
    with pytest.raises(ValueError, match="Expected format"):
        scale.score(["b.png"], tmp_path, tmp_path / "out", format="csv")


def test_rows_are_those_of_one_process(saved, parts, tmp_path):
    """Of files and of bytes; what cannot be read is a row with its reason."""
    files = sorted((parts / "test" / "hole").glob("*.png"))
    (tmp_path / "empty.png").touch()
    paths = [str(files[0]), str(tmp_path / "empty.png"), "missing.png", str(files[1])]
    job = job_of(saved, tmp_path / "out")
    rows = shards.score_rows(
        job, shards.read(list_of(paths, tmp_path / "out", 9).shards[0]._asdict()), shards.loader(job)
    )
    expected = list(fsad.load(saved).stream(paths))
    assert [row["path"] for row in rows] == paths
    for name in ("score", "verdict", "confidence", "error"):
        assert [row[name] for row in rows] == [getattr(p, name) for p in expected]
    data = [files[0].read_bytes(), b"", None, files[1].read_bytes()]
    chunk = [
        {"row": k, "path": path, "detector": None, "bytes": value}
        for k, (path, value) in enumerate(zip(paths, data, strict=True))
    ]
    encoded = shards.score_rows(job, [chunk], shards.loader(job))
    assert [row["score"] for row in encoded] == [row["score"] for row in rows]
    empty = "the file is empty (0 bytes)"
    assert [row["error"] for row in encoded] == [None, empty, empty, None]


def test_a_detector_that_is_missing_is_the_error_of_its_images(saved, parts, tmp_path):
    shutil.copytree(saved, tmp_path / "products" / "nut")
    file = str(next((parts / "test" / "hole").glob("*.png")))
    job = job_of(tmp_path / "products", tmp_path, "product")
    names = ["nut", "bolt", "../detector", None, "nut"]
    chunk = [{"row": k, "path": file, "detector": name} for k, name in enumerate(names)]
    rows = shards.score_rows(job, [chunk], shards.loader(job))
    assert [row["row"] for row in rows] == [0, 1, 2, 3, 4] and [row["detector"] for row in rows] == names
    assert [row["error"] is None for row in rows] == [True, False, False, False, True]
    assert "no such folder" in rows[1]["error"] and "Received: '../detector'" in rows[2]["error"]
    assert list(shards.decides(job, ["bolt", "nut"])["detectors"]) == ["nut"]
    with pytest.raises(ValueError, match="named as in the column product: bolt"):
        shards.decides(job, ["bolt"])


def test_shards_are_written_as_parquet_and_as_json(tmp_path):
    rows = [
        {"row": 0, "path": "a", "score": 0.5, "verdict": "good", "confidence": 0.9, "error": None},
        {"row": 1, "path": "b", "score": None, "verdict": None, "confidence": None, "error": "no such file"},
    ]
    shards.write(tmp_path / "shard.parquet", rows, "parquet")
    shards.write(tmp_path / "shard.jsonl", rows, "jsonl")
    assert pq.read_table(tmp_path / "shard.parquet").to_pylist() == rows
    assert [json.loads(line) for line in (tmp_path / "shard.jsonl").read_text().splitlines()] == rows


def test_a_shard_whose_process_always_dies_is_given_up(saved, parts, tmp_path):
    file = str(next((parts / "test" / "hole").glob("*.png")))
    (shard,) = list_of([file], tmp_path / "out", 9).shards
    actor = shards.Actor.__new__(shards.Actor)
    actor.job = job_of(saved, tmp_path / "out")

    class Died(BaseException):
        """As a process dies: nothing is done after it."""

    def die(name):
        raise Died

    actor.detector_of = die
    for _ in range(shards.MAX_STARTS):
        with pytest.raises(Died):
            actor(shard._asdict())
    with pytest.raises(RuntimeError, match="shard 0: the process that scored it died 5 times"):
        actor(shard._asdict())
    (marker,) = (tmp_path / "out").glob(shards.STARTS.format("*"))
    marker.unlink()
    actor.detector_of = shards.loader(actor.job)
    assert actor(shard._asdict()) == {"images": 1, "errors": 0} and not marker.exists()


def test_flags_of_one_process_and_of_ray_do_not_mix(saved, capsys):
    assert cli.main(["score", str(saved), "x.png", "--ray=local"]) == 2
    assert "Expected --out" in capsys.readouterr().err
    assert cli.main(["score", str(saved), "x.png", "--ray=local", "--out=o", "--csv=a.csv"]) == 2
    assert "Expected no --csv with --ray" in capsys.readouterr().err
    assert cli.main(["score", str(saved), "x.png", "--actors=2"]) == 2
    assert "Expected --ray with --actors" in capsys.readouterr().err


@pytest.fixture(scope="module")
def ray():
    """Ray on this machine, started once for the tests of this module."""
    with scale.cluster("local", num_cpus=2):
        import ray

        yield ray


@pytest.fixture
def many(parts, tmp_path):
    """60 links to images, and a file that is none."""
    files, folder = [p for p in sorted(parts.rglob("*.png")) if "ground_truth" not in p.parts], tmp_path / "many"
    folder.mkdir()
    for k in range(60):
        os.symlink(files[k % len(files)], folder / f"{k:03d}.png")
    (folder / "060.png").write_text("no image")
    return folder


def actors():
    """The processes of actors that this process has started."""
    psutil = pytest.importorskip("psutil")
    return [p for p in psutil.Process().children(recursive=True) if "MapWorker" in " ".join(p.cmdline())]


@needs_ray
def test_no_image_is_lost_or_doubled_when_actors_are_killed(ray, saved, many, tmp_path):
    """One of two actors is killed in mid-run; then shards are removed and only they are scored again."""
    output, killed, done = tmp_path / "out", [], threading.Event()

    def kill():
        while not done.wait(0.1) and not killed:
            if any(output.glob("shard-*")):
                for process in actors()[:1]:
                    process.kill()
                    killed.append(process.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        summary = scale.score(many, saved, output, shard_size=4, actors=2, progress=False)
    finally:
        done.set()
        killer.join()
    assert killed and summary == (61, 61, 1)
    rows, expected = written(output), list(fsad.load(saved).stream(many))
    assert [row["row"] for row in rows] == list(range(61))
    assert [row["path"] for row in rows] == [p.name for p in expected]
    assert [row["score"] for row in rows[:60]] == pytest.approx([p.score for p in expected[:60]], abs=1e-6)
    assert rows[60]["score"] is None and "not a PNG" in rows[60]["error"]

    before = {path: path.stat().st_mtime_ns for path in output.glob("shard-*")}
    for number in (3, 15):
        (output / f"shard-{number:06d}.parquet").unlink()
    assert scale.score(many, saved, output, shard_size=4, actors=2, progress=False) == (61, 5, 1)
    assert written(output) == rows
    after = {path: path.stat().st_mtime_ns for path in output.glob("shard-*")}
    assert sum(after[path] != before[path] for path in before) == 2
    assert scale.score(many, saved, output, shard_size=4, progress=False) == (61, 0, 0)


@needs_ray
@pytest.mark.slow
def test_a_killed_driver_goes_on_where_it_was(saved, many, tmp_path):
    """The command is killed once the first shards are there; the same command scores the others, and no row twice."""
    output = tmp_path / "out"
    program = "import sys; from fsad.cli import main; sys.exit(main())"
    call = [sys.executable, "-c", program, "score", saved, many, "--ray=local", f"--out={output}", "--shard_size=4",
            "--actors=1"]  # fmt: skip
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as driver:
        while driver.poll() is None and len(list(output.glob("shard-*"))) < 2:
            time.sleep(0.02)
        os.killpg(driver.pid, signal.SIGKILL)
    assert driver.returncode == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in output.glob("shard-*.parquet")}
    assert 2 <= len(before) < 16
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 1 and f"61 images, {61 - 4 * len(before)} of them now" in done.stdout, done.stderr[-2000:]
    assert [row["row"] for row in written(output)] == list(range(61))
    assert {path: path.stat().st_mtime_ns for path in before} == before


@needs_ray
def test_bytes_and_many_detectors_by_command(ray, saved, many, tmp_path, capsys):
    for name in ("nut", "bolt"):
        shutil.copytree(saved, tmp_path / "products" / name)
    data = [(many / f"{k:03d}.png").read_bytes() for k in range(12)]
    table = pa.table(
        {"bytes": data, "path": [f"camera/{k}" for k in range(12)], "product": ["nut", "bolt", "tube"] * 4}
    )
    pq.write_table(table, tmp_path / "in.parquet")
    call = ["score", f"{tmp_path}/products", f"{tmp_path}/in.parquet", "--ray=local", f"--out={tmp_path}/out",
            "--format=jsonl", "--detector_column=product", "--shard_size=5", "--actors=1"]  # fmt: skip
    assert cli.main(call) == 1
    assert "12 images, 12 of them now, 4 of these without a score" in capsys.readouterr().out
    files = sorted((tmp_path / "out").glob("shard-*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert [row["path"] for row in rows] == table["path"].to_pylist() and len(files) == 3
    scores = fsad.load(saved).score([many / f"{k:03d}.png" for k in range(12)])
    for row, score in zip(rows, scores.tolist(), strict=True):
        assert row["score"] == (None if row["detector"] == "tube" else pytest.approx(score, abs=1e-6))
