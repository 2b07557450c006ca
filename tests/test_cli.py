import subprocess
import sys

import pytest

from fsad import cli


def test_help_and_mistakes_start_nothing_heavy(tmp_path):
    """A mistake in a path, flag or output folder is answered before TensorFlow is imported."""
    (tmp_path / "thesis.txt").write_text("years of work")
    calls = [["--help"], ["fit", "--help"], ["score", "nowhere", "x.png"], ["fit", "--good=x*.png", "--out=d"],
             ["fit", "--good=nowhere", "--out=d"],
             ["fit", f"--good={tmp_path}", f"--out={tmp_path}"], ["info", str(tmp_path)], ["check", "nowhere"],
             ["explain", "d", "nowhere.png", "--out=e.png"], ["inspect", "d", "x", f"--report={tmp_path}"]]  # fmt: skip
    script = "import sys; from fsad import cli; print([cli.main(call) for call in %r]);" % calls  # noqa: UP031
    script += "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == str([0, 0] + [2] * 8)
    assert "Traceback" not in done.stderr and "fsad score: nowhere: expected the folder of a saved" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_explains_itself(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: fsad {verb}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("paint", "invalid choice: 'paint'"),
        ("score detector", "the following arguments are required: PATH"),
        ("fit --good=x", "the following arguments are required: --out"),
        ("fit --good=x --out=y --colour=red", "unrecognized arguments: --colour\n"),
        ("fit --good=x --out=y --side=big", "argument --side: invalid side value: 'big'"),
        ("export d --out=x --format=pickle", "invalid choice: 'pickle' (choose from"),
        ("check", "the following arguments are required: FOLDER"),
    ],
)
def test_wrong_calls_are_answered_with_what_is_right(call, message, capsys):
    assert cli.main(call.split()) == 2
    err = capsys.readouterr().err
    assert message in err and "--help' for usage." in err


def test_a_mistyped_flag_is_named_before_what_is_missing(capsys):
    assert cli.main(["fit", "--goood=a", "--out=b"]) == 2
    assert capsys.readouterr().err.startswith("fsad fit: unrecognized arguments: --goood; did you mean --good?\n")


def test_a_flag_under_its_old_name_is_understood():
    options = cli._parser().parse_args(["export", "d", "--format=onnx", "--out=m", "--pictures=a", "--images=b"])
    assert options.images == ["a", "b"]
