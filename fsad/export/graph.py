"""The functions that exports write down: the detector's own, with references and threshold as constants."""

import tensorflow as tf


def signature(detector, references_given=False):
    """What a function takes: ``images`` and, so that a writer need not copy them, the embedded ``references``."""
    images = _images(detector, "images")
    if not references_given:
        return [images]
    return [images, tf.TensorSpec(detector.fitted.references.shape, tf.float32, name="references")]


def score(detector, shift=0.0, references_given=False):
    """``images`` uint8 ``(n, h, w, 3)`` -> ``score``, ``confidence``, ``defective``, ``unsure``; of patches
    ``anomaly_map``.

    ``shift`` is taken off the score first. With ``references_given`` as in `signature`.
    """
    threshold = detector.threshold
    low, high = threshold.unsure or (threshold.value, threshold.value)

    def score(images, *references):
        comparison = detector.compare(images, *references)
        score = comparison.score - shift
        out = {
            "score": score,
            "confidence": tf.sigmoid(tf.abs(score - threshold.value) / threshold.scale),
            "defective": tf.cast(score > threshold.value, tf.int32),
            "unsure": tf.cast(tf.logical_and(score > low, score <= high), tf.int32),
        }
        return out if comparison.anomaly_map is None else {**out, "anomaly_map": comparison.anomaly_map}

    return tf.function(score, input_signature=signature(detector, references_given), autograph=False)


def similarity(detector):
    """``anchor``, ``image``, uint8 ``(n, height, width, 3)`` -> ``dissimilarity`` and ``similarity`` = 1 - that."""

    model = detector.model

    def similarity(anchor, image):
        pair = [tf.cast(anchor, tf.float32), tf.cast(image, tf.float32)]
        dissimilarity = model(pair, training=False)[:, 0]
        return {"dissimilarity": dissimilarity, "similarity": 1 - dissimilarity}

    return tf.function(
        similarity, input_signature=[_images(detector, "anchor"), _images(detector, "image")], autograph=False
    )


def score_encoded(detector):
    """``encoded`` ``(n,)``, the bytes of 8-bit JPEG or PNG files -> as `score`.

    Decoded and resized as `fsad.images` does; a camera turn (EXIF) is not applied.
    """
    (height, width), inner = detector.size, score(detector)

    def one(encoded):
        raw = tf.cond(
            tf.io.is_jpeg(encoded),
            lambda: tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE"),  # as Pillow decodes; the default is not
            lambda: tf.io.decode_image(encoded, channels=0, expand_animations=False),
        )
        raw.set_shape((None, None, None))
        channels = tf.shape(raw)[2]  # gray, gray with alpha, RGB, RGB with alpha
        values = tf.cast(raw, tf.float32)
        alpha = tf.where(channels % 2 == 0, values[..., -1:] / 255, 1.0)  # transparency is laid on white
        colour = tf.gather(values, tf.where(channels < 3, [0, 0, 0], [0, 1, 2]), axis=2)
        colour = tf.round(colour * alpha + 255 * (1 - alpha))
        shrinking = tf.reduce_all(tf.shape(raw)[:2] > [height, width])
        colour = tf.cond(
            shrinking,
            lambda: tf.image.resize(colour, (height, width), "area"),
            lambda: tf.image.resize(colour, (height, width), "bilinear"),
        )
        return tf.cast(tf.round(colour), tf.uint8)

    def score_encoded(encoded):
        return inner(tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec((height, width, 3), tf.uint8)))

    return tf.function(score_encoded, input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")])


def _images(detector, name):
    return tf.TensorSpec((None, *detector.size, 3), tf.uint8, name=name)
