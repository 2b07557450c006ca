"""Writes a detector for another runtime and checks that it scores the same.

An export is complete: preprocessing, references and threshold are inside.
"""

import sys

from fsad.commands import arguments, shared
from fsad.files import check_replaceable


def add_arguments(parser):
    parser.add_argument("detector", metavar="DETECTOR", help="folder of a saved detector")
    parser.add_argument(
        "--format", required=True, choices=["saved_model", "onnx", "openvino", "litert"], help="what to write"
    )
    parser.add_argument(
        "--out", required=True, metavar="PATH", help="folder (saved_model) or file (.onnx, .xml, .tflite) to write"
    )
    parser.add_argument(
        "--images",
        action="append",
        metavar="PATH",
        help="images to check on, of parts that int8 is not calibrated on; the training images if not given",
    )
    parser.add_argument("--int8", action="store_true", help="for litert: 8-bit weights and activations")
    arguments.add_old_name(parser, "--pictures", "images", action="append")


def run(options):
    samples = shared.find(options.images) if options.images else None
    if options.int8 and options.format != "litert":
        raise ValueError(f"Expected --int8 with --format=litert only. Received: {options.format}")
    if options.format == "saved_model":
        check_replaceable(options.out, "a SavedModel", "saved_model.pb")
    else:
        shared.check_output(options.out)
    detector = shared.load(options.detector)
    print(f"Exporting to {options.format}, and comparing scores", file=sys.stderr)
    with shared.quiet():
        from fsad import export

        result = export.export(detector, options.format, options.out, samples, options.int8)
    print(
        f"Written: {result['path']}\nChecked on {result['images']} {result['checked_on']}: scores differ by at most "
        f"{result['largest_difference']:.2g}; verdicts changed: {result['verdicts_changed']}"
    )
    if options.int8 and samples is None:
        print("Note: give --images of other parts to count changed verdicts on images that int8 was not calibrated on.")
    if detector.fitted.reference is not None:
        print("Note: the export takes images as they lie. Align them before, or expect higher scores.")
    return 0
