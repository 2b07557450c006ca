"""A look at a user's folder before anything is fitted: what would spoil a detector, or the trust in it."""

import collections
import dataclasses
import itertools
import logging
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fsad import datasets, detector, duplicates, images, pictures

MOST = 200  # pictures of each label whose looks are compared
LISTED = 10


@dataclasses.dataclass(frozen=True)
class Findings:
    """``counts`` by kind; ``sizes``: (width, height) and how many; ``unreadable``: (name, reason); ``passed_over``:
    (name, reason) of other files; ``same``: groups of names that show one picture or part;
    ``across_labels``, ``across_sides``: those of them that lie in good and defective, in train and test;
    ``suspicious``: (name, sentence); ``notes``: sentences."""

    folder: str
    layout: str
    counts: dict
    sizes: dict
    unreadable: tuple
    passed_over: tuple
    same: tuple
    across_labels: tuple
    across_sides: tuple
    suspicious: tuple
    notes: tuple

    @property
    def bad(self):
        """Whether something should be mended first."""
        return bool(self.unreadable or self.across_labels or self.across_sides)

    def text(self):
        """The findings as lines for a person."""
        total = sum(self.counts.values())
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts.items())
        lines = [f"{self.folder}: {total} pictures ({kinds}), layout: {self.layout}", self._sizes()]
        lines += _block("cannot be read", [f"{name}: {reason}" for name, reason in self.unreadable])
        lines += _block("other files passed over", [f"{name}: {reason}" for name, reason in self.passed_over])
        lines += _block(
            "groups of one part lie in good AND defective: move or remove some",
            [", ".join(g[:4]) for g in self.across_labels],
        )
        lines += _block("groups lie in train AND test", [", ".join(g[:4]) for g in self.across_sides])
        lines += _block("groups of pictures show one part, or are one picture", [", ".join(g[:4]) for g in self.same])
        lines += _block("labels to look at again", [f"{name}: {why}" for name, why in self.suspicious])
        lines += list(self.notes)
        return "\n".join([*lines, "Mend this first." if self.bad else "Nothing stands in the way."])

    def _sizes(self):
        if not self.sizes:
            return "Sizes: none could be read"
        widths, heights = zip(*self.sizes, strict=True)
        if len(self.sizes) == 1:
            return f"Sizes: all {widths[0]} x {heights[0]}"
        (width, height), most = max(self.sizes.items(), key=lambda item: item[1])
        return (
            f"Sizes: {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high, "
            f"{len(self.sizes)} different; most often {width} x {height} ({most})"
        )


def _block(title, lines):
    if not lines:
        return []
    more = [f"  ... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [f"{len(lines)} {title}:", *(f"  {line}" for line in lines[:LISTED]), *more]


def check(folder, progress=True):
    """Looks at every picture of a folder.

    Labels are suspicious where looks and label disagree: good pictures that are far less like the other
    good ones than those are like each other, and defective ones that are more like them than the
    typical good one is (by the default recipe, each picture held out). A hint, not a finding.

    Args:
        folder: any folder of pictures; labels and sides are compared where `fsad.datasets` knows its layout.
        progress: show bars on standard error.

    Returns:
        `Findings`.

    Raises:
        FileNotFoundError: no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of pictures. Received: nothing there")
    try:
        dataset = datasets.load(folder)
        layout, passed_over = dataset.layout, dataset.skipped
    except ValueError:
        layout, passed_over = "unknown, so no labels", ()
    found = pictures.find(folder)
    kept, unreadable, sizes, signatures = [], [], collections.Counter(), []
    for picture in tqdm(found, desc="reading", unit="picture", disable=not progress, leave=False):
        name = Path(picture.name).relative_to(folder).as_posix()
        try:
            pixels = picture.read()
        except images.ImageError as error:
            unreadable.append((name, error.reason))
            continue
        kept.append((name, picture))
        sizes[pixels.shape[1::-1]] += 1
        signatures.append(duplicates.signature(pixels))
    members = collections.defaultdict(list)
    for k, group in enumerate(duplicates.groups(signatures)):
        members[group].append(kept[k])
    several = [_alternating(group) for group in members.values() if len(group) > 1]
    labels = [{p.label for _, p in group} - {None} for group in several]
    sides = [{Path(name).parts[0] for name, _ in group} & {"train", "test"} for group in several]
    counts = collections.Counter(p.kind or "pictures" for _, p in kept)

    def names(chosen):
        return tuple([name for name, _ in group] for group, yes in zip(several, chosen, strict=True) if yes)

    across_labels, across_sides = [len(s) > 1 for s in labels], [len(s) > 1 for s in sides]
    suspicious, notes = _suspicious(kept, progress)
    return Findings(
        folder=str(folder),
        layout=layout,
        counts=dict(sorted(counts.items())),
        sizes=dict(sizes),
        unreadable=tuple(unreadable),
        passed_over=tuple((Path(p).relative_to(folder).as_posix(), reason) for p, reason in passed_over),
        same=names([not a and not b for a, b in zip(across_labels, across_sides, strict=True)]),
        across_labels=names(across_labels),
        across_sides=names(across_sides),
        suspicious=tuple(suspicious),
        notes=tuple(notes),
    )


def _alternating(group):
    """Good and defective in turn, so that the first few names show both."""
    labels = dict.fromkeys(picture.label for _, picture in group)
    sides = [[item for item in group if item[1].label == label] for label in labels]
    return [item for turn in itertools.zip_longest(*sides) for item in turn if item]


def _suspicious(kept, progress):
    sides = {label: [(name, p) for name, p in kept if p.label == label] for label in (0, 1)}
    if not sides[0]:
        return [], ["No picture is labelled good (a folder named good, ok or normal), so labels are not looked at."]
    few = len(sides[0]) < 8
    notes = [f"Only {len(sides[0])} good pictures: 16 of different parts are a fair start."] if few else []
    some = {label: _spread(every) for label, every in sides.items()}
    level = logging.getLogger("fsad").level
    try:
        logging.getLogger("fsad").setLevel(logging.ERROR)  # its warnings are this function's findings
        fitted = detector.Detector().fit(
            [p.source for _, p in some[0]], [p.source for _, p in some[1]] or None, progress
        ).fitted  # fmt: skip
    except ValueError as error:
        return [], [*notes, f"Labels were not looked at: {error}"]
    finally:
        logging.getLogger("fsad").setLevel(level)
    short = {str(p.source): name for _, every in some.items() for name, p in every}
    scores = {
        role: [(r["score"], short[r["name"]]) for r in fitted.training if r["role"] == role and r["score"] is not None]
        for role in ("good", "defective")
    }
    good = np.array([score for score, _ in scores["good"]])
    middle = np.median(good)
    outside = middle + 6 * np.median(np.abs(good - middle))
    found = [
        (score / middle, name, f"labelled good, but {score / middle:.1f} times as far from the good ones as usual")
        for score, name in scores["good"]
        if score > outside
    ] + [
        (middle / score, name, "labelled defective, but as near to the good ones as they are")
        for score, name in scores["defective"]
        if score < middle
    ]
    return [(name, why) for _, name, why in sorted(found, reverse=True)], notes


def _spread(every):
    """At most `MOST` of them, from all along the list."""
    rows = np.unique(np.linspace(0, len(every) - 1, min(MOST, len(every))).astype(int)) if every else []
    return [every[k] for k in rows]
