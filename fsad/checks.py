"""A look at a user's folder before anything is fitted: what would spoil a detector, or the trust in it."""

import collections
import dataclasses
import itertools
import logging
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fsad import colours, detector, duplicates, inputs

MAX_COMPARED = 200  # images of each label whose looks are compared
OUTSIDE = 4  # deviations, beyond which the label of a good image is doubted
MAX_LISTED = 10
MIN_GOOD = 8
TELLING = 0.9  # AUROC of six colour numbers from which on a folder is worth a second look


@dataclasses.dataclass(frozen=True)
class FolderReport:
    """``counts`` by kind; ``sizes``: (width, height) and how many; ``unreadable``: (name, reason); ``skipped``:
    (name, reason) of other files; ``same``: groups of names that show one image or part;
    ``across_labels``, ``across_sides``: those of them that lie in good and defective, in train and test;
    ``masks``: how many defective images have one, None without a layout; ``suspicious``: (name, sentence);
    ``colours``: (what, AUROC) that six colour numbers tell apart
    (`fsad.colours.confounds`); ``notes``: sentences."""

    folder: str
    layout: str
    counts: dict
    sizes: dict
    unreadable: tuple
    skipped: tuple
    same: tuple
    across_labels: tuple
    across_sides: tuple
    masks: int | None
    suspicious: tuple
    colours: tuple
    notes: tuple

    @property
    def bad(self) -> bool:
        """Whether something should be fixed first."""
        return bool(self.unreadable or self.across_labels or self.across_sides)

    def text(self) -> str:
        """The report as lines for a person."""
        total = sum(self.counts.values())
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts.items())
        lines = [f"{self.folder}: {total} images ({kinds}), layout: {self.layout}", self._sizes()]
        others = [kind for kind in self.counts if kind not in ("good", "unlabelled")]
        if "good" in self.counts and others:
            lines.append(f"Taken as defective: {', '.join(others)}")
            count = sum(self.counts[kind] for kind in others)
            lines.append(f"Masks: for {self.masks} of {count} defective images")
        lines += _block("unreadable", [f"{name}: {reason}" for name, reason in self.unreadable])
        lines += _block("other files skipped", [f"{name}: {reason}" for name, reason in self.skipped])
        lines += _block(
            "groups show one part but are labelled good AND defective: move or remove some",
            [", ".join(g[:4]) for g in self.across_labels],
        )
        lines += _block("groups are in train AND test", [", ".join(g[:4]) for g in self.across_sides])
        lines += _block("groups of images show one part, or are one image", [", ".join(g[:4]) for g in self.same])
        lines += _block("suspicious labels", [f"{name}: {why}" for name, why in self.suspicious])
        lines += [_colour_line(what, area) for what, area in self.colours]
        lines += list(self.notes)
        return "\n".join([*lines, "Fix these before fitting." if self.bad else "No blocking problems."])

    def _sizes(self):
        if not self.sizes:
            return "Sizes: no image could be read"
        widths, heights = zip(*self.sizes, strict=True)
        if len(self.sizes) == 1:
            return f"Sizes: all {widths[0]} x {heights[0]}"
        (width, height), count = max(self.sizes.items(), key=lambda item: item[1])
        return (
            f"Sizes: {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high, "
            f"{len(self.sizes)} different; most often {width} x {height} ({count})"
        )


