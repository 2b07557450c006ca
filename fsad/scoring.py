"""References -> comparison -> score. References are embedded once, then compared with every image.

An embedding is what the neck puts out: a vector ``(dim,)``, or a map of patches ``(h, w, channels)``
when the distance is `fsad.nearest_patch.NearestPatch`. `compare` is the one graph that is scored, differentiated and
exported.
"""

import numpy as np
import tensorflow as tf

from fsad import siamese
from fsad.layers import REDUCTIONS, EuclideanDistance

embed = siamese.embed  # what a comparison starts from
BATCH = 8  # images at a time: more takes more memory and no less time
MAX_PAIRS = 4096  # that are compared at a time, which bounds the memory
PROJECTED = 32  # dimensions of a random projection, in which patches are thinned
MAX_ENTRIES = 2**24  # of the matrix of dissimilarities that `score` holds at a time: 64 MB


def compare(model, embeddings, references, reduction="mean"):
    """Embeddings ``(B, ...)`` against references ``(R, ...)``, as tensors.

    Args:
        model: a two-input model.
        embeddings, references: tensors or arrays from `embed`; maps of reference patches may be thinned out.
        reduction: ``"mean"`` over the references, ``"min"`` (the nearest) or that of the ``"first"``; ignored for
            maps of patches, where each patch has its own nearest reference patch.

    Returns:
        A `fsad.layers.Comparison`.
    """
    _check(reduction)
    layer, units = siamese.distance_layer(model)
    return layer.compare(tf.convert_to_tensor(embeddings), tf.convert_to_tensor(references), units, reduction)


def reduce(per_reference, reduction="mean"):
    """Dissimilarities ``(n, r)`` to the references -> scores ``(n,)``, numpy; ``reduction`` as in `compare`."""
    _check(reduction)
    return np.asarray(REDUCTIONS[reduction](np.asarray(per_reference)))


def embed_references(recipe, images, embeddings=None):
    """Embeddings of images as references, ``(r v, ...)``: each as the recipe's v ``views`` show it, in turn.

    Of maps of patches that overlap (`fsad.nearest_patch.NearestPatch` with a window) every second one per side is used:
    the others repeat it.

    Args:
        recipe: a `fsad.recipes.Recipe`.
        images: uint8 RGB ``(r, side, side, 3)``.
        embeddings: theirs from `embed`, if they are known: the first view is not computed again.
    """
    window = getattr(siamese.distance_layer(recipe.model)[0], "window", 1)
    views = [embed(recipe.model, images) if embeddings is None else embeddings]
    views += [embed(recipe.model, view(images), BATCH) for view in recipe.views[1:]]
    if window > 1:
        views = [view[:, ::window, ::window] for view in views]
    return np.stack(views, 1).reshape(-1, *views[0].shape[1:])


