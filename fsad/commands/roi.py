"""Draws a region of interest into an image, to look at before fsad fit --roi=FILE.

FILE is a mask, white where it counts, or JSON in pixels of the image: {"box": [left, top, width, height]} or
{"polygon": [[x, y], ...]}.
"""

from pathlib import Path

from fsad.commands import shared


def add_arguments(parser):
    parser.add_argument("roi", metavar="FILE", help="a mask or a JSON file")
    parser.add_argument("image", metavar="IMAGE", help="an image of the part")
    parser.add_argument("--out", required=True, metavar="FILE.png", help="PNG file to write")


def run(options):
    if not Path(options.image).is_file():
        raise FileNotFoundError(f"{options.image}: expected an image file. Received: no such file")
    shared.check_output(options.out)
    import cv2
    import numpy as np

    from fsad import roi
    from fsad.images import read_image, write_image

    image = read_image(options.image)
    height, width = image.shape[:2]
    mask = cv2.resize(roi.read(options.roi, (width, height)).astype(np.uint8), (width, height), interpolation=0)
    shown = np.where(mask[..., None] > 0, image, image // 3)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    thick = max(1, round(max(height, width) / 400))
    shown = cv2.drawContours(np.ascontiguousarray(shown), outlines, -1, (255, 200, 0), thick)
    write_image(Path(options.out), shown)
    print(f"{mask.mean():.0%} of the image counts\nWritten: {options.out}")
    return 0
