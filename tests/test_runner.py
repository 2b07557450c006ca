import dataclasses
import json

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from matplotlib.figure import Figure

from experiments import data, figures, runner, statistics
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from fsad.weights import WeightsError

TABLE = Table(
    name="made_up",
    title="Table 0: made up",
    columns=(Column("accuracy", "Accuracy", "{:.1f}%", 100), Column("auroc", "AUROC")),
    rows=(
        Row("a", "First", {"backbone": "custom_cnn"}, {"accuracy": "90.0%", "auroc": "0.9"}, 2, "As printed."),
        Row("b", "Second", {"backbone": "vgg19"}, {"accuracy": "80.0%"}),
    ),
    settings={"data": "nowhere", "weights": "none", "epochs": 2},
    notes=("All made up.",),
)


def train(settings, on_epoch):
    on_epoch(0.5)
    accuracy = (1 + settings["seed"]) / 4 if settings["backbone"] == "custom_cnn" else 1.0
    return {"data": "a set", "test": {"accuracy": accuracy}, "settings": settings}, {"maps": np.zeros((1, 2, 2))}


def report(runs):
    rows = {row.key: [record["test"]["accuracy"] for record in records] for row, records in by_row(runs)}
    return {key: Result({"accuracy": statistics.spread(values)}) for key, values in rows.items()}, "## More", {}


@pytest.fixture
def call(tmp_path, parts):
    """``call(*flags)`` remakes a table as a command with these flags would, and returns the files it wrote."""

    def run(*arguments, table=TABLE, train=train, do=runner.remake, report=report):
        with flagsaver.flagsaver():
            flags.FLAGS(["test", f"--data={parts}", f"--out={tmp_path}/out", f"--cache={tmp_path}/runs", *arguments])
            do(table, train, lambda settings: None, report) if do is figures.remake else do(table, train, report)
            return {path.name: path.read_text() for path in (tmp_path / "out").glob("*.[mj]*")}

    return run


def test_a_table_is_made_once_and_written_the_same_from_its_finished_runs(call, tmp_path, capsys):
    page = call()["made_up_parts.md"]
    # Seeds 0 and 1 of the first row have 1/4 and 2/4.
    assert "| First [1] | 90.0% / 37.5% ± 17.7% | 0.9 / – |" in page and "| Second | 80.0% / 100.0% | – / – |" in page
    assert "Same for all rows: weights none, epochs 2, precision" in page and page.endswith("All made up.\n\n## More\n")
    shown = capsys.readouterr().out
    assert "90.0% / 37.5%" in shown and "±" not in shown
    made = sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/record.json"))
    assert len(made) == 3 and call()["made_up_parts.md"] == page
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/record.json")) == made
    assert "3 of 3 runs are finished already" in capsys.readouterr().out


def test_an_interrupted_table_goes_on_where_it_was(call, tmp_path, capsys):
    def interrupted(settings, on_epoch):
        if settings["seed"]:
            raise KeyboardInterrupt
        return train(settings, on_epoch)

    with pytest.raises(SystemExit) as stop:
        call("--rows=a", train=interrupted)
    assert stop.value.code == 130 and "1 of 2 runs are finished" in capsys.readouterr().out
    assert call("--rows=a", "--dry_run", train=interrupted) == {}
    shown = capsys.readouterr().out
    assert shown.count("finished  a, First") == shown.count("to run    a, First") == 1 and "2 run(s), 1 to do" in shown
    assert "37.5%" in call("--rows=a")["made_up_parts_trial.md"]
    assert len([*(tmp_path / "runs").iterdir()]) == 2  # nothing unfinished is left


def test_a_failed_run_costs_only_its_own_cells(call, capsys, tmp_path):
    def failing(settings, on_epoch):
        return train(settings, on_epoch) if settings["seed"] == 0 else 1 / 0

    with pytest.raises(SystemExit):
        call(train=failing)
    page = (tmp_path / "out" / "made_up_parts_trial.md").read_text()
    assert "90.0% / 25.0% |" in page and "Seed 1 failed: division by zero" in page


def test_mistakes_say_what_was_expected(call):
    for argument, expected in {
        "--rows=c": "Expected --rows among a, b. Received: c",
        "--data=x,y,z": "or 2, one per row",
        "--data=nowhere": "Received: nowhere",
        "--weights=/gone.h5": "/gone.h5: expected --weights to be imagenet, none or a file",
        "--hold_out=rust": "Expected no --hold_out: made_up has no such setting",
    }.items():
        with pytest.raises((ValueError, FileNotFoundError), match=expected):
            call(argument, "--dry_run")


def test_a_trial_does_not_overwrite_a_page_but_the_command_that_wrote_it_does(call, tmp_path):
    assert {*call("--epochs=1")} == {"made_up_parts_trial.md", "made_up_parts_trial.json"}
    assert {*call("--rows=b")} == {"made_up_parts_trial.md", "made_up_parts_trial.json"}
    page = tmp_path / "out" / "made_up_parts.json"
    page.write_text((tmp_path / "out" / "made_up_parts_trial.json").read_text())
    call("--rows=b")
    assert (tmp_path / "out" / "made_up_parts.md").is_file()


def test_rows_without_data_are_not_run_unless_asked_for(call):
    rows = (dataclasses.replace(TABLE.rows[0], settings={"backbone": "custom_cnn", "data": "elsewhere"}), TABLE.rows[1])
    with flagsaver.flagsaver(), pytest.raises(FileNotFoundError, match="elsewhere"):
        flags.FLAGS(["test", "--rows=a", "--dry_run"])
        runner.plan(dataclasses.replace(TABLE, rows=rows), train)
    with flagsaver.flagsaver():
        flags.FLAGS(["test", "--dry_run"])
        assert runner.plan(dataclasses.replace(TABLE, rows=rows[:1]), train) == []


def test_missing_weights_of_imagenet_are_random_ones_and_said_to_be(call, monkeypatch):
    def locate(backbone):
        raise WeightsError("no network")

    monkeypatch.setattr(runner.weights, "local_file", lambda files: None)
    monkeypatch.setattr(runner.backbones, "locate", locate)
    runner._has_weights.cache_clear()
    written = call("--weights=imagenet")
    note = "ImageNet weights were unavailable: this backbone started from random weights."
    runs = json.loads(written["made_up_parts.json"])
    assert [note in row["notes"] for row in runs["rows"]] == [False, True]  # the custom CNN has none to miss
    assert [run["settings"]["weights"] for run in runs["runs"]] == ["imagenet", "imagenet", "none"]
    runner._has_weights.cache_clear()


def test_test_images_of_one_draw_are_written_once():
    tests = [{"path": ["a"], "mean": [0.1]}, {"path": ["b"], "mean": [0.2]}, {"path": ["a"], "mean": [0.3]}]
    shared = runner._share_tests([*({"test": test} for test in tests), {"seed": 2}])
    assert [record.get("test") for record in shared] == [
        tests[0], tests[1], {"path": {"as in run": 0}, "mean": [0.3]}, None
    ]  # fmt: skip


def test_figures_are_of_the_first_draw_and_name_trials(call, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")

    def draw(run):
        assert run.settings["seed"] == 0
        return {f"figure_{run.row.key}{figures.suffix(run, TABLE)}": Figure()}

    call(do=figures.remake, report=draw)
    call("--rows=b", "--epochs=1", do=figures.remake, report=draw)
    drawn = {path.name for path in (tmp_path / "out").iterdir()}
    assert drawn == {"figure_a_parts.png", "figure_b_parts.png", "figure_b_parts_trial.png"}
