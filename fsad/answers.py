"""Which reference patch answers for a patch of an image, and where both lie."""

from typing import NamedTuple

import numpy as np


class Answer(NamedTuple):
    """The reference patch nearest to a patch of an image, in the mean over the layers.

    Attributes:
        place: ``(x, y)`` of the patch's centre, each in [0, 1] of the image's width and height.
        reference: number of the reference image.
        view: number of the view in which it was taken (`fsad.augment.VIEWS`).
        at: ``(x, y)`` of the reference patch's centre, likewise, in that view.
        distance: cosine distance, in [0, 1] for features that are not negative; of a network that compares vectors as
            in `fsad.explain.pairwise`.
    """

    place: tuple
    reference: int
    view: int
    at: tuple
    distance: float


def of(numbers, places, views):
    """An `Answer` from a row of `fsad.layers.Comparison.answer`.

    Args:
        numbers: the row.
        places: x and y of the reference patches ``(r v, p, 2)`` (`fsad.fitted.Fitted`).
        views: v, how many views of each reference image there are.
    """
    x, y, row, distance = (float(value) for value in numbers)
    number, patch = divmod(int(row), places.shape[1])
    return Answer((x, y), number // views, number % views, tuple(map(float, places[number, patch])), distance)


def spread(distances, places, count):
    """Numbers of the patches with the largest distances, the largest first, a quarter of the image apart.

    Args:
        distances: ``(p,)``.
        places: x and y ``(p, 2)``, each in [0, 1].
        count: how many at most.
    """
    chosen = []
    for row in np.argsort(-distances, kind="stable"):
        if all(np.abs(places[row] - places[other]).max() >= 0.25 for other in chosen):
            chosen.append(row)
        if len(chosen) == count:
            break
    return chosen


def as_taken(answer, views, size):
    """``(x, y)`` of the reference patch in the reference image itself, which its view mirrors or rotates.

    Args:
        answer: an `Answer`.
        views: how many views of each reference image there are, as in `fsad.augment.VIEWS`: 1; 4, mirrored; 8, rotated.
        size: ``(height, width)`` of the images in pixels.
    """
    x, y = answer.at
    if views == 4:
        return (1 - x if answer.view % 2 else x), (1 - y if answer.view >= 2 else y)
    angle, (height, width) = np.radians(45.0 * answer.view if views == 8 else 0.0), size
    dx, dy = (x - 0.5) * width, (y - 0.5) * height
    # Back, clockwise; what was reflected at the border lies inside of it.
    back = (
        0.5 + (np.cos(angle) * dx - np.sin(angle) * dy) / width,
        0.5 + (np.sin(angle) * dx + np.cos(angle) * dy) / height,
    )
    return tuple(float(1 - abs(1 - abs(value))) for value in back)
