"""Saves an explanation figure: the image, its anomaly map, the overlay, and the nearest reference image."""

from pathlib import Path

from fsad.commands import shared
from fsad.explain import methods


def add_arguments(parser):
    parser.add_argument("detector", metavar="DETECTOR", help="folder of a saved detector")
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument("--out", required=True, metavar="FILE.png", help="PNG file to write")
    parser.add_argument(
        "--method",
        choices=methods.NAMES,
        help="how; by default the first of these that the detector has",
    )


def run(options):
    if not Path(options.image).is_file():
        raise FileNotFoundError(f"{options.image}: expected an image file. Received: no such file")
    shared.check_output(options.out)
    detector = shared.load(options.detector)
    from fsad.explain import overlay

    prediction = detector.explain(options.image, options.method)
    method = options.method or detector.methods[0]
    confidence = int(100 * prediction.confidence) / 100  # 1.00 would be certain
    example = {
        "image": prediction.image,
        "anomaly_map": detector.display_map(prediction, method),
        "title": f"score {prediction.score:.4g}, {prediction.verdict}, confidence {confidence:.2f}",
        "reference": detector.fitted.thumbnails[prediction.nearest],
    }
    label = "patch distance, 0.5 = threshold" if method == "patches" else f"{method}, 1 = 99.5th percentile"
    figure = overlay.panel([example], Path(prediction.name).name, top=1.0, label=label)
    overlay.save(figure, options.out, dpi=110)
    print(f"{prediction.name}: {example['title']}\nWritten: {options.out}")
    return 0