def thinned(references, most):
    """References ``(r, h, w, C)`` of patches, of which at most ``most`` stay, as many of each; None: all.

    Where there are more, a greedy coreset stays, after PatchCore (Roth et al. 2022), in a random projection to
    `PROJECTED` dimensions: the next patch is the one farthest from all that stay already. Unlike there the references
    take turns, one giving all its patches before the next does, which is faster. What is compared with an image then
    takes ``most`` patches of memory, whatever the number of references and their size; at least one of each stays.

    Returns:
        ``(references, rows)``: ``(r, 1, p, C)``, and the rows of their patches that stay ``(r, p)``; or the references
        as they are, and None.
    """
    count, height, width, channels = references.shape
    patches = height * width
    number = patches if most is None else max(1, most // count)
    if number >= patches:
        return references, None
    flat = references.reshape(count, -1, channels)
    points = flat @ np.random.default_rng(0).normal(size=(channels, PROJECTED)).astype(np.float32)
    norms, rows = (points**2).sum(-1), np.empty((count, number), int)
    staying, squares = np.empty((count * number, PROJECTED), np.float32), np.empty(count * number, np.float32)
    step = max(1, 2**22 // patches)  # of those that stay, which are compared at a time: 16 MB
    for k in range(count):
        distances = np.full(patches, np.inf, np.float32)
        for start in range(0, k * number, step):
            some = slice(start, min(start + step, k * number))
            nearest = (squares[some] - 2 * points[k] @ staying[some].T).min(1)
            distances = np.minimum(distances, nearest + norms[k])
        for n in range(number):
            row = rows[k, n] = distances.argmax()
            distances = np.minimum(distances, norms[k] - 2 * points[k] @ points[k, row] + norms[k, row])
            distances[row] = -np.inf
        own = slice(k * number, (k + 1) * number)
        staying[own], squares[own] = points[k, rows[k]], norms[k, rows[k]]
    rows.sort(axis=1)
    return np.ascontiguousarray(np.take_along_axis(flat, rows[:, :, None], axis=1)[:, None]), rows


def dissimilarities(model, embeddings, references, block=MAX_PAIRS):
    """Dissimilarity of each image to each reference, numpy ``(n, r)``; arguments as in `score`."""
    out = np.empty((len(embeddings), len(references)), np.float32)
    if embeddings.ndim > 2:  # a pair of maps holds as many numbers as their patches have pairs
        block = max(1, 16 * block // int(np.prod(embeddings.shape[1:3])))
    across = max(1, min(len(references), block))
    down = max(1, block // across)

    def compared(some, others):
        return compare(model, some, others).per_reference

    if embeddings.ndim == 2 and len(embeddings) * len(references) > block:
        # In one pass over the numbers, without the block of differences: 6 times faster; compiling takes a second.
        compared = tf.function(compared, jit_compile=True)
    for left in range(0, len(references), across):
        others = tf.convert_to_tensor(references[left : left + across])
        for top in range(0, len(embeddings), down):
            out[top : top + down, left : left + across] = compared(
                tf.convert_to_tensor(embeddings[top : top + down]), others
            ).numpy()
    return out


def score(model, embeddings, references, reduction="mean", block=MAX_PAIRS):
    """Scores ``(n,)``, numpy, in memory that does not grow with ``n r``.

    Where the score is the nearest reference by Euclidean distance, that one is found by matrix products
    (scikit-learn's) and the model compares the image with it alone.

    Args:
        model: a two-input model of vectors.
        embeddings, references: ``(n, dim)`` and ``(r, dim)`` from `embed`.
        reduction: as in `compare`.
        block: pairs compared at a time.
    """
    _check(reduction)
    if not len(embeddings):
        return np.zeros(0, np.float32)
    if reduction == "first":
        references = references[:1]
    # With nothing but a sigmoid unit after it, which rises, the nearest is the least dissimilar.
    if reduction == "min" and isinstance(siamese.distance_layer(model)[0], EuclideanDistance):
        from sklearn.metrics import pairwise_distances_argmin  # a second to import, which few callers need

        nearest, distance = pairwise_distances_argmin(embeddings, references), siamese.parts(model).distance
        return np.concatenate([
            np.asarray(distance([references[nearest[k : k + block]], embeddings[k : k + block]], training=False))[:, 0]
            for k in range(0, len(embeddings), block)
        ])  # fmt: skip
    rows = max(1, MAX_ENTRIES // len(references))
    return np.concatenate([
        reduce(dissimilarities(model, embeddings[k : k + rows], references, block), reduction)
        for k in range(0, len(embeddings), rows)
    ])  # fmt: skip


def leave_out(model, embeddings, groups, references, reference_groups):
    """Distances to the references of other groups only: those of an image that is not known yet.

    Args:
        model: a two-input model of patches.
        embeddings, references: ``(n, ...)`` and ``(r, ...)`` from `embed`.
        groups, reference_groups: ``(n,)`` and ``(r,)``; images of one group show one part and are never compared.

    Returns:
        float32 ``(n, H, W, L)`` (`fsad.nearest_patch.NearestPatch.distances`), NaN where no reference is left.
    """
    layer, _ = siamese.distance_layer(model)
    reference_groups = np.asarray(reference_groups)
    maps = np.full((len(embeddings), *layer.usual_map.shape), np.nan, np.float32)
    for k, group in enumerate(groups):
        others = references[reference_groups != group]
        if len(others):
            maps[k] = np.asarray(layer.distances(embeddings[k : k + 1], others))[0]
    return maps


def _check(reduction):
    if reduction not in REDUCTIONS:
        raise ValueError(f"Expected a reduction among {', '.join(REDUCTIONS)}. Received: {reduction!r}")
