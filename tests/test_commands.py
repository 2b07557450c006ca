import csv
import json
import os
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import fsad
from fsad import backbones, cli, inputs
from fsad.inputs.layouts import list_images


@pytest.fixture
def detector(saved):
    return str(saved)


def test_from_two_folders_to_a_report(parts, tmp_path, capsys):
    out, page = tmp_path / "detector", tmp_path / "report.html"
    call = ["fit", f"--good={parts}/train/good", f"--defect={parts}/test/*/000.png", f"--out={out}",
            "--backbone=filter_bank", "--side=96", f"--inspect={parts}/test", f"--report={page}"]  # fmt: skip
    assert cli.main(call) == 0
    text = capsys.readouterr().out
    assert "18 good and 7 defective" in text and "20 images:" in text and page.stat().st_size > 20_000
    assert cli.main(["info", str(out)]) == 0
    assert "Threshold" in capsys.readouterr().out
    assert cli.main(["inspect", str(out), f"{parts}/test/hole", f"--report={page}", "--threshold=0"]) == 0
    assert "2 images: 2 defective, 0 good" in capsys.readouterr().out


def test_score_prints_and_writes_the_same_lines(fitted, detector, parts, tmp_path, capsys):
    files = [f"--csv={tmp_path}/s.csv", f"--jsonl={tmp_path}/s.jsonl"]
    assert cli.main(["score", detector, f"{parts}/test/hole", f"{parts}/none.png", *files]) == 1
    printed = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    with open(tmp_path / "s.csv", newline="") as file:
        assert list(csv.DictReader(file)) == printed
    objects = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [o["path"] for o in objects] == [row["path"] for row in printed]
    assert list(objects[0]) == ["path", "score", "verdict", "confidence", "error", "drift"]
    assert [o["score"] for o in objects[:2]] == pytest.approx(fitted.score(parts / "test" / "hole").tolist(), abs=1e-4)
    assert objects[2]["error"] == "no such file" and objects[2]["score"] is None and printed[2]["score"] == ""


