"""Every backbone in the network of Senarathna and Wijesinghe (2025): size, training, latency, throughput.

    make benchmark-backbones
    python -m experiments.benchmark_backbones --json=backbones.json --backbones=custom_cnn,mobilenet

What you will see: one line a backbone as it is measured, on random pictures and random weights (speed
does not depend on either). About 5 minutes on two cores for all seven.

- parameters; model size: weights and Adam's moments in float32, as the paper's Table II counts
- training: seconds for an epoch of 128 pairs (192 pictures), 8 x the median step of 16 pairs. A frozen
  backbone is not run in a step: its feature maps are computed once, which "once" shows.
- latency: one picture to its embedding, compiled and warm: median and 95th percentile
- throughput: pictures a second in batches of 32
"""

import functools
import json
import os
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from experiments.machine import machine
from fsad import backbones, recipes, siamese, training

COLUMNS = {
    "backbone": "{}",
    "side": "{} px",
    "parameters": "{:,}",
    "size_megabytes": "{:.1f} MB",
    "epoch_seconds": "{:.1f} s",
    "once_seconds": "{:.1f} s",
    "latency_median_ms": "{:.1f} ms",
    "latency_p95_ms": "{:.1f} ms",
    "pictures_per_second": "{:.1f}",
}
HEADS = ("backbone", "side", "parameters", "model size", "epoch", "once", "latency", "p95", "pictures/s")


class _Times(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.last = time.perf_counter()
        self.steps = []

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        self.steps.append(now - self.last)
        self.last = now


def measure(name, precision, steps=3, repeats=30):
    """Measures one backbone; returns a dict with the keys of `COLUMNS`."""
    keras.backend.clear_session()
    recipe = recipes.senarathna(name, weights="none", epochs=steps + 1)
    rng = np.random.default_rng(0)
    one = [rng.integers(0, 256, (1, recipe.side, recipe.side, 3), np.uint8) for _ in range(3)]
    times = _Times()
    # One picture a role makes 8 + 8 + 8 pictures and 16 pairs: a step of the paper's recipe an epoch.
    training.fit(recipe, *one, rng, callbacks=[times], precision=precision)
    backbone = siamese.parts(recipe.model).backbone
    shown = np.zeros((24, recipe.side, recipe.side, 3), np.float32)
    frozen = backbones.SPECS[name].frozen
    once = np.median(_repeat(lambda: backbone.predict(shown, verbose=0), 3)) if frozen else 0.0
    embed = tf.function(functools.partial(siamese.embedder(recipe.model), training=False))
    single, batch = (tf.zeros((n, recipe.side, recipe.side, 3)) for n in (1, 32))
    singles = _repeat(lambda: embed(single).numpy(), repeats)
    batches = _repeat(lambda: embed(batch).numpy(), 3)
    return {
        "backbone": name,
        "side": recipe.side,
        "parameters": recipe.model.count_params(),
        "size_megabytes": siamese.size_megabytes(recipe.model),
        "epoch_seconds": 8 * float(np.median(times.steps[1:])),
        "once_seconds": 8 * float(once),
        "latency_median_ms": 1000 * float(np.median(singles)),
        "latency_p95_ms": 1000 * float(np.percentile(singles, 95)),
        "pictures_per_second": 32 / float(np.median(batches)),
    }


def _repeat(call, repeats):
    call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times


def main(_):
    options = flags.FLAGS
    unknown = set(options.backbones) - set(backbones.SPECS)
    if unknown:
        raise app.UsageError(f"Expected --backbones among {list(backbones.SPECS)}. Received: {sorted(unknown)}")
    precision = training.fast_precision() if options.precision == "auto" else options.precision
    if options.json:
        Path(options.json).absolute().parent.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; training in {precision}, the rest in float32\n")
    widths = (13, 8, 13, 12, 8, 8, 10, 10, 12)
    print("".join(h.rjust(w) for h, w in zip(HEADS, widths, strict=True)))
    results = []
    for name in options.backbones:
        results.append(measure(name, precision, options.steps))
        cells = (form.format(results[-1][key]) for key, form in COLUMNS.items())
        print("".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)), flush=True)
        if options.json:
            text = json.dumps({"machine": machine(), "precision": precision, "backbones": results}, indent=1) + "\n"
            unfinished = Path(options.json + ".part")
            unfinished.write_text(text)
            os.replace(unfinished, options.json)


if __name__ == "__main__":
    flags.DEFINE_string("json", None, "file for the figures, written after each backbone")
    flags.DEFINE_list("backbones", list(backbones.SPECS), "which, comma-separated")
    flags.DEFINE_integer("steps", 3, "training steps to take the median of, after one to warm up", lower_bound=1)
    flags.DEFINE_enum("precision", "auto", ["auto", "float32", "mixed_bfloat16"], "arithmetic of training")
    app.run(main)
