"""Fits a detector to good images and, if you have any, defective ones.

With --inspect and --report it then scores further images and writes an HTML report.
"""

from pathlib import Path

from fsad.commands import arguments, shared

SETTINGS = ("backbone", "layers", "weights", "side", "epochs", "roi")  # of the recipe
OPTIONS = ("false_alarm_rate", "miss_rate", "max_references", "seed", "group_pattern", "align")  # of the detector


def add_arguments(parser):
    add = parser.add_argument
    add(
        "--good",
        action="append",
        required=True,
        metavar="PATH",
        help=f"good images: {arguments.PATHS}; may be repeated",
    )
    add("--defect", action="append", metavar="PATH", help="defective images, likewise")
    add("--out", required=True, metavar="DETECTOR", help="folder to write the detector to")
    add(
        "--recipe",
        choices=["patches", "senarathna", "takimoto", "livieris"],
        default="patches",
        help="patches (the default) trains nothing; the papers' three train on good and defective images",
    )
    add(
        "--backbone",
        metavar="NAME",
        help="mobilenet, vgg16, filter_bank, or of keras.applications, as EfficientNetB0",
    )
    add(
        "--layers", metavar="NAME", nargs="+", help="recipe patches: layers of the backbone whose features are compared"
    )
    arguments.add_old_name(parser, "--layer", "layers", nargs=1)
    add("--weights", metavar="NAME", help="imagenet, none, or a weights file")
    add(
        "--side",
        type=arguments.side,
        metavar="N",
        help="input side in pixels. Images of one aspect keep it, in a rectangle of N x N pixels in area; WIDTHxHEIGHT "
        "sets it",
    )
    add(
        "--roi", metavar="FILE", help="region of interest: a mask, white where it counts, or JSON (see fsad roi --help)"
    )
    add(
        "--align",
        action="store_true",
        default=None,
        help="move and turn each image until it lies on a reference image, for parts that lie differently",
    )
    add("--epochs", type=arguments.positive, metavar="N", help="training epochs (trained recipes only)")
    add(
        "--false_alarm_rate",
        type=arguments.rate,
        metavar="X",
        help="set the threshold for this rate of good parts classified as defective",
    )
    add(
        "--miss_rate",
        type=arguments.rate,
        metavar="X",
        help="set the threshold for this rate of missed defective parts",
    )
    add(
        "--max_references",
        type=arguments.positive,
        metavar="N",
        help="maximum number of reference images (default: 32)",
    )
    arguments.add_group_pattern(parser)
    add("--seed", type=int, metavar="N", help="random seed (default: 0)")
    add("--inspect", action="append", metavar="PATH", help="then score these images; needs --report")
    add("--report", metavar="FILE.html", help="HTML report on the inspected images; needs --inspect")


def run(options):
    from fsad import inputs, storage

    if (options.inspect is None) != (options.report is None):
        raise ValueError("Expected --inspect and --report together. Received: one of them")
    if options.false_alarm_rate and options.miss_rate:
        raise ValueError("Expected --false_alarm_rate or --miss_rate. Received: both")
    if options.recipe != "patches" and not options.defect:
        raise ValueError(f"Expected --defect: the recipe {options.recipe} learns from defective images. Received: none")
    if options.weights not in (None, "imagenet", "none") and not Path(options.weights).is_file():
        raise FileNotFoundError(f"{options.weights}: expected imagenet, none or a weights file. Received: no such file")
    if options.roi and options.recipe != "patches":
        raise ValueError(f"Expected the recipe patches with --roi. Received: {options.recipe}")
    if options.roi and not Path(options.roi).is_file():
        raise FileNotFoundError(f"{options.roi}: expected a mask or a JSON file. Received: no such file")
    # What cannot be read or written is better known now.
    storage.check_writable(options.out)
    good = shared.find(options.good)
    defect = shared.find(options.defect) if options.defect else None
    inspected = inputs.find(options.inspect) if options.inspect else []
    if options.report:
        shared.check_output(options.report)
    given = {name: getattr(options, name) for name in (*SETTINGS, *OPTIONS) if getattr(options, name) is not None}
    shared.start_tensorflow()
    from fsad.detector import Detector

    detector = Detector(options.recipe, **given).fit(good, defect)
    print(shared.description(detector))
    detector = shared.save(detector, options.out)
    if not options.report:
        return 0
    return shared.report(detector, inspected, options.report, shared.title_of(options.inspect))
