"""The seven augmentations of Senarathna and Wijesinghe (2025), section V.A: eight images from one; and mirrors."""

import functools

import cv2
import numpy as np
import tensorflow as tf

# The paper gives no brightness factors; these are ours.
HIGH, LOW = 1.3, 0.7
NAMES = (
    "original",
    "rotated 90 clockwise",
    "rotated 180",
    "rotated 90 counterclockwise",
    "flipped horizontally",
    "flipped vertically",
    "brighter",
    "darker",
)
# Images (n, S, S, C) as they are, and mirrored left to right, top to bottom, and both.
MIRRORS = (lambda x: x, lambda x: x[:, :, ::-1], lambda x: x[:, ::-1], lambda x: x[:, ::-1, ::-1])


def rotated(images, degrees):
    """Images ``(n, H, W, C)`` about their centre, counterclockwise; what comes in from outside is reflected."""
    height, width = images.shape[1:3]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.stack(
        [cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101) for image in images]
    )


# The same in steps of 45 degrees, as AnomalyDINO (Damm et al. 2025) takes its references.
ROTATIONS = (MIRRORS[0], *(functools.partial(rotated, degrees=degrees) for degrees in range(45, 360, 45)))
VIEWS = {"none": MIRRORS[:1], "mirrored": MIRRORS, "rotated": ROTATIONS}


def eightfold(image):
    """One square image ``(S, S, C)`` -> ``(8, S, S, C)`` in the order of `NAMES`, same dtype, in [0, 255]."""

    def scaled(factor):
        bright = tf.clip_by_value(tf.cast(image, tf.float32) * factor, 0, 255)
        return tf.cast(tf.round(bright), image.dtype)

    return tf.stack(
        [
            image,
            tf.image.rot90(image, 3),
            tf.image.rot90(image, 2),
            tf.image.rot90(image, 1),
            tf.image.flip_left_right(image),
            tf.image.flip_up_down(image),
            scaled(HIGH),
            scaled(LOW),
        ]
    )


def expand(images):
    """Images ``(N, S, S, C)`` -> tensor ``(8 N, S, S, C)`` of the same dtype; image k becomes rows 8 k to 8 k + 7."""
    if len(images.shape) != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(f"Expected square images (n, side, side, channels). Received: {tuple(images.shape)}")
    dataset = tf.data.Dataset.from_tensor_slices(images).map(eightfold, num_parallel_calls=tf.data.AUTOTUNE).unbatch()
    return dataset.batch(len(NAMES) * len(images)).get_single_element()
