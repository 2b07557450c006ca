"""What this machine can do at best: the limits that `experiments.benchmark_speed` measures itself against."""

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SIDE = 4096
MEGAPIXELS = 1


def measure(turns):
    """Tells ``float32_flops``, ``bfloat16_flops`` (matrix products, a second), ``bytes_per_second`` (read from memory)
    and ``jpeg_pixels_per_second`` (decoded), all by all cores."""
    turns.repeat(
        lambda: turns.tell(
            float32_flops=_products("float32"),
            bfloat16_flops=_products("bfloat16"),
            bytes_per_second=_bandwidth(),
            jpeg_pixels_per_second=_decoding(),
            training=_training(),
        )
    )


def _best(call, repeats=5):
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def _products(arithmetic):
    import tensorflow as tf

    square = tf.cast(tf.random.uniform((SIDE, SIDE)), arithmetic)
    product = tf.function(lambda: tf.reduce_max(tf.matmul(square, square)))
    return 2 * SIDE**3 / _best(lambda: product().numpy())


def _training():
    from fsad import training

    return training.fast_precision().replace("mixed_", "")


def _bandwidth():
    parts = np.ones((os.cpu_count(), 2**25), np.float32)  # 128 MB a core: no cache holds it
    with ThreadPoolExecutor(len(parts)) as pool:
        return parts.nbytes / _best(lambda: list(pool.map(np.max, parts)))


def _decoding():
    from PIL import Image

    from fsad import synthetic

    drawn, _ = synthetic.draw("metal", "good", np.random.default_rng(0), size=1000)
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "JPEG", quality=90)
    copies = [file.getvalue()] * 4 * os.cpu_count()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seconds = _best(lambda: list(pool.map(lambda data: Image.open(io.BytesIO(data)).load(), copies)))
    return len(copies) * drawn.shape[0] * drawn.shape[1] / seconds