def test_forty_bad_files_among_a_hundred_good_ones(detector, parts, tmp_path, capsys):
    """Every good one is scored, every bad one is a row with its reason."""
    folder = tmp_path / "line"
    folder.mkdir()
    sound = sorted(parts.glob("t*/*/*.png"))
    for k in range(100):
        shutil.copy(sound[k % len(sound)], folder / f"ok{k:03d}.png")
    image, data = np.asarray(Image.open(sound[0])), sound[0].read_bytes()
    for k in range(8):
        (folder / f"truncated{k}.png").write_bytes(data[: len(data) * (k + 1) // 10])
        (folder / f"empty{k}.png").touch()
        (folder / f"text{k}.png").write_text("not an image")
        Image.fromarray(image[:1, :1]).save(folder / f"one{k}.png")
        os.symlink(folder / "gone.png", folder / f"link{k}.png")
    Image.new("L", (12000, 12000)).save(folder / "gigantic.png")
    Image.fromarray(image[..., 0].astype(np.uint16) * 257).save(folder / "ok_16bit.png")
    Image.fromarray(image).convert("CMYK").save(folder / "ok_cmyk.jpg")
    (folder / "forbidden.png").write_bytes(data)
    (folder / "forbidden.png").chmod(0)
    forbidden = not os.access(folder / "forbidden.png", os.R_OK)  # root may read everything
    assert cli.main(["score", detector, str(folder)]) == 1
    rows = {os.path.basename(row["path"]): row for row in csv.DictReader(capsys.readouterr().out.splitlines())}
    assert len(rows) == 100 + 40 + 4
    for name, row in rows.items():
        fine = name.startswith("ok") or (name == "forbidden.png" and not forbidden)
        assert bool(row["score"]) == fine and bool(row["error"]) != fine, name
    reasons = {"truncated0": "", "empty0": "0 bytes", "text0": "not a PNG", "one0": "1 x 1", "link0": "does not exist",
               "gigantic": "12000"}  # fmt: skip
    for name, reason in reasons.items():
        assert reason in rows[f"{name}.png"]["error"]


def test_file_names_need_not_be_text(detector, parts, tmp_path, capsys):
    odd = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")
    shutil.copy(parts / "test" / "hole" / "001.png", odd)
    assert cli.main(["score", detector, odd, f"--csv={tmp_path}/s.csv", f"--jsonl={tmp_path}/s.jsonl"]) == 0
    assert "caf\\udce9.png" in (tmp_path / "s.csv").read_text()
    assert cli.main(["inspect", detector, odd, f"--report={tmp_path}/r.html"]) == 0


def test_names_break_no_line_steer_no_terminal_and_are_no_formula(detector, parts, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("=1+1.png", "a\rb.png", "c\x1b[31m.png"):
        shutil.copy(parts / "test" / "hole" / "000.png", name)
    assert cli.main(["score", detector, "=1+1.png", "a\rb.png", "c\x1b[31m.png"]) == 0
    rows = list(csv.reader(capsys.readouterr().out.split("\n")))
    assert [row[0] for row in rows[1:4]] == ["./=1+1.png", "a\\x0db.png", "c\\x1b[31m.png"]


def test_a_day_without_a_good_part_is_questioned(detector, parts, capsys):
    holes = [str(parts / "test" / "hole" / "001.png")] * 10
    assert cli.main(["score", detector, *holes]) == 0
    assert "All 10 images were classified as defective. Check that lighting" in capsys.readouterr().err
    assert cli.main(["score", detector, *holes[:9]]) == 0
    assert "All" not in capsys.readouterr().err


def test_what_cannot_be_written_is_known_before_the_fit(parts, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert cli.main(["fit", f"--good={parts}/train/good", f"--out={tmp_path}"]) == 2
    assert "other files" in capsys.readouterr().err


def test_explain_compares_methods_where_the_defect_is_known(detector, parts, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fsad.scorer.Scorer.methods", ("patches", "occlusion"))  # all take half a minute
    image, mask = parts / "test" / "hole" / "001.png", parts / "ground_truth" / "hole" / "001_mask.png"
    call = ["explain", detector, str(image), f"--out={tmp_path}/all.png"]
    assert cli.main([*call, "--compare", f"--mask={mask}"]) == 0
    with Image.open(tmp_path / "all.png") as figure:
        assert figure.width > 900
    assert cli.main([*call, f"--mask={mask}"]) == 2
    assert "Expected --compare with --mask" in capsys.readouterr().err
    assert cli.main([*call, "--compare", "--mask=nowhere.png"]) == 2
    assert "nowhere.png: expected a mask file" in capsys.readouterr().err


@pytest.mark.slow
def test_explain_evaluate_export_and_check(detector, parts, tmp_path, capsys):
    assert cli.main(["explain", detector, f"{parts}/test/hole/001.png", f"--out={tmp_path}/why.png"]) == 0
    with Image.open(tmp_path / "why.png") as figure:
        assert figure.width > 600
    assert (
        cli.main(["explain", detector, f"{parts}/test/hole/001.png", f"--out={tmp_path}/s.png", "--method=saliency"])
        == 0
    )
    assert cli.main(["evaluate", detector, str(parts), f"--json={tmp_path}/e.json"]) == 0
    assert {"auroc", "f1", "precision", "recall", "accuracy", "intervals"} <= set(
        json.loads((tmp_path / "e.json").read_text())
    )
    assert cli.main(["export", detector, "--format=litert", f"--out={tmp_path}/m.tflite"]) == 0
    assert "scores differ by at most" in capsys.readouterr().out
    assert cli.main(["check", str(parts)]) == 0
    assert "38 images" in capsys.readouterr().out


def test_the_threshold_is_shown_and_set(detector, parts, tmp_path, capsys):
    folder = shutil.copytree(detector, tmp_path / "mine")
    assert cli.main(["threshold", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Threshold ") and "Scores      good: " in shown and "Before" not in shown
    assert cli.main(["threshold", str(folder), "--value=1.5"]) == 0
    assert "Threshold   1.5: set by hand" in capsys.readouterr().out
    assert cli.main(["threshold", str(folder), "--false_alarm_rate=0.2", "--unsure=0.2"]) == 0
    loaded = fsad.load(folder)
    assert "false alarm rate 0.2" in loaded.threshold.how and "unsure by a rate of 0.2" in loaded.threshold.how
    low, high = loaded.threshold.unsure
    assert low <= loaded.threshold.value <= high and sum(loaded.fitted.map_range) == pytest.approx(
        2 * loaded.threshold.value
    )
    middle = [s for s in loaded.score(parts) if low < s <= high]
    assert [p.verdict for p in loaded.stream(parts)].count("unsure") == len(middle)
    assert cli.main(["threshold", str(folder), "--value=1.5"]) == 0  # the band stays, and is said
    assert "Threshold   1.5: set by hand; unsure by a rate of 0.2" in capsys.readouterr().out
    assert cli.main(["threshold", str(folder), "--unsure=0"]) == 0
    assert fsad.load(folder).threshold.unsure is None
    assert cli.main(["threshold", str(folder), "--value=1", "--miss_rate=0.1"]) == 2
    assert "Expected one of --value" in capsys.readouterr().err


def test_learns_corrections_shows_the_journal_and_forgets(detector, parts, tmp_path, capsys):
    folder = str(shutil.copytree(detector, tmp_path / "mine"))
    assert cli.main(["learn", folder, "--journal"]) == 0
    assert "Nothing was learned yet." in capsys.readouterr().out
    table = tmp_path / "corrections.csv"
    missed, alarm = parts / "test" / "hole" / "001.png", parts / "test" / "color" / "001.png"
    table.write_text(f"path,decision\n{missed},missed\n{alarm},false alarm\n")
    assert cli.main(["learn", folder, f"--from={table}", "--by=Ada"]) == 0
    shown = capsys.readouterr().out
    assert f"{missed}: defective, score " in shown and f"{alarm}: good, score " in shown and "by Ada" in shown
    (image,) = [i for i in fsad.load(folder).fitted.journal[0]["images"] if i["role"] == "defective"]
    low = image["score_after"] <= fsad.load(folder).threshold.value
    assert (f"{missed} is still called good" in shown) == low
    assert cli.main(["learn", folder, "--undo"]) == 0 and "Forgotten: " in capsys.readouterr().out
    assert fsad.load(folder).fitted.journal == ()
    assert cli.main(["learn", folder, "--undo"]) == 2 and "empty journal" in capsys.readouterr().err
    table.write_text(f"path,decision\n{missed},wrong\n")
    assert cli.main(["learn", folder, f"--from={table}"]) == 2
    assert "line 2: expected a decision among false alarm, missed. Received: 'wrong'" in capsys.readouterr().err


def test_watch_scores_each_image_once_and_moves_it(fitted, detector, parts, tmp_path, capsys):
    folder, results = tmp_path / "line", tmp_path / "out.jsonl"
    shutil.copytree(parts / "test", folder)
    (folder / "broken.png").write_bytes(b"no image")
    call = ["watch", detector, str(folder), f"--jsonl={results}", "--every=0.2", "--until_idle=2", "--move=defective"]
    assert cli.main(call) == 0
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(rows) == 20 and "broken.png" not in {row["file"] for row in rows}  # it may not be complete yet
    moved = {row["file"] for row in rows if row["verdict"] == "defective"}
    assert moved and all((folder / "defective" / name).exists() and not (folder / name).exists() for name in moved)
    assert [row["score"] for row in rows] == pytest.approx(
        [p.score for row in rows for p in fitted.stream(parts / "test" / row["file"])], abs=1e-3
    )
    assert cli.main(call) == 0 and len(results.read_text().splitlines()) == 20
    assert "20 images are done" in capsys.readouterr().err
    assert cli.main([*call[:-1], "--move=bad"]) == 2 and "Received: bad" in capsys.readouterr().err


def test_serve_asks_for_a_token_where_others_reach_it(detector, tmp_path, monkeypatch, capsys):
    uvicorn = pytest.importorskip("uvicorn")
    served = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: served.append((app, options)))
    monkeypatch.delenv("FSAD_TOKEN", raising=False)
    assert cli.main(["serve", f"bolts={detector}", "--port=8123"]) == 0
    assert "Serving bolts at http://127.0.0.1:8123/" in capsys.readouterr().err
    assert served[0][1]["host"] == "127.0.0.1" and served[0][1]["port"] == 8123
    assert cli.main(["serve", detector, "--host=0.0.0.0"]) == 2 and len(served) == 1
    assert "Expected a token to serve at 0.0.0.0" in capsys.readouterr().err
    (tmp_path / "token").write_text("sesame\n")
    assert (
        cli.main(["serve", detector, "--host=0.0.0.0", f"--token_file={tmp_path / 'token'}"]) == 0 and len(served) == 2
    )
    assert cli.main(["serve", f"a={detector}", f"a={detector}"]) == 2
    assert "Expected one detector named a" in capsys.readouterr().err


def test_draw(tmp_path, capsys):
    assert cli.main(["draw", f"{tmp_path}/set", "--good=4", "--defective=1"]) == 0
    assert len(list(tmp_path.glob("set/*/*/*.png"))) == 4 + 7 + 7
    assert "Synthetic" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("score {0}/none x.png", "no such folder"),
        ("info {0}", "no detector.json"),
        ("fit --good={0}/none/*.png --out={0}/d", "Received: none"),
        ("fit --good={0} --out={0}/d --inspect=x", "--inspect and --report together"),
        ("score {0}/d {0} --csv={0}", "expected a file to write"),
        ("fit --good={0} --out={0}/d --recipe=magic", "invalid choice: 'magic'"),
        ("draw {0}/x --texture=wood", "invalid choice: 'wood'"),
    ],
)
def test_errors_are_one_line_and_status_2(call, message, tmp_path, capsys):
    assert cli.main([word.format(tmp_path) for word in call.split()]) == 2
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("call", "folders"),
    [
        ("score {0} {1}", ["test"]),
        ("inspect {0} {1} --report={2}/r.html", ["test"]),
        ("evaluate {0} {1}", ["test"]),
        ("check {1}", ["test"]),
        ("fit --good={3} --defect={4} --out={2}/d --backbone=filter_bank --side=96 --inspect={1} --report={2}/r.html",
         ["good", "hole", "test"]),
    ],
)  # fmt: skip
def test_a_verb_lists_its_inputs_once(call, folders, detector, parts, tmp_path, monkeypatch):
    listed = []
    monkeypatch.setattr(inputs, "list_images", lambda f, layout: listed.append(f.name) or list_images(f, layout))
    names = (detector, parts / "test", tmp_path, parts / "train" / "good", parts / "test" / "hole")
    assert cli.main([word.format(*names) for word in call.split()]) == 0
    assert sorted(listed) == folders


def test_weights_says_what_goes_where_and_checks_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FSAD_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    backbones.build("mobilenet", "none")[0].save_weights(tmp_path / "mine.weights.h5")
    assert cli.main(["weights", "mobilenet"]) == 0
    printed = capsys.readouterr().out
    file = backbones.SPECS["mobilenet"].files[-1]
    assert f"mobilenet/{file}" in printed and "here     no" in printed and "Apache-2.0" in printed
    assert f"Not used: {tmp_path}/mine.weights.h5: no backbone takes" in printed
    (tmp_path / "text.h5").write_text("text")
    assert cli.main(["weights", "mobilenet", f"--check={tmp_path}/text.h5"]) == 2
    assert "expected weights of" in capsys.readouterr().err
    keras.applications.MobileNet(alpha=0.75, include_top=False, weights=None).save_weights(tmp_path / "it.weights.h5")
    assert cli.main(["weights", "mobilenet", f"--check={tmp_path}/it.weights.h5"]) == 0
    assert f"fits MobileNet 0.75. Put it into FSAD_WEIGHTS_DIR as {file}" in capsys.readouterr().out
    assert cli.main(["weights", "vgg17"]) == 2 and "Received: vgg17" in capsys.readouterr().err
    assert cli.main(["weights", f"--check={tmp_path}/text.h5"]) == 2 and "one BACKBONE" in capsys.readouterr().err
