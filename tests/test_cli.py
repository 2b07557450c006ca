import subprocess
import sys

import pytest

from fsad import cli


def test_help_starts_nothing_heavy():
    script = "import sys; from fsad import cli; cli.main(['--help']); cli.main(['fit', '--help']);"
    script += "sys.exit(bool({'tensorflow', 'cv2', 'numpy'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    for verb in cli.VERBS:
        assert f"  fsad {verb}" in out
    assert "--good=PATH" in out and "(required)" in out and max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_explains_itself(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"fsad {verb}") and all(f"--{name}" in out for name, *_ in cli.VERBS[verb][3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("paint", "Expected a verb among"),
        ("score detector", "Expected fsad score DETECTOR PATH..."),
        ("fit --good=x", "Expected --out"),
        ("fit --good=x --out=y --colour=red", "Unknown command line flag 'colour'"),
        ("fit --good=x --out=y --side=big", "--side"),
        ("export d --out=x --format=pickle", "saved_model|onnx|openvino|litert"),
        ("check", "Expected fsad check FOLDER"),
    ],
)
def test_wrong_calls_are_told_what_is_right(call, message, capsys):
    assert cli.main(call.split()) == 2
    assert message in capsys.readouterr().err
