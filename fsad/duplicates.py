"""Near-duplicate images: one physical part, or one photograph, shown twice.

Method. An image becomes a *signature*: gray, 64 x 64, slightly smoothed, high-passed (minus a Gaussian of
sigma 4) and divided by its local deviation, which removes lighting and exposure. From 20 images on, the mean
signature is subtracted as well: what all images of a set share (the outline of a bottle) does not tell one
bottle from another. Two images are near-duplicates if the correlation of their windowed signatures, at the
best shift of up to 4 of the 64 pixels in each direction, is at least `THRESHOLD`; groups are the connected
components. With fewer than 20 images the outline stays in. If more than half of them would then form one
group, the outline is the likely cause, and only near-identical images are joined (`IDENTICAL`).

Where the threshold comes from. On the published magnetic tiles (1344 images of tiles photographed six times
each) correlations are bimodal with the valley at 0.80-0.85, and at 0.8 most groups have exactly six members.
Three other photograph collections (flowers, skin, rooms) show the same valley; every exact duplicate lies
above it, and so do re-scaled and re-cropped copies. Distinct parts that look very much alike may be joined:
that reduces the choice in sampling, whereas a missed pair would put one part on both sides of a split.
Rotated and mirrored copies are not searched for.
"""

import cv2
import numpy as np

THRESHOLD = 0.8
IDENTICAL = 0.98
SIDE = 64
_MAX_SHIFT = 4
_MIN_CORRELATION = 0.35  # at half resolution; pairs below are not compared at full resolution
_WINDOW = np.sqrt(np.outer(np.hanning(SIDE), np.hanning(SIDE))).astype(np.float32)


def signature(image):
    """Signature of one RGB image, uint8 ``(H, W, 3)``: float32 ``(64, 64)``."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gray = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    # Without smoothing, a shift of half a pixel would destroy the correlation of a fine grain.
    gray = cv2.GaussianBlur(gray, (0, 0), 1)
    high_passed = gray - cv2.GaussianBlur(gray, (0, 0), 4)
    # A noise floor of two gray levels: a blank image has no structure to compare.
    return high_passed / (np.sqrt(cv2.GaussianBlur(high_passed * high_passed, (0, 0), 4)) + 2)


# Own code: no library offers a correlation that is invariant to lighting and tolerates small shifts.
def pairs(signatures, threshold=THRESHOLD):
    """Near-duplicate pairs among signatures ``(N, 64, 64)``.

    Returns:
        ``(index, similarity)``: int array ``(P, 2)`` with first < second, and float array ``(P,)``
        in [-1, 1], most similar first.
    """
    z = np.asarray(signatures, np.float32)
    if z.ndim != 3 or z.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"Expected signatures of shape (n, {SIDE}, {SIDE}). Received: {z.shape}")
    if len(z) >= 20:
        z = z - z.mean(0)
    z = _standardized(z * _WINDOW)
    spectrum = np.fft.rfft2(z).astype(np.complex64)
    index, similarity = [np.zeros((0, 2), int)], [np.zeros(0)]
    for first, second in _candidates(z):
        for k in range(0, len(first), 2048):
            i, j = first[k : k + 2048], second[k : k + 2048]
            correlation = _best_correlation(spectrum[i], spectrum[j])
            near = correlation >= threshold
            index.append(np.stack([i[near], j[near]], 1))
            similarity.append(correlation[near])
    index, similarity = np.concatenate(index), np.concatenate(similarity)
    order = np.argsort(-similarity, kind="stable")
    return index[order], similarity[order]


def _standardized(z):
    """Signatures with mean 0 and norm 1, so that a dot product is a correlation; blank ones become 0."""
    z = z - z.mean((1, 2), keepdims=True)
    norm = np.linalg.norm(z, axis=(1, 2), keepdims=True)
    return np.where(norm > 1e-2, z / np.maximum(norm, 1e-2), 0).astype(np.float32)


def _candidates(z, block=512):
    """Yields pairs worth comparing at full resolution: matrix products at half resolution over a few shifts."""
    half = _standardized(z.reshape(len(z), SIDE // 2, 2, SIDE // 2, 2).mean((2, 4)))
    flat = half.reshape(len(z), -1)
    shifts = range(-_MAX_SHIFT // 2, _MAX_SHIFT // 2 + 1)
    shifted = [np.roll(half, (y, x), (1, 2)).reshape(len(z), -1) for y in shifts for x in shifts]
    for start in range(0, len(z), block):
        correlation = flat[start : start + block] @ shifted[0].T
        for other in shifted[1:]:
            np.maximum(correlation, flat[start : start + block] @ other.T, out=correlation)
        first, second = np.nonzero(correlation > _MIN_CORRELATION)
        ordered = first + start < second
        yield first[ordered] + start, second[ordered]


def _best_correlation(first, second):
    """Correlation ``(P,)`` of spectra ``(P, 64, 33)`` at the best allowed shift."""
    correlation = np.fft.irfft2(first * np.conj(second), s=(SIDE, SIDE))  # every circular shift at once
    shifts = np.r_[-_MAX_SHIFT : _MAX_SHIFT + 1]
    return correlation[:, shifts][:, :, shifts].max((1, 2))


def groups(signatures, threshold=THRESHOLD, known=None, trusted=False):
    """Group number of each image, int ``(N,)``: equal for near-duplicates and for chains of them.

    Args:
        signatures: ``(N, 64, 64)``.
        threshold: lowest correlation of near-duplicates.
        known: the part each image shows, as far as another source (a file name, say) tells, else None;
            images of one part are joined as well.
        trusted: images whose part is known are joined by that alone. For parts that look so much alike in a fixed
            camera that they pass for one photograph.
    """
    n = len(signatures)
    if not n:
        return np.zeros(0, int)
    index, similarity = pairs(signatures, threshold)
    if 4 <= n < 20 and np.bincount(_components(index, n)).max() > n / 2:
        index = index[similarity >= max(threshold, IDENTICAL)]
    if trusted:
        unknown = np.array([part is None for part in known], bool)
        index = index[unknown[index].all(1)]
    first_of = {}
    same_part = [(first_of.setdefault(part, k), k) for k, part in enumerate(known or ()) if part is not None]
    return _components(np.concatenate([index, np.array(same_part, int).reshape(-1, 2)]), n)


def _components(index, n):
    """Component of each of n nodes, int ``(n,)``, numbered by their first nodes; ``index`` ``(P, 2)``: the edges."""
    lowest = np.arange(n)  # node of the component that is known so far
    while True:
        new = lowest.copy()
        for one, other in (index.T, index[:, ::-1].T):
            np.minimum.at(new, one, lowest[other])
        new = new[new]
        if np.array_equal(new, lowest):
            return np.unique(lowest, return_inverse=True)[1]
        lowest = new
