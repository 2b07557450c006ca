"""The size of a network's input, from that of the good images."""

import numpy as np

SAME_ASPECT = 1.1  # ratio of two aspects that count as one
PROBED = 64  # images whose size is looked at
MUCH_LARGER = 3  # times the input side, from which on images are taken in tiles
LARGE = 2_100_000  # pixels of an input in tiles


def choose(samples, default, settings, warnings):
    """``side`` and ``tile`` for the good images, where the settings do not give them: the aspect is kept, and images
    that are much larger than the input are taken at up to `LARGE` pixels, in tiles of its side."""
    side = settings.get("side", default)
    if np.ndim(side):
        return {}
    height, width = keeping_aspect(samples, side, warnings)
    sizes = [size for size in (s.size() for s in samples[:PROBED]) if size]
    native = np.median(sizes, axis=0)[::-1] if sizes else (height, width)
    if "tile" in settings or "side" in settings or min(native[0] / height, native[1] / width) <= MUCH_LARGER:
        return {"side": (height, width)}
    scale = min(native[0] / height, native[1] / width, (LARGE / (height * width)) ** 0.5)
    large = tuple(16 * round(scale * value / 16) for value in (height, width))
    warnings.append(
        f"The good images are {native[1]:.0f} x {native[0]:.0f}: compared at {large[1]} x {large[0]}, in tiles of "
        f"{side} pixels so that what is small does not drown. Another side (--side) changes that."
    )
    return {"side": large, "tile": side}


def keeping_aspect(samples, side, warnings):
    """``(height, width)`` of about ``side * side`` pixels with the aspect of the images, each a multiple of 16; a
    square where their aspects differ by more than `SAME_ASPECT`, or cannot be told."""
    aspects = [height / width for width, height in filter(None, (s.size() for s in samples[:PROBED]))]
    if not aspects:
        return side, side
    aspect = float(np.median(aspects))
    if max(aspects) > SAME_ASPECT * aspect or min(aspects) < aspect / SAME_ASPECT:
        warnings.append("The good images differ in aspect: all are squashed to a square.")
        return side, side
    if 1 / SAME_ASPECT < aspect < SAME_ASPECT:
        return side, side
    return tuple(max(32, 16 * round(value / 16)) for value in (side * aspect**0.5, side / aspect**0.5))
