from experiments.benchmarks import pipeline


def test_lines_by_hand():
    """Two stages at 10 and 40 images a second allow 8 together."""
    measures = {"stages": {"read": 10, "match": 40}, "limits": {"read": 20, "match": 40}, "done": 1000, "rate": 6,
             "megabytes": 123.4}  # fmt: skip
    stages, whole = pipeline.lines_of("1 megapixel", measures)
    assert [(line["of the machine's limit"], line["of the work"]) for line in stages] == [
        ("50%", "80%"),
        ("100%", "20%"),
    ]
    assert whole["of what its stages allow"] == "75%" and whole["20,000 images"] == "56 min"
