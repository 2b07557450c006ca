"""The seven augmentations of Senarathna and Wijesinghe (2025), section V.A: eight pictures from one; and mirrors."""

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
# Pictures (n, S, S, C) as they are, and mirrored left to right, top to bottom, and both.
MIRRORS = (lambda p: p, lambda p: p[:, :, ::-1], lambda p: p[:, ::-1], lambda p: p[:, ::-1, ::-1])


def eightfold(picture):
    """One square picture ``(S, S, C)`` -> ``(8, S, S, C)`` in the order of `NAMES`, same dtype, in [0, 255]."""

    def scaled(factor):
        bright = tf.clip_by_value(tf.cast(picture, tf.float32) * factor, 0, 255)
        return tf.cast(tf.round(bright), picture.dtype)

    return tf.stack(
        [
            picture,
            tf.image.rot90(picture, 3),
            tf.image.rot90(picture, 2),
            tf.image.rot90(picture, 1),
            tf.image.flip_left_right(picture),
            tf.image.flip_up_down(picture),
            scaled(HIGH),
            scaled(LOW),
        ]
    )


def expand(pictures):
    """Pictures ``(N, S, S, C)`` -> uint8 array ``(8 N, S, S, C)``; picture k becomes rows 8 k to 8 k + 7."""
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.shape[1] != pictures.shape[2]:
        raise ValueError(f"Expected square pictures (n, side, side, channels). Received: {pictures.shape}")
    dataset = tf.data.Dataset.from_tensor_slices(pictures).map(eightfold, num_parallel_calls=tf.data.AUTOTUNE)
    return np.concatenate(list(dataset.as_numpy_iterator()))
