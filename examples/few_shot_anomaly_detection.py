"""
Title: Few-shot anomaly detection with a frozen backbone
Description: Find defective parts from sixteen images of good ones, without training.
Accelerator: None (two minutes on two CPU cores)

    python examples/few_shot_anomaly_detection.py        # writes few_shot_anomaly_detection.png

What you will see: the AUROC of four steps, each a few lines, from the naive idea to what fsad does, and a figure.
"""

"""
## Introduction

A factory has a few photographs of good parts and hardly any of defective ones, and the next defect may be of a kind
that nobody has seen. So we do not train a classifier. We take a network that has learned from ImageNet to describe
small places of an image, and ask of each place of a new part: *has any good part a place that looks like this?* If
not, we have found something, and we know where.

That is a Siamese comparison: the same network describes two images, and a distance compares the descriptions. Here the
network stays as it is.
"""

import keras
import numpy as np
from keras import ops

from fsad import backbones, metrics, synthetic
from fsad.explain import overlay

SIDE, GOOD, TESTED = 256, 16, 6  # pixels, reference images, images of each kind of test image
rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)

"""
## The images

Synthetic brushed metal with seven kinds of defects and a mask of each, drawn by fsad: nothing is downloaded. Put your
own images in their place: uint8 RGB arrays of one size.
"""


def draw(kind, count):
    images, masks = zip(*(synthetic.draw("metal", kind, rng, size=SIDE) for _ in range(count)), strict=True)
    return np.stack(images), np.stack(masks)


references, _ = draw("good", GOOD)
kinds = ["good", *synthetic.DEFECTS]
images, masks = (np.concatenate(both) for both in zip(*(draw(kind, TESTED) for kind in kinds), strict=True))
labels = np.repeat([kind != "good" for kind in kinds], TESTED).astype(int)  # 1: defective
print(f"{GOOD} reference images; {len(images)} test images, {labels.sum()} of them defective")

"""
## The backbone

EfficientNet-Lite0, whose ImageNet weights were installed with fsad. We cut it where its feature maps still have the
resolution to say where: at a sixteenth of the image. Preprocessing is part of it, so it takes raw pixels in [0, 255].
"""

backbone, _ = backbones.build("efficientnet_lite0", side=SIDE, layer=16)
backbone.trainable = False


def features(images):
    """Feature maps ``(n, 16, 16, channels)``."""
    return backbone.predict(images.astype("float32"), batch_size=8, verbose=0)


reference_maps, image_maps = features(references), features(images)

"""
## Step 1: compare whole images

The obvious idea: average the features of each image, and take the distance to the nearest reference. A scratch of a
thousandth of the image is averaged away.
"""


def nearest(one, others):
    """Distance of each vector ``(n, channels)`` to the nearest of ``(m, channels)``: ``(n,)``, cosine."""
    one, others = (ops.normalize(ops.convert_to_tensor(v), axis=-1) for v in (one, others))
    return ops.convert_to_numpy(1 - ops.max(ops.matmul(one, ops.transpose(others)), axis=-1))


whole = nearest(image_maps.mean((1, 2)), reference_maps.mean((1, 2)))
print(f"1. whole images:              AUROC {metrics.auroc(labels, whole):.3f}")

"""
## Step 2: compare patches

Now each place by itself, with all places of all references: the pool of good patches. The farthest patch is the score
of the image, as in PatchCore (Roth et al. 2022).
"""


def patch_maps(maps, reference_maps):
    """The distance of each patch to the nearest reference patch, ``(n, 16, 16)``."""
    pool = reference_maps.reshape(-1, reference_maps.shape[-1])
    return np.stack([nearest(one.reshape(-1, one.shape[-1]), pool).reshape(one.shape[:2]) for one in maps])


distances = patch_maps(image_maps, reference_maps)
print(f"2. the farthest patch:        AUROC {metrics.auroc(labels, distances.max((1, 2))):.3f}")

"""
## Step 3: let no single channel decide

Features after a ReLU are mostly small, with a few large values that decide every cosine. Their square root (Hellinger's
distance) lets the others speak. And one patch is a noisy witness: we take the mean of the farthest three in a hundred.
"""


def farthest(distances, fraction=0.03):
    flat = np.sort(distances.reshape(len(distances), -1), axis=1)
    return flat[:, -max(1, round(fraction * flat.shape[1])) :].mean(1)


def root(maps):
    return np.sign(maps) * np.sqrt(np.abs(maps))


rooted = patch_maps(root(image_maps), root(reference_maps))
print(f"3. square roots, 3 % of them: AUROC {metrics.auroc(labels, farthest(rooted)):.3f}")

"""
## Step 4: a threshold from good images alone

A score without a threshold is no verdict. Each reference is compared with the *others*: that is how good parts score
which the pool does not know. The largest of these sixteen scores promises a false alarm rate of 1 in 17, since a new
good part is as likely to be the highest of the seventeen as any other.
"""

held_out = np.concatenate([
    patch_maps(root(reference_maps[k : k + 1]), root(np.delete(reference_maps, k, axis=0))) for k in range(GOOD)
])  # fmt: skip
threshold = farthest(held_out).max()
scores = farthest(rooted)
alarms, detected = (scores[labels == label] > threshold for label in (0, 1))
print(f"4. threshold {threshold:.3f}: {alarms.sum()} of {len(alarms)} good parts alarm, "
      f"{detected.sum()} of {len(detected)} defective parts are found")  # fmt: skip

"""
## Where is the defect?

The distances are a map already. We draw it at the size of the image, on one scale for all: 0.5 is the largest distance
of a held-out reference, so that good parts stay dark.
"""

limit = held_out.max()
panels = []
for kind in ("good", "cut", "hole", "scratch"):
    k = kinds.index(kind) * TESTED
    title = f"{kind}: score {scores[k]:.3f}, {'defective' if scores[k] > threshold else 'good'}"
    panels.append({"image": images[k], "anomaly_map": np.clip(rooted[k] / (2 * limit), 0, 1), "title": title})
figure = overlay.panel(panels, top=1.0, label="distance, 0.5 = threshold of a place")
overlay.save(figure, "few_shot_anomaly_detection.png")
pixels = metrics.auroc(masks[labels == 1].ravel(), np.kron(rooted[labels == 1], np.ones((1, 16, 16))).ravel())
print(f"   pixel AUROC {pixels:.3f}; written: few_shot_anomaly_detection.png")

"""
## What is missing

`fsad.Detector` is these steps and a few more: several layers, what is usual at each place, smoothing, weights from
defective images, images of any aspect and size, groups of photographs of one part, exports, a report. Each is worth a
row in its ablations (`experiments/results/study_few_magnetic_tile.md`), measured on real parts. These here are
synthetic: whether a step helps *your* parts, only your parts can say.
"""