def _block(title, lines):
    if not lines:
        return []
    more = [f"  ... and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return [f"{len(lines)} {title}:", *(f"  {line}" for line in lines[:MAX_LISTED]), *more]


def _colour_line(what, area):
    line = f"Mean and deviation of R, G and B alone tell {what} at AUROC {area:.2f}"
    if area < 0.5:
        return f"Mean and deviation of R, G and B alone tell {what} no better than chance (AUROC {area:.2f})"
    if area < TELLING:
        return line
    return f"{line}: check that both were photographed alike, or expect any score to measure the light too"


def check(folder, progress=True, group_pattern=None):
    """Looks at every image of a folder.

    Labels are suspicious where looks and label disagree: good images that are far less like the other
    good ones than those are like each other, and defective ones that are more like them than the
    typical good one is (by the default recipe, each image held out). A hint, not a verdict.

    Args:
        folder: any folder of images; labels and sides are compared where `fsad.inputs` knows its layout.
        progress: show bars on standard error.
        group_pattern: as in `fsad.inputs.load`. Images of one part may then be good and defective, but not in train
            and test.

    Returns:
        A `FolderReport`.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of images. Received: no such folder")
    dataset = inputs.look(folder, group_pattern)
    if not dataset.samples:
        raise FileNotFoundError(f"{folder}: expected a folder of images. Received: no image in it")
    readable, unreadable, sizes, signatures = [], [], collections.Counter(), []
    numbers = []
    readings = inputs.read_ahead(dataset.samples, signatures=True)
    total = len(dataset.samples)
    for reading in tqdm(readings, desc="reading", total=total, unit="image", disable=not progress, leave=False):
        if reading.error:
            unreadable.append((_name(reading.sample), reading.error))
            continue
        readable.append(reading.sample)
        sizes[reading.size] += 1
        signatures.append(reading.signature)
        numbers.append(reading.colours)
    groups = duplicates.groups(signatures)
    if group_pattern:  # near-duplicates of different parts are then no mistake
        groups = list(zip(groups, (s.part for s in readable), strict=True))
    several = _several(readable, groups)
    across_labels = [group for group in several if len({s.label for s in group} - {None}) > 1]
    parts = duplicates.groups(signatures, known=[s.part for s in readable], trusted=True) if group_pattern else groups
    across_sides = [g for g in _several(readable, parts) if {"train", "test"} <= {s.split for s in g}]
    flagged = {s for group in (*across_labels, *across_sides) for s in group}
    same = [group for group in several if not flagged.intersection(group)]
    suspicious, notes = _suspicious(readable, progress, group_pattern)
    areas = {}
    if dataset.layout not in (None, "classes"):
        grouped = [dataclasses.replace(s, group=int(g)) for s, g in zip(readable, parts, strict=True)]
        rows = [k for k, s in enumerate(grouped) if s.label is not None]
        labelled = tuple(grouped[k] for k in rows)
        areas = colours.confounds(
            dataclasses.replace(dataset, samples=labelled, colours=np.reshape(numbers, (-1, 6))[rows])
        )

    def names(chosen):
        return tuple([_name(s) for s in group] for group in chosen)

    return FolderReport(
        folder=str(folder),
        layout=dataset.layout or "unknown, so no labels",
        counts=dict(sorted(collections.Counter(s.kind or "unlabelled" for s in readable).items())),
        sizes=dict(sizes),
        unreadable=tuple(unreadable),
        skipped=tuple((Path(path).relative_to(folder).as_posix(), reason) for path, reason in dataset.skipped),
        same=names(same),
        across_labels=names(across_labels),
        across_sides=names(across_sides),
        masks=sum(s.mask is not None for s in readable if s.label) if dataset.layout else None,
        suspicious=tuple(suspicious),
        colours=tuple((what, area) for what, area in areas.items() if area is not None),
        notes=tuple(notes),
    )


def _name(sample):
    return sample.path.relative_to(sample.folder).as_posix()


def _several(samples, groups):
    """The groups of more than one sample."""
    members = collections.defaultdict(list)
    for sample, number in zip(samples, groups, strict=True):
        members[number].append(sample)
    return [_alternating(group) for group in members.values() if len(group) > 1]


def _alternating(group):
    """Good and defective in turn, so that the first few names show both."""
    sides = [[s for s in group if s.label == label] for label in dict.fromkeys(s.label for s in group)]
    return [s for turn in itertools.zip_longest(*sides) for s in turn if s]


def _suspicious(samples, progress, group_pattern):
    sides = {label: [s for s in samples if s.label == label] for label in (0, 1)}
    if not sides[0]:
        return [], ["No image is labelled good (a folder named good, ok or normal): skipping the label check."]
    few = len(sides[0]) < MIN_GOOD
    notes = [f"Only {len(sides[0])} good images: start with at least 16 of different parts."] if few else []
    some = {label: _evenly(every) for label, every in sides.items()}
    level = logging.getLogger("fsad").level
    try:
        logging.getLogger("fsad").setLevel(logging.ERROR)  # its warnings are in this report
        fitted = detector.Detector(group_pattern=group_pattern).fit(some[0], some[1] or None, progress).fitted
    except ValueError as error:
        return [], [*notes, f"Skipping the label check: {error}"]
    finally:
        logging.getLogger("fsad").setLevel(level)
    if fitted.weights == "fixed":
        notes.append("ImageNet weights are unavailable: the label check used the filter bank and is less reliable.")
    names = {s.name: _name(s) for every in some.values() for s in every}
    scores = {
        role: [(r["score"], names[r["name"]]) for r in fitted.training if r["role"] == role and r["score"] is not None]
        for role in ("good", "defective")
    }
    good = np.array([score for score, _ in scores["good"]])
    middle = np.median(good)
    spread = max(1.4826 * np.median(np.abs(good - middle)), 1e-6)  # a standard deviation that no outlier moves
    doubts = [
        ((score - middle) / spread, name,
         f"labelled good, but scores {(score - middle) / spread:.0f} deviations above the other good images")
        for score, name in scores["good"]
        if score > middle + OUTSIDE * spread
    ] + [
        ((middle - score) / spread, name, "labelled defective, but scores like a good image")
        for score, name in scores["defective"]
        if score < middle
    ]  # fmt: skip
    return [(name, why) for _, name, why in sorted(doubts, reverse=True)], notes


def _evenly(every):
    """At most `MAX_COMPARED` of them, from all along the list."""
    rows = np.linspace(0, len(every) - 1, min(MAX_COMPARED, len(every))).astype(int) if every else []
    return [every[k] for k in np.unique(rows)]
