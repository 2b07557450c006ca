"""Near-duplicate pictures: one physical part or one photograph, shown twice.

Method. A picture becomes a *signature*: gray, 64 x 64, slightly smoothed, high-passed (minus a Gaussian
of sigma 4) and divided by its local deviation, which takes out lighting and exposure. Over 20 pictures
and more, the mean signature is taken out too: what all pictures of a set share (the outline of a bottle)
says nothing about which are the same bottle. Two pictures are near-duplicates if the correlation of their
windowed signatures, at the best shift of up to 4 of the 64 pixels either way, is at least `THRESHOLD`;
groups are the connected components. Of fewer than 20 pictures, where the outline stays in, groups that
would hold most of them are a sign of that outline, and only near-identical ones are joined (`IDENTICAL`).

Where the threshold comes from. On the published magnetic tiles (1344 pictures of tiles photographed six
times each) correlations are bimodal with the valley at 0.80-0.85, and at 0.8 most groups hold exactly
six. In three other photograph collections (flowers, skin, rooms) the valley is there too, every exact
duplicate is above it, and so are re-scaled and re-cropped copies. Distinct parts that look very much
alike may be joined: that costs a choice in sampling, where a missed pair would put one part on both sides
of a split. Turned or mirrored copies are not looked for.
"""

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

THRESHOLD = 0.8
IDENTICAL = 0.98
SIDE = 64
_SHIFT = 4
_CANDIDATE = 0.35  # correlation at half resolution under which a pair is not looked at again
_WINDOW = np.sqrt(np.outer(np.hanning(SIDE), np.hanning(SIDE))).astype(np.float32)


def signature(picture):
    """Signature of one RGB picture, uint8 ``(H, W, 3)``: float32 ``(64, 64)``."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gray = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    # Without this a shift by half a pixel would undo the correlation of a fine grain.
    gray = cv2.GaussianBlur(gray, (0, 0), 1)
    high = gray - cv2.GaussianBlur(gray, (0, 0), 4)
    # Two gray levels of noise floor: a blank picture has no structure to compare.
    return high / (np.sqrt(cv2.GaussianBlur(high * high, (0, 0), 4)) + 2)


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
    z = _unit(z * _WINDOW)
    spectrum = np.fft.rfft2(z).astype(np.complex64)
    found, similarity = [np.zeros((0, 2), int)], [np.zeros(0)]
    for first, second in _candidates(z):
        for k in range(0, len(first), 2048):
            i, j = first[k : k + 2048], second[k : k + 2048]
            best = _best_shift(spectrum[i], spectrum[j])
            near = best >= threshold
            found.append(np.stack([i[near], j[near]], 1))
            similarity.append(best[near])
    found, similarity = np.concatenate(found), np.concatenate(similarity)
    order = np.argsort(-similarity, kind="stable")
    return found[order], similarity[order]


def _unit(z):
    z = z - z.mean((1, 2), keepdims=True)
    norm = np.linalg.norm(z, axis=(1, 2), keepdims=True)
    return np.where(norm > 1e-2, z / np.maximum(norm, 1e-2), 0).astype(np.float32)


def _candidates(z, block=512):
    """Pairs worth a close look, from matrix products at half resolution over a few shifts."""
    half = _unit(z.reshape(len(z), SIDE // 2, 2, SIDE // 2, 2).mean((2, 4)))
    flat = half.reshape(len(z), -1)
    around = range(-_SHIFT // 2, _SHIFT // 2 + 1)
    shifted = [np.roll(half, (y, x), (1, 2)).reshape(len(z), -1) for y in around for x in around]
    for start in range(0, len(z), block):
        correlation = flat[start : start + block] @ shifted[0].T
        for other in shifted[1:]:
            np.maximum(correlation, flat[start : start + block] @ other.T, out=correlation)
        first, second = np.nonzero(correlation > _CANDIDATE)
        keep = first + start < second
        yield first[keep] + start, second[keep]


def _best_shift(first, second):
    correlation = np.fft.irfft2(first * np.conj(second), s=(SIDE, SIDE))  # every circular shift at once
    around = np.r_[-_SHIFT : _SHIFT + 1]
    return correlation[:, around][:, :, around].max((1, 2))


def groups(signatures, threshold=THRESHOLD, known=None):
    """Group number of each picture, int ``(N,)``: equal for near-duplicates and what they chain to.

    ``known``: for each picture the name of the part it shows, where something else tells it (a file
    name, say), or None; pictures of one name are joined too.
    """
    n = len(signatures)
    if not n:
        return np.zeros(0, int)
    index, similarity = pairs(signatures, threshold)
    if 4 <= n < 20 and np.bincount(_joined(index, n)).max() > n / 2:
        index = index[similarity >= max(threshold, IDENTICAL)]
    first = {}
    told = [(first.setdefault(part, k), k) for k, part in enumerate(known or ()) if part is not None]
    return _joined(np.concatenate([index, np.array(told, int).reshape(-1, 2)]), n)


def _joined(index, n):
    graph = coo_matrix((np.ones(len(index)), (index[:, 0], index[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1]
