"""Mutated images: 14 kinds of damage to files of eight encodings, decoded as everything that scores decodes them."""

import collections
import io
import random
import time

from experiments.torture import Attack, Outcome, fsad

BATCH = 250  # mutations of a case
WRONG = 0.01  # part of the pixels, off by more than 8, from which an image that was accepted counts as changed
SLOW = 10  # seconds from which an image hangs
ENCODINGS = {
    "PNG": ("PNG", {}),
    "JPEG": ("JPEG", {"quality": 90}),
    "JPEG progressive": ("JPEG", {"quality": 80, "progressive": True}),
    "BMP": ("BMP", {}),
    "TIFF raw": ("TIFF", {}),
    "TIFF LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF zlib": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "WebP": ("WEBP", {"quality": 90}),
}
CHECKED = ("PNG", "TIFF zlib")  # which have a checksum of all their pixels


def _run(data, rng):
    """Begin and end of up to 600 bytes."""
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.randrange(1, 600))


def _over(make):
    def mutate(data, rng, other):
        start, end = _run(data, rng)
        return data[:start] + make(end - start, rng, other) + data[end:]

    return mutate


def _bit(data, rng, other):
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]


def _byte(data, rng, other, most=None):
    place = rng.randrange(min(most or len(data), len(data)))
    return data[:place] + rng.randbytes(1) + data[place + 1 :]


def _number(data, rng, other):
    place = rng.randrange(len(data) - 4)
    return data[:place] + rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)]) + data[place + 4 :]


def _delete(data, rng, other):
    start, end = _run(data, rng)
    return data[:start] + data[end:]


def _insert(data, rng, other):
    place = rng.randrange(len(data))
    return data[:place] + rng.randbytes(rng.randrange(1, 600)) + data[place:]


def _repeat(data, rng, other):
    start, end = _run(data, rng)
    return data[:end] + data[start:]


def _exchange(data, rng, other):
    (start, end), place = _run(data, rng), rng.randrange(len(data))
    return data[:start] + data[place : place + end - start] + data[end:]


def _splice(data, rng, other):
    place = rng.randrange(min(len(data), len(other)))
    return data[:place] + other[place:]


KINDS = {
    "a bit turned": _bit,
    "a byte changed": _byte,
    "a byte of the header changed": lambda data, rng, other: _byte(data, rng, other, 64),
    "a number made extreme": _number,
    "zeros": _over(lambda size, rng, other: bytes(size)),
    "ones": _over(lambda size, rng, other: b"\xff" * size),
    "noise": _over(lambda size, rng, other: rng.randbytes(size)),
    "a piece of another file": _over(lambda size, rng, other: other[:size]),
    "bytes lost": _delete,
    "bytes inserted": _insert,
    "bytes repeated": _repeat,
    "bytes exchanged": _exchange,
    "cut off": lambda data, rng, other: data[: rng.randrange(len(data))],
    "another file from the middle on": _splice,
}


def _encoded(workshop):
    """Files of each encoding, as bytes."""
    from PIL import Image

    encoded = {}
    for title, (format, options) in ENCODINGS.items():
        for path in workshop.images()[::3]:
            file = io.BytesIO()
            Image.open(path).convert("RGB").save(file, format, **options)
            encoded.setdefault(title, []).append(file.getvalue())
    return encoded


def _decode(workshop, case, result):
    """Decodes a batch; writes lines ``title, outcome`` and failures."""
    import numpy as np

    from fsad.images import ImageError, decode_image

    rng, encoded = random.Random(case), _encoded(workshop)
    whole = {data: decode_image(data, "whole") for files in encoded.values() for data in files}
    with open(result, "w", buffering=1) as log:
        for k in range(BATCH):
            title, kind = rng.choice(list(encoded)), rng.choice(list(KINDS))
            data, other = rng.choice(encoded[title]), rng.choice(encoded[title])
            mutated = KINDS[kind](data, rng, other)
            log.write(f"try\t{k}: {title}, {kind}\n")
            begun = time.monotonic()
            try:
                image = decode_image(mutated, "mutated")
                assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
                same = [image.shape == whole[one].shape for one in (data, other)]
                off = [
                    np.mean(np.abs(image.astype(int) - whole[one]).max(-1) > 8) if fits else 1.0
                    for one, fits in zip((data, other), same, strict=True)
                ]
                outcome = "accepted as it was" if min(off) <= WRONG else "accepted, changed"
                if outcome == "accepted, changed" and title in CHECKED:
                    log.write(f"fail\t{title} accepted with {min(off):.0%} of the pixels changed: {kind}, {case} {k}\n")
            except ImageError:
                outcome = "refused"
            if time.monotonic() - begun > SLOW:
                log.write(f"fail\t{title} took {time.monotonic() - begun:.0f} s: {kind}, {case} {k}\n")
            log.write(f"{title}\t{outcome}\n")


def _attempt(workshop, case):
    with workshop.folder() as folder:
        ended = workshop.run(_decode, workshop, case, folder / "log", seconds=300)
        lines = [line.split("\t") for line in (folder / "log").read_text().splitlines()]
    counts = collections.Counter(f"{title}: {text}" for title, text in lines if title not in ("try", "fail"))
    failures = [text for title, text in lines if title == "fail"]
    if ended.status != 0:
        failures.append(f"{case} ended with {ended.status} ({ended.said}) after {lines[-1][1]}")
    return Outcome(counts, failures)


def _command(workshop, case):
    """Half of the files mutated: each file has its line, and each line a score or an error."""
    import csv

    rng, encoded = random.Random(case), _encoded(workshop)
    suffixes = {"PNG": "png", "JPEG": "jpg", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp"}
    with workshop.folder() as folder:
        (folder / "line").mkdir()
        for k in range(100):
            title = rng.choice(list(encoded))
            data = rng.choice(encoded[title])
            if k % 2:
                data = rng.choice(list(KINDS.values()))(data, rng, rng.choice(encoded[title]))
            (folder / "line" / f"{k:03d}.{suffixes[ENCODINGS[title][0]]}").write_bytes(data)
        ended = workshop.run(fsad, "score", workshop.detector, folder / "line", f"--csv={folder / 'a.csv'}")
        text = (folder / "a.csv").read_text() if (folder / "a.csv").exists() else ""
        rows = list(csv.DictReader(io.StringIO(text)))
    failures = (
        [] if len(rows) == 100 and ended.status == 1 else [f"{len(rows)} lines, status {ended.status}: {ended.said}"]
    )
    failures += [f"a line with neither or both: {row}" for row in rows if bool(row["score"]) == bool(row["error"])]
    failures += [f"whole, yet {row['error']}" for row in rows[::2] if row["error"]]
    counts = collections.Counter("a score" if row["score"] else "an error" for row in rows)
    return Outcome(counts, failures)


ATTACKS = (
    Attack(
        "images",
        f"image files of {len(ENCODINGS)} encodings, mutated in {len(KINDS)} ways, decoded",
        "an image, or an error that names the file; no crash, no hang; no changed pixels where there is a checksum",
        "OSS-Fuzz, which fuzzes libpng, libjpeg-turbo, libtiff and Pillow all the time: a crash or a hang is a bug",
        lambda workshop, quick: [f"batch {k}" for k in range(2 if quick else 80)],
        _attempt,
    ),
    Attack(
        "images-command",
        "`fsad score` of folders of 100 files, half of them mutated",
        "a line for each file, with a score or an error; exit status 1",
        "as above; what cannot be read must not cost the others",
        lambda workshop, quick: [f"folder {k}" for k in range(1 if quick else 20)],
        _command,
    ),
)
