"""Samples -> images, read in threads, in order."""

import collections
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from fsad import alignment, colours, duplicates
from fsad.images import ImageError, resize
from fsad.inputs.samples import Sample

AHEAD = 16  # images that are read while earlier ones are worked on,
MAX_AHEAD = 100_000_000  # and pixels of them: 300 MB, and 400 MB more while a large one is resized


class Reading(NamedTuple):
    """A sample as read: ``size`` (width, height); ``resized`` ``(h, w, 3)``, ``signature`` ``(64, 64)`` with
    ``colours`` ``(6,)``, and ``image`` ``(H, W, 3)`` where they were asked for; ``aligned``: the
    `fsad.alignment.Aligned` that ``resized`` is of, where that was asked for; ``error``: why it could not be read, and
    then only that."""

    sample: Sample
    size: tuple | None = None
    resized: np.ndarray | None = None
    signature: np.ndarray | None = None
    colours: np.ndarray | None = None
    image: np.ndarray | None = None
    aligned: alignment.Aligned | None = None
    error: str | None = None


def read_ahead(samples, side=None, signatures=False, images=False, aligner=None):
    """Yields a `Reading` of each sample, in order, read in threads while the earlier ones are worked on.

    Args:
        samples: from `find` or `load`.
        side: also resize, as `fsad.images.resize` does.
        signatures: also make the near-duplicate signature (`fsad.duplicates.signature`) and the six colour numbers
            (`fsad.colours`), in the same pass.
        images: also keep the image at full size.
        aligner: a `fsad.alignment.Aligner` for the resized image.
    """

    def read(sample):
        try:
            image = sample.read()
        except ImageError as error:
            return Reading(sample, error=error.reason)
        resized = resize(image, side) if side else None
        aligned = aligner(resized) if aligner else None
        return Reading(
            sample,
            size=image.shape[1::-1],
            resized=aligned.image if aligned else resized,
            signature=duplicates.signature(image) if signatures else None,
            colours=colours.colours(image) if signatures else None,
            image=image if images else None,
            aligned=aligned,
        )

    return prefetch(read, samples, cost=_pixels, budget=MAX_AHEAD)


def _pixels(sample):
    """Pixels of a sample, by the header of its file; none where that is unreadable, as the file will be."""
    size = sample.size()
    return size[0] * size[1] if size else 0


def prefetch(function, items, ahead=AHEAD, cost=lambda item: 0, budget=0):
    """Yields ``function(item)`` of each item, in order, computed in threads up to ``ahead`` items in advance, and no
    more of them than cost ``budget`` together, but for one that does alone."""
    pending, costs = collections.deque(), collections.deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for item in items:
                own = cost(item)
                while pending and sum(costs) + own > budget > 0:
                    costs.popleft()
                    yield pending.popleft().result()
                pending.append(pool.submit(function, item))
                costs.append(own)
                if len(pending) > ahead:
                    costs.popleft()
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
