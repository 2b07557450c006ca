import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from experiments import senarathna_table1, senarathna_table2, senarathna_table3, study
from fsad import images, synthetic


def table(tmp_path, *arguments, script="", check=True):
    """Runs Table I on a tiny synthetic set, in a process of its own as a user does."""
    folder = synthetic.write(tmp_path / "tiny", "metal", good=12, defective=1, size=64)
    options = ["--rows=custom_cnn", f"--data={folder}", f"--out={tmp_path / 'out'}", f"--kept={tmp_path / 'runs'}"]
    code = f"""
        import dataclasses
        from experiments import reports, senarathna, study
        from experiments.senarathna_table1 import TABLE
        from fsad import backbones
        # At 60 pixels the network has a tenth of its weights.
        backbones.SPECS["custom_cnn"] = dataclasses.replace(backbones.SPECS["custom_cnn"], side=60)
        # One picture a role: one step an epoch.
        TABLE.settings.update(anchors=1, good=1, defective=1)
        {script}
        senarathna.train.__module__ = "experiments.senarathna"  # also where a test wraps it
        study.main(TABLE, senarathna.train, reports.scores, senarathna.check)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done


def test_same_seed_same_table_twice_and_finished_runs_are_kept(tmp_path):
    first = table(tmp_path, "--epochs=2", "--draws=2")
    assert "Custom CNN" in first.stdout and "0.985 / 0." in first.stdout
    written = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert set(written) == {f"senarathna_table1_tiny{s}" for s in (".md", ".json", "_confusion.png", "_roc.png")}
    runs = sorted((tmp_path / "runs").iterdir())
    stamps = [(r / "record.json").stat().st_mtime_ns for r in runs]
    # Again, with the runs: nothing is trained. Without them: the same table from the same seed.
    table(tmp_path, "--epochs=2", "--draws=2")
    assert [(r / "record.json").stat().st_mtime_ns for r in runs] == stamps
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == written
    table(tmp_path, "--epochs=2", "--draws=2", f"--kept={tmp_path / 'fresh'}")
    again = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert all(again[name] == written[name] for name in written if not name.endswith(".json"))
    scores = [json.loads(w["senarathna_table1_tiny.json"])["runs"][1]["test"] for w in (written, again)]
    assert scores[0] == scores[1]


def test_a_killed_table_goes_on_where_it_was(tmp_path):
    kill = "import os; train, calls = senarathna.train, []\n        "
    kill += "senarathna.train = lambda *a: (os._exit(9) if calls else calls.append(1), train(*a))[1]"
    stopped = table(tmp_path, "--epochs=1", "--draws=2", script=kill, check=False)
    assert stopped.returncode == 9
    plan = table(tmp_path, "--epochs=1", "--draws=2", "--dry_run").stdout
    assert plan.count("finished  Custom CNN") == 1 and plan.count("to run    Custom CNN") == 1
    assert "2 run(s), 1 to do" in plan
    interrupt = "senarathna.train = lambda *a: (_ for _ in ()).throw(KeyboardInterrupt)"
    stopped = table(tmp_path, "--epochs=1", "--draws=2", script=interrupt, check=False)
    assert stopped.returncode == 130 and "1 of 2 runs are finished and kept" in stopped.stdout


def test_a_failing_run_costs_only_its_own_cells(tmp_path):
    fail = "train = senarathna.train\n        "
    fail += "senarathna.train = lambda s, e: 1 / 0 if s['seed'] else train(s, e)"
    done = table(tmp_path, "--epochs=1", "--draws=2", script=fail, check=False)
    assert done.returncode == 1 and "Seed 1 failed: division by zero" in done.stdout
    assert "0.985 / 0." in done.stdout


def test_mistakes_are_one_line_that_says_what_was_expected(tmp_path):
    for kind in ("rose", "tulip"):
        images.write(tmp_path / "w" / kind / "1.png", np.zeros((9, 9, 3), np.uint8))
    for argument, expected in {
        "--rows=vgg20": "Received: vgg20",
        "--data=nowhere": "Received: nowhere",
        f"--data={tmp_path / 'w'}": "Received: rose, tulip",
        "--weights=/gone.h5": "/gone.h5: expected --weights to be imagenet, none or a file",
        "--hold_out=rust": "Expected --hold_out among color, cut",
    }.items():
        wrong = table(tmp_path, argument, "--dry_run", check=False)
        assert wrong.returncode != 0 and expected in wrong.stderr
        assert "Traceback" not in wrong.stderr


def test_help_lists_the_flags_and_is_no_failure(tmp_path):
    shown = table(tmp_path, "--help").stdout
    assert "--draws" in shown and "custom_cnn, vgg19, resnet50, inception_v3" in " ".join(shown.split())


@pytest.mark.parametrize("declared", [senarathna_table1.TABLE, senarathna_table2.TABLE, senarathna_table3.TABLE])
def test_every_declared_cell_has_a_column_and_every_column_a_cell(declared):
    for row in declared.rows:
        assert set(row.paper) == {c.key for c in declared.columns}
        assert {"data", "backbone", "epochs"} <= {**declared.settings, **row.settings}.keys()


def test_pictures_of_one_draw_are_told_once():
    """A record without test pictures is not that of another."""
    one, other = {"test": {"path": ["a"]}, "seed": 0}, {"test": {"path": ["b"]}}
    told = study._once([one, other, {**one, "seed": 1}, {"seed": 2}, {"seed": 3}])
    assert told == [one, other, {"test": {"as in run": 0}, "seed": 1}, {"seed": 2}, {"seed": 3}]
