"""From the maps of a comparison to sentences that a person can act on, by rules: future work of Livieris et al. (2023).

The paper recommends by eye ("it looks at the blossom, so remove the background") and thinks of a language model for it.
Each rule here measures first and then says what it measured:

- `removal`: the region that speaks for "alike", covered: how far does the output move, and how far by chance?
- `on_object`: how much of the map lies on the object, where a mask shows it?
- `bias`: do the maps of test pairs lie where those of training pairs do?
"""

import cv2
import numpy as np

from fsad import siamese
from fsad.explain import gradcam

REGION = 0.5  # of the maximum of a map, from which on a place belongs to its region
CONTROLS = 8  # regions of the same shape elsewhere, by which the effect of covering as such is told
MOVED = 0.05  # of the output, below which nothing happened
BLUR = 0.1  # of the side: the deviation of the Gaussian that covers a region
BORDER = 0.1  # of the side: the frame in which marks, dates and rulers stand


def removal(model, first, second, rng, target="different"):
    """Covers what speaks against a target, and measures the output.

    Args:
        model: a two-input model whose output is a dissimilarity in [0, 1].
        first, second: uint8 RGB ``(side, side, 3)``.
        rng: an ``np.random.Generator``, draws where the same region is covered for comparison.
        target: as in `fsad.explain.gradcam.pair_maps`; its counterfactual map is the one whose region is covered.

    Returns:
        ``(measured, sentences)``: ``before`` and ``after``, outputs; ``elsewhere``, the mean output with the same
        region shifted at random; ``area``, the covered fraction of both images; ``covered``, the images.
    """
    pair = np.stack([first, second])
    explanation = gradcam.pair_maps(model, pair[:1], pair[1:], target=target)
    regions = np.stack([region(one, pair.shape[1:3]) for one in explanation.counterfactual[0]])
    covered = cover(pair, regions)

    def output(images):
        backbone, neck, distance = siamese.parts(model)
        sides = [neck(backbone(image[None].astype(np.float32))) for image in images]
        return float(np.asarray(distance(sides))[0, 0])

    shifts = [rng.integers(0, pair.shape[1], (2, 2)) for _ in range(CONTROLS)]
    shifted = [np.stack([np.roll(r, s, (0, 1)) for r, s in zip(regions, shift, strict=True)]) for shift in shifts]
    before, after = float(explanation.output[0]), output(covered)
    elsewhere = float(np.mean([output(cover(pair, one)) for one in shifted]))
    measured = {"before": before, "after": after, "elsewhere": elsewhere, "area": float(regions.mean())}
    return {**measured, "covered": covered}, _said_of_removal(measured)


def _said_of_removal(measured):
    before, after, elsewhere = (measured[name] for name in ("before", "after", "elsewhere"))
    if not measured["area"]:
        return ["Nothing in this layer speaks for 'alike': there is no region to remove."]
    moved, by_chance = after - before, elsewhere - before
    line = (
        f"Covering what speaks for 'alike' ({measured['area']:.0%} of both images) moves the dissimilarity from "
        f"{before:.2f} to {after:.2f}; the same region elsewhere moves it to {elsewhere:.2f}."
    )
    if moved < MOVED:
        return [line, "So the model does not depend on that region: do not trust this map, and do not crop to it."]
    if moved < 2 * max(by_chance, 0):
        return [line, "Covering any region does nearly as much: the map does not single out what makes them alike."]
    return [line, "So the two images are taken for alike because of that region. Is it the object? If not, remove it."]


def on_object(maps, masks):
    """How much of the maps lies on the object.

    Args:
        maps: ``(n, h, w)``, values >= 0.
        masks: bool ``(n, H, W)`` of the object, or a list of ``(H, W)``.

    Returns:
        ``(measured, sentences)``: ``share`` of the maps on the object and the ``area`` of the object, means over the
        images whose map is not zero (None without one).
    """
    shares, areas = [], []
    for one, mask in zip(maps, masks, strict=True):
        resized = cv2.resize(np.asarray(one, np.float32), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        if resized.sum() > 0:
            shares.append(float(resized[mask].sum() / resized.sum()))
            areas.append(float(mask.mean()))
    if not shares:
        return {"share": None, "area": None}, ["No map has anything on it: where the model looks cannot be told."]
    share, area = float(np.mean(shares)), float(np.mean(areas))
    line = f"{share:.0%} of the map lies on the object, which covers {area:.0%} of the image."
    if share > 1.5 * area or share > 0.8:
        advice = "The model looks at the object: crop to it, or remove the background, to give it more pixels."
    elif share < area:
        advice = "The model looks past the object: vary the background, or mask it, before you trust the similarity."
    else:
        advice = "The model looks at the object hardly more than chance would: add training pairs before cropping."
    return {"share": share, "area": area}, [line, advice]


def bias(training, test):
    """Whether the maps of test pairs lie where those of training pairs do.

    The correlation of the two mean maps is set against that of the mean maps of two halves of the training pairs, which
    is what it would be without a difference.

    Args:
        training, test: maps ``(n, h, w)``, values >= 0, four or more of training.

    Returns:
        ``(measured, sentences)``: ``correlation``, ``within`` (of the halves) and the share of each on the ``border``,
        ``(training, test)``.

    Raises:
        ValueError: fewer than four training maps, or no test map.
    """
    if len(training) < 4 or not len(test):
        raise ValueError(
            f"Expected four training maps or more, and test maps. Received: {len(training)} and {len(test)}"
        )
    training, test = (np.asarray(maps, np.float64) for maps in (training, test))
    correlation = _correlation(training.mean(0), test.mean(0))
    within = _correlation(training[::2].mean(0), training[1::2].mean(0))
    border = tuple(_on_border(maps) for maps in (training, test))
    measured = {"correlation": correlation, "within": within, "border": border}
    if within < 0.5:
        first = (
            "The model has no habit of looking at one place (its training maps agree with each other at "
            f"{within:.2f}): there is nothing to compare."
        )
    elif correlation > within - 0.2:
        first = (
            f"Test maps lie where training maps do (correlation {correlation:.2f}, {within:.2f} among training maps)."
        )
    else:
        first = (
            f"Test maps lie elsewhere than training maps (correlation {correlation:.2f}, {within:.2f} among training "
            "maps): the test images are framed or lit differently, or the model learned a place instead of the object. "
            "Align them, or train on images framed like these."
        )
    sentences = [first]
    if max(border) > 1.5 * _border_area(training.shape[1:]):
        sentences.append(
            f"{max(border):.0%} of a map lies on the outer {BORDER:.0%} of the image: look for a mark, a date or a "
            "ruler there, and cut it off."
        )
    return measured, sentences


def region(one, shape):
    """The places ``shape`` of a map that reach `REGION` of its maximum, bool; none if the map is zero."""
    resized = cv2.resize(np.asarray(one, np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
    return (resized >= REGION * resized.max()) & (resized.max() > 0)


def cover(images, regions):
    """Images ``(n, side, side, 3)`` with a blurred copy of themselves inside the regions ``(n, side, side)``."""
    sigma = BLUR * images.shape[1]
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])
    return np.where(regions[..., None], blurred, images)


def _correlation(a, b):
    """Of two maps; 0 where one is flat."""
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def _frame(shape):
    frame = np.ones(shape, bool)
    rows, columns = (max(1, round(BORDER * size)) for size in shape)
    frame[rows:-rows, columns:-columns] = False
    return frame


def _border_area(shape):
    return float(_frame(shape).mean())


def _on_border(maps):
    total = maps.sum()
    return float(maps[:, _frame(maps.shape[1:])].sum() / total) if total > 0 else 0.0
