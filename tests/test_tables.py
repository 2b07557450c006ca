import dataclasses
import json

from matplotlib.figure import Figure

from experiments import tables
from experiments.tables import Column, Result, Row, Table

TABLE = Table(
    name="t",
    title="Table 0: made up",
    columns=(Column("accuracy", "Accuracy", "{:.1f}%", 100), Column("auroc", "AUROC")),
    rows=(
        Row("a", "First", {}, {"accuracy": "90.0%", "auroc": "0.9"}, note="As printed."),
        Row("b", "Second", {}, {"accuracy": "80.0%"}),
    ),
    settings={},
    notes=("All made up.",),
)
RESULT = Result(
    {
        "accuracy": {"mean": 0.5, "sd": 0.01, "interval": [0.4, 0.6]},
        "auroc": {"mean": 0.25, "sd": None, "interval": None},
    },
    notes=("2 draws.",),
)


def test_paper_and_ours_stand_in_one_cell_with_footnotes(tmp_path):
    shown = tables.write(TABLE, tmp_path, "t", ["How."], {"a": RESULT}, {"command": "c"})
    text = (tmp_path / "t.md").read_text()
    assert "| First [1,2] | 90.0% / 50.0% ± 1.0% (40.0% to 60.0%) | 0.9 / 0.250 |" in text
    assert "| Second [3] | 80.0% / – | – / – |" in text
    assert "[1] As printed.  \n[2] 2 draws.  \n[3] Not run.  \nAll made up." in text
    assert "First [1,2]  90.0% / 50.0%  0.9 / 0.250" in shown and "±" not in shown


def test_json_and_figures(tmp_path):
    tables.write(TABLE, tmp_path, "t", [], {"a": RESULT}, {"command": "c"}, "## More", {"roc": Figure()})
    payload = json.loads((tmp_path / "t.json").read_text())
    assert payload["command"] == "c" and payload["rows"][0]["ours"]["auroc"]["mean"] == 0.25
    assert payload["rows"][1]["ours"] is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.json", "t.md", "t_roc.png"]
    assert (tmp_path / "t.md").read_text().endswith("## More\n\n![roc](t_roc.png)\n")


def test_a_value_that_is_not_a_number_shows_as_missing(tmp_path):
    nothing = Result({"auroc": {"mean": None, "sd": None, "interval": None}})
    tables.write(TABLE, tmp_path, "t", [], {"b": nothing}, {"runs": [float("nan")]})
    assert json.loads((tmp_path / "t.json").read_text())["runs"] == [None]
    assert "| Second | 80.0% / – | – / – |" in (tmp_path / "t.md").read_text()


def test_a_study_of_our_own_shows_ours_alone(tmp_path):
    study = dataclasses.replace(TABLE, rows=tuple(dataclasses.replace(row, paper={}) for row in TABLE.rows))
    shown = tables.write(study, tmp_path, "t", [], {"a": RESULT}, {})
    assert "| First [1,2] | 50.0% ± 1.0% (40.0% to 60.0%) | 0.250 |" in (tmp_path / "t.md").read_text()
    assert "paper" not in shown
