from experiments import readme


def test_lines_of_the_shell_blocks_are_joined():
    page = "```sh\nfsad draw parts   # pictures\n\n# a remark\nfsad fit --good=a \\\n    --out=b\n"
    page += "echo a |\n    curl b\n```\n```python\nnot this\n```\n```sh\nmake test\n```\n"
    found = readme.lines(page)
    assert found[0].startswith("fsad draw parts") and found[1].split() == ["fsad", "fit", "--good=a", "--out=b"]
    assert found[2].split() == ["echo", "a", "|", "curl", "b"] and found[3:] == ["make test"]
