"""Light, lens and sensor: a surface becomes a picture."""

import cv2
import numpy as np


def photograph(surface, rng, fixed):
    """Lambert shading and a broad highlight under the station's lamp, uneven light, defocus, noise."""
    size = surface.size
    gy, gx = np.gradient(surface.height)
    azimuth, slope = fixed.uniform(0, 2 * np.pi) + rng.normal(0, 0.05), fixed.uniform(0.3, 0.45)
    tilt = slope * (np.cos(azimuth) * gx + np.sin(azimuth) * gy)
    yy, xx = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    direction = fixed.uniform(0, 2 * np.pi) + rng.normal(0, 0.1)
    ramp = 1 + (fixed.uniform(0.05, 0.25) + rng.normal(0, 0.01)) * (np.cos(direction) * xx + np.sin(direction) * yy)
    cx, cy = fixed.uniform(-0.5, 0.5, 2) + rng.normal(0, 0.02, 2)
    spot = np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / fixed.uniform(0.1, 0.4))
    light = rng.uniform(0.97, 1.03) * ramp * (1 - tilt)
    shine = surface.gloss * (0.22 * spot + 0.5 * np.clip(-tilt, 0, 0.4) * spot)
    warmth = 1 + rng.normal(0, 0.004) * np.array([1, 0, -1])
    picture = (surface.albedo * light[..., None] + shine[..., None]) * warmth
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), rng.uniform(0.4, 0.7))
    picture += rng.normal(0, rng.uniform(0.006, 0.012), picture.shape)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
