"""Maps that know nothing of the network: what an explanation has to beat (Adebayo et al. 2018, sections 3 and 5)."""

import cv2
import numpy as np


def random_maps(comparer, images, references=None, target=None, seed=0):
    """Uniform noise ``(n, H, W)`` in [0, 1), float32, of its own for each image."""
    return np.random.default_rng(seed).random(images.shape[:3], np.float32)


def edge_maps(comparer, images, references=None, target=None):
    """The magnitude of the Sobel gradient of the gray image, ``(n, H, W)``, >= 0, float32."""
    gray = [cv2.cvtColor(np.asarray(image, np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32) for image in images]
    return np.stack([np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)) for g in gray])
