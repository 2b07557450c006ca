"""Numbers that are none, and images that are not as they should be."""

import numpy as np

from experiments.torture import Attack, Outcome, copy, fsad

ARRAYS = {
    "NaN": lambda image: np.full(image.shape, np.nan, np.float32),
    "infinity": lambda image: np.full(image.shape, np.inf, np.float32),
    "floats in [0, 1]": lambda image: (image / 255).astype(np.float32),
    "floats in [0, 255]": lambda image: image.astype(np.float32),
    "doubles": lambda image: image.astype(np.float64),
    "16 bits": lambda image: image.astype(np.uint16) * 257,
    "signed bytes": lambda image: image.astype(np.int8),
    "booleans": lambda image: image > 127,
    "complex": lambda image: image.astype(np.complex64),
    "objects": lambda image: image.astype(object),
    "text": lambda image: image.astype(str),
    "channels first": lambda image: image.transpose(2, 0, 1),
    "four channels": lambda image: np.dstack([image, image[..., :1]]),
    "two channels": lambda image: image[..., :2],
    "no pixel": lambda image: image[:0],
    "one pixel": lambda image: image[:1, :1],
    "five dimensions": lambda image: image[None, None],
    "a number": lambda image: np.uint8(3),
    "a matrix": lambda image: np.matrix(image[..., 0]),
    "a masked array": lambda image: np.ma.masked_array(image, image > 9),
}
SAME = {  # the same pixels in another place of memory
    "a view backwards": lambda image: image[::-1][::-1],
    "columns first": np.asfortranarray,
    "read-only": lambda image: np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape),
    "every second of a larger one": lambda image: np.repeat(image, 2, axis=1)[:, ::2],
}
FLAGS = (
    "--threshold=nan", "--threshold=inf", "--threshold=-inf", "--threshold=1e999", "--threshold=", "--threshold=x",
    "--min_area=x", "--runtime=cuda",
)  # fmt: skip
SETTINGS = (
    "--value=nan", "--value=inf", "--false_alarm_rate=0", "--false_alarm_rate=1", "--false_alarm_rate=nan",
    "--false_alarm_rate=-1", "--miss_rate=2", "--unsure=nan", "--unsure=1",
)  # fmt: skip
FITS = (
    "--epochs=0",
    "--epochs=-1",
    "--side=0",
    "--side=-3",
    "--side=1x",
    "--side=nan",
    "--max_references=0",
    "--seed=x",
)


def _score(detector, path, change, same):
    from fsad.detector import load
    from fsad.images import read_image

    loaded, image = load(detector), read_image(path)
    expected = loaded.score([image])[0]
    try:
        received = loaded.score([change(image)])[0]
    except (ValueError, TypeError) as error:
        print(error)
        return 1 if same else 0
    print(f"scored {received}, expected {expected}")
    return 0 if same and received == expected else 1


def _attempt(workshop, case):
    same = case in SAME
    ended = workshop.run(_score, workshop.detector, workshop.images()[0], (SAME if same else ARRAYS)[case], same)
    failures = [] if ended.status == 0 else [f"{case}: {ended.status}, {ended.said}"]
    return Outcome({"the same score" if same else "refused": 1}, failures)


def _flag(workshop, case):
    with workshop.folder() as folder:
        detector = copy(workshop.detector, folder / "detector")
        before = {path.name: path.read_bytes() for path in detector.iterdir()}
        if case in FLAGS:
            ended = workshop.run(fsad, "score", detector, workshop.images()[0], case)
        elif case in SETTINGS:
            ended = workshop.run(fsad, "threshold", detector, case)
        else:
            good = workshop.parts / "train" / "good"
            ended = workshop.run(fsad, "fit", f"--good={good}", "--backbone=filter_bank", f"--out={detector}", case)
        changed = {path.name: path.read_bytes() for path in detector.iterdir()} != before
    failures = []
    if ended.status != 2 or "Traceback" in ended.text or changed:
        failures.append(
            f"{case}: expected status 2. Received: {ended.status}, {'changed, ' if changed else ''}{ended.said}"
        )
    return Outcome({"refused": 1}, failures)


def _drift(workshop, case):
    """All channels exchanged, or all images darker: each is an image like others; the stream is said to differ."""
    from PIL import Image

    with workshop.folder() as folder:
        (folder / "line").mkdir()
        for k, path in enumerate(sorted((workshop.parts / "train" / "good").iterdir())[:20]):
            image = Image.open(path).convert("RGB")
            tinted = Image.merge(
                "RGB", [image.getchannel(0), image.getchannel(1), image.getchannel(2).point(lambda v: v * 0.7)]
            )
            if case == "BGR":
                tinted = Image.merge("RGB", tinted.split()[::-1])
            tinted.save(folder / "line" / f"{k:02d}.png")
        ended = workshop.run(fsad, "score", workshop.detector, folder / "line", "--strict")
    failures = (
        []
        if ended.status == 3
        else [f"{case}: expected status 3, what differs said. Received: {ended.status}, {ended.said}"]
    )
    return Outcome({"noticed by drift": 1}, failures)


ATTACKS = (
    Attack(
        "arrays",
        f"arrays that are no uint8 RGB: {', '.join(ARRAYS)}; and such as lie otherwise in memory",
        "an error that says what was expected; the same score where the pixels are the same",
        "numpy and scikit-learn's check_array",
        lambda workshop, quick: [*ARRAYS, *SAME][:: 6 if quick else 1],
        _attempt,
    ),
    Attack(
        "flags",
        "numbers that are none, or out of range, as flags",
        "status 2 and a sentence; the detector as it was",
        "GNU coreutils",
        lambda workshop, quick: [*FLAGS, *SETTINGS, *FITS][:: 5 if quick else 1],
        _flag,
    ),
    Attack(
        "drift",
        "twenty images of other colours than those of the fit: less blue, and these as BGR",
        "the command says that they differ; `--strict` makes it exit status 3",
        "–",
        lambda workshop, quick: ["BGR"] if quick else ["less blue", "BGR"],
        _drift,
    ),
)
