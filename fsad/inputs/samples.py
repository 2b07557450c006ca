"""An image that is not read yet, and a folder of them."""

import collections
import dataclasses
from pathlib import Path

import numpy as np

from fsad.images import read_image, size_of


@dataclasses.dataclass(frozen=True)
class Sample:
    """One image, not read yet.

    ``source``: a ``Path``, or uint8 RGB ``(H, W, 3)``; ``label``: 0 good, 1 defective, None unknown (in a folder of
    classes: the class number); ``kind``: ``"good"``, the type of defect, or the class; ``mask``: the file of its defect
    mask; ``group``: equal for images of one part: a name where file names tell it, a number once `with_groups` has run,
    else None; ``folder``: the folder it was listed from; ``number``: of an array among the inputs; ``title``: a name in
    place of these, as that of an uploaded file.
    """

    source: Path | np.ndarray = dataclasses.field(repr=False)
    label: int | None = None
    kind: str | None = None
    mask: Path | None = None
    group: str | int | None = None
    folder: Path | None = None
    number: int = 0
    title: str | None = None

    @property
    def path(self) -> Path | None:
        return self.source if isinstance(self.source, Path) else None

    @property
    def name(self) -> str:
        return self.title or (f"array {self.number}" if self.path is None else str(self.path))

    @property
    def part(self) -> str | None:
        """The name of the part it shows, where one is known."""
        return self.group if isinstance(self.group, str) else None

    @property
    def split(self) -> str | None:
        """``"train"`` or ``"test"`` where the folder of that name below the data set's holds it, else None."""
        top = self.path.relative_to(self.folder).parts[0] if self.folder else None
        return top if top in ("train", "test") else None

    def size(self):
        """``(width, height)`` without reading the pixels; None where that cannot be told."""
        return self.source.shape[1::-1] if self.path is None else size_of(self.path)

    def read(self):
        """uint8 RGB ``(H, W, 3)``; raises `fsad.images.ImageError`."""
        return self.source if self.path is None else read_image(self.path)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A folder in a known layout: ``samples``, and what was left out: ``skipped``, a tuple of (path, reason).
    ``colours`` ``(n, 6)``: of each sample (`fsad.colours`), once `fsad.inputs.with_groups` has run."""

    folder: Path
    layout: str
    samples: tuple
    skipped: tuple = ()
    colours: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)

    def counts(self):
        """Images of each kind, in order of name."""
        return dict(sorted(collections.Counter(s.kind for s in self.samples).items()))

    def summary(self):
        """One line: name, counts, distinct parts if they are known, skipped files."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts().items())
        groups = {s.group for s in self.samples}
        parts = f" of {len(groups)} distinct parts" if all(isinstance(g, int) for g in groups) else ""
        name = Path(self.folder).resolve().name
        line = f"{name}: {len(self.samples)} images{parts} ({kinds}), {self.layout} layout"
        if self.skipped:
            path, reason = self.skipped[0]
            line += f", {len(self.skipped)} left out (first {Path(path).relative_to(self.folder).as_posix()}: {reason})"
        return line
