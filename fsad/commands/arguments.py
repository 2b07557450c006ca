"""Arguments that several verbs share, and what they may be."""

import argparse
import math

PATHS = "an image, a folder or a quoted pattern such as 'line/*.png'"


def add_paths(parser):
    parser.add_argument("detector", metavar="DETECTOR", help="folder of a saved detector")
    parser.add_argument("inputs", metavar="PATH", nargs="+", help=PATHS)


def add_scoring(parser):
    parser.add_argument(
        "--threshold",
        type=finite,
        metavar="X",
        help="classify images above this score as defective, instead of using the detector's threshold",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with status 3 if the images differ from those of the fit in light, "
        "sharpness or colour, or the scores as a whole",
    )
    add_runtime(parser, "auto", "the detector's own graph; for 1000 images or more, ")


def add_runtime(parser, default, auto=""):
    parser.add_argument(
        "--runtime",
        choices=["auto", "tensorflow", "openvino", "openvino-bfloat16", "onnx"],
        default=default,
        help=f"inference runtime (default: {default or 'that of the detector'}). auto: {auto}the fastest installed "
        "runtime that gives the same scores",
    )


def add_group_pattern(parser):
    parser.add_argument(
        "--group_pattern",
        metavar="REGEX",
        help="finds the name of the part in the path of an image, as in 'item[0-9]+', where several images show one "
        "part",
    )


def finite(text):
    """A number for argparse, not NaN and not infinite."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def positive(text):
    """A whole number of at least 1 for argparse."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def side(text):
    """A side in pixels, or ``WIDTHxHEIGHT`` as ``(height, width)``, for argparse."""
    width, cross, height = text.lower().partition("x")
    return (positive(height), positive(width)) if cross else positive(width)


def rate(text):
    """A number between 0 and 1 for argparse."""
    value = float(text)
    if not 0 < value < 1:
        raise ValueError
    return value


def share(text):
    """A number from 0 on, below 1, for argparse."""
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError
    return value


def add_old_name(parser, old, name, **options):
    """A flag under the name it had before, for one version more."""
    parser.add_argument(old, dest=name, help=argparse.SUPPRESS, default=argparse.SUPPRESS, **options)
