"""Light, lens and sensor: a surface becomes an image."""

import cv2
import numpy as np


def photograph(surface, rng, station_rng):
    """Lambert shading and a broad highlight under the station's lamp, uneven light, defocus and noise."""
    size = surface.size
    gy, gx = np.gradient(surface.height)
    azimuth, slope = station_rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.05), station_rng.uniform(0.3, 0.45)
    tilt = slope * (np.cos(azimuth) * gx + np.sin(azimuth) * gy)
    yy, xx = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    direction = station_rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.1)
    steepness = station_rng.uniform(0.05, 0.25) + rng.normal(0, 0.01)
    ramp = 1 + steepness * (np.cos(direction) * xx + np.sin(direction) * yy)
    cx, cy = station_rng.uniform(-0.5, 0.5, 2) + rng.normal(0, 0.02, 2)
    spot = np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / station_rng.uniform(0.1, 0.4))
    light = rng.uniform(0.97, 1.03) * ramp * (1 - tilt)
    shine = surface.gloss * (0.22 * spot + 0.5 * np.clip(-tilt, 0, 0.4) * spot)
    warmth = 1 + rng.normal(0, 0.004) * np.array([1, 0, -1])
    image = (surface.albedo * light[..., None] + shine[..., None]) * warmth
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.4, 0.7))
    image += rng.normal(0, rng.uniform(0.006, 0.012), image.shape)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
