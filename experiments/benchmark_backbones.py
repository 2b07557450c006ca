"""Every backbone in the network of Senarathna and Wijesinghe (2025): size, training, latency, throughput.

    make benchmark-backbones
    python -m experiments.benchmark_backbones --json=backbones.json --backbones=custom_cnn,mobilenet

What you will see: one line per backbone as it is measured, on random images and random weights (speed
does not depend on either). About 5 minutes on two cores for all seven.

- parameters; model size: weights and Adam's moments in float32, as the paper's Table II counts
- training: seconds for an epoch of 128 pairs (192 images), 8 x the median step of 16 pairs. A frozen
  backbone is not run in a step: its feature maps are computed once, which "once" shows.
- latency: one image to its embedding, compiled and warm: median and 95th percentile
- throughput: images per second in batches of 32
"""

import functools
import json
import timeit

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from experiments.page import machine
from experiments.runner import run_main
from experiments.senarathna.run import size_megabytes
from fsad import backbones, recipes, siamese, training
from fsad.backbones import dinov2
from fsad.files import atomic_file

# key: (head, form, width)
COLUMNS = {
    "backbone": ("backbone", "{}", 13),
    "side": ("side", "{} px", 8),
    "parameters": ("parameters", "{:,}", 13),
    "size_megabytes": ("model size", "{:.1f} MB", 12),
    "epoch_seconds": ("epoch", "{:.1f} s", 8),
    "once_seconds": ("once", "{:.1f} s", 8),
    "latency_median_ms": ("latency", "{:.1f} ms", 10),
    "latency_p95_ms": ("p95", "{:.1f} ms", 10),
    "images_per_second": ("images/s", "{:.1f}", 12),
}


class _Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = timeit.default_timer()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(timeit.default_timer() - self.begun)


def measure(name, precision, steps=3, repeats=30):
    """Measures one backbone; returns a dict with the keys of `COLUMNS`."""
    keras.backend.clear_session()
    recipe = recipes.senarathna.build(name, weights="none", epochs=steps + 1)
    shape, clock, rng = (recipe.side, recipe.side, 3), _Clock(), np.random.default_rng(0)
    # One image per role makes 8 + 8 + 8 images and 16 pairs: each epoch is a step of the paper's recipe.
    one_each = rng.integers(0, 256, (3, *shape), np.uint8)
    training.fit(recipe, one_each, [0, 0, 1], rng, callbacks=[clock], precision=precision)
    backbone, shown = siamese.parts(recipe.model).backbone, np.zeros((24, *shape), np.float32)
    frozen = backbones.spec_of(name).frozen
    once = np.median(_seconds(lambda: backbone.predict(shown, verbose=0), 3)) if frozen else 0.0
    embed = tf.function(functools.partial(siamese.embedder(recipe.model), training=False))
    single, batch = (tf.zeros((n, *shape)) for n in (1, 32))
    singles, batches = _seconds(lambda: embed(single).numpy(), repeats), _seconds(lambda: embed(batch).numpy(), 3)
    return {
        "backbone": name,
        "side": recipe.side,
        "parameters": recipe.model.count_params(),
        "size_megabytes": size_megabytes(recipe.model),
        "epoch_seconds": 8 * float(np.median(clock.seconds[1:])),
        "once_seconds": 8 * float(once),
        "latency_median_ms": 1000 * float(np.median(singles)),
        "latency_p95_ms": 1000 * float(np.percentile(singles, 95)),
        "images_per_second": 32 / float(np.median(batches)),
    }


def _seconds(call, repeats):
    call()
    return timeit.repeat(call, number=1, repeat=repeats)


def main(_):
    options = flags.FLAGS
    for name in options.backbones:
        backbones.spec_of(name)  # raises for an unknown one
    precision = training.fast_precision() if options.precision == "auto" else options.precision
    print(f"{machine()}; training in {precision}, the rest in float32\n")
    print("".join(head.rjust(width) for head, _, width in COLUMNS.values()))
    results = []
    for name in options.backbones:
        results.append(measure(name, precision, options.steps))
        cells = (form.format(results[-1][key]).rjust(width) for key, (_, form, width) in COLUMNS.items())
        print("".join(cells), flush=True)
        if options.json:
            with atomic_file(options.json, "w") as file:
                file.write(json.dumps({"machine": machine(), "precision": precision, "backbones": results}, indent=1))


if __name__ == "__main__":
    flags.DEFINE_string("json", None, "file for the figures, written after each backbone")
    flags.DEFINE_list(
        "backbones", [name for name in backbones.SPECS if name not in dinov2.SIZES], "which, comma-separated"
    )
    flags.DEFINE_integer("steps", 3, "training steps to take the median of, after one to warm up", lower_bound=1)
    run_main(main)
