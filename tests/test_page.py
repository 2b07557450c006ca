import dataclasses
import json

from matplotlib.figure import Figure

from experiments import page, statistics
from experiments.page import Column, Result, Row, Table

TABLE = Table(
    name="made_up",
    title="Table 0: made up",
    columns=(Column("accuracy", "Accuracy", "{:.1f}%", 100), Column("auroc", "AUROC")),
    rows=(
        Row("a", "First", {}, {"accuracy": "90.0%", "auroc": "0.9"}, note="As printed."),
        Row("b", "Second", {}, {"accuracy": "80.0%"}),
    ),
    settings={},
    notes=("All made up.",),
)


def write(tmp_path, results, table=TABLE, **options):
    return page.write(tmp_path, table, "t", ["How."], results, {"command": "c", "runs": [float("nan")]}, **options)


RESULT = Result({"accuracy": {"mean": 0.5, "sd": 0.01, "interval": [0.4, 0.6]}, "auroc": statistics.spread([0.25])})


def test_paper_and_ours_stand_in_one_cell_with_footnotes(tmp_path):
    shown = write(tmp_path, {"a": dataclasses.replace(RESULT, notes=("2 draws.",))}, figures={"roc": Figure()})
    text = (tmp_path / "t.md").read_text()
    assert "| First [1,2] | 90.0% / 50.0% ± 1.0% (40.0% to 60.0%) | 0.9 / 0.250 |" in text
    assert "| Second [3] | 80.0% / – | – / – |" in text
    assert "[1] As printed.  \n[2] 2 draws.  \n[3] Not run.  \nAll made up.\n\n![roc](t_roc.png)\n" in text
    assert "First [1,2] 90.0% / 50.0% 0.9 / 0.250" in " ".join(shown.split())
    written = json.loads((tmp_path / "t.json").read_text())
    assert written["rows"][0]["ours"]["auroc"]["mean"] == 0.25 and written["rows"][1]["ours"] is None
    assert written["runs"] == [None]  # JSON has no NaN
    assert (tmp_path / "t_roc.png").is_file()


def test_a_study_of_our_own_shows_ours_alone(tmp_path):
    own = dataclasses.replace(TABLE, rows=tuple(dataclasses.replace(row, paper={}) for row in TABLE.rows))
    assert "paper" not in write(tmp_path, {"a": RESULT}, own)
    assert "| 50.0% ± 1.0% (40.0% to 60.0%) | 0.250 |" in (tmp_path / "t.md").read_text()


def test_a_processor_is_named_with_its_widest_instructions(tmp_path):
    """Processors of one name differ by four times in training."""
    info = tmp_path / "cpuinfo"
    for flags, widest in (("sse avx2 avx512f", "AVX-512"), ("sse avx2", "AVX2")):
        info.write_text(f"model name\t: Fast One\nflags\t\t: {flags}\n" * 2)
        name, _, extension, _ = page.machine(info).split(", ")
        assert (name, extension) == ("Fast One", widest)
    assert page.machine(tmp_path / "none").count(", ") == 2
