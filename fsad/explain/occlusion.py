"""Occlusion: how far the score falls where a window of the image is covered (Zeiler and Fergus 2014, section 4.2)."""

import numpy as np

from fsad.explain import segments


def maps(comparer, images, references, target="different", window=0.25, fill="reference"):
    """Mean of ``y(x) - y(x with a window covered)`` over the windows that cover a pixel.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        window: side of a window as a fraction of that of the image; windows overlap by half.
        fill: what covers a window, as in `fsad.explain.segments.filled`. The paper takes gray, which to a detector of
            anomalies is one.

    Returns:
        float32 ``(n, H, W)``, of any sign, in units of the target.
    """
    masks = _windows(images.shape[1:3], window)
    covers = segments.filled(comparer, images, references, fill)
    whole = comparer.values(images, references, target)
    differences = []
    for image, cover, value in zip(images, covers, whole, strict=True):
        covered = np.where(masks[..., None], cover, np.asarray(image, np.float32))
        fall = value - comparer.values(covered, references, target)
        differences.append(np.einsum("m,mhw->hw", fall, masks) / masks.sum(0))
    return np.stack(differences).astype(np.float32)


def _windows(size, window):
    """Bool ``(m, H, W)``: windows that overlap by half and cover every pixel."""
    spans = []
    for length in size:
        side = max(1, round(window * length))
        starts = (
            np.linspace(0, length - side, 1 + int(np.ceil((length - side) / max(1, side // 2)))).round().astype(int)
        )
        spans.append([(np.arange(length) >= start) & (np.arange(length) < start + side) for start in starts])
    return np.stack([rows[:, None] & columns for rows in spans[0] for columns in spans[1]])
