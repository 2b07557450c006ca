"""Saves an explanation figure: the image, its anomaly map, the overlay, and the nearest reference image.

With --compare, the maps of all methods that the detector has, and which reference patch answers for which.
"""

from pathlib import Path

from fsad.commands import shared
from fsad.explain import methods

LARGE = 600  # pixels of the shorter side from which on a close-up shows what the panels cannot


def add_arguments(parser):
    parser.add_argument("detector", metavar="DETECTOR", help="folder of a saved detector")
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument("--out", required=True, metavar="FILE.png", help="PNG file to write")
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--method",
        choices=methods.NAMES,
        help="how; by default the first of these that the detector has",
    )
    way.add_argument("--compare", action="store_true", help="a panel of all methods; takes up to a minute")
    parser.add_argument(
        "--mask", metavar="MASK.png", help="with --compare: the known defect, against which maps are scored"
    )


def run(options):
    for path, what in ((options.image, "an image"), (options.mask, "a mask")):
        if path is not None and not Path(path).is_file():
            raise FileNotFoundError(f"{path}: expected {what} file. Received: no such file")
    if options.mask and not options.compare:
        raise ValueError("Expected --compare with --mask. Received: --mask alone")
    shared.check_output(options.out)
    detector = shared.load(options.detector)
    from fsad.explain import overlay

    prediction = detector.explain(options.image, options.method)
    method = options.method or detector.methods[0]
    confidence = min(0.99, prediction.confidence)  # 1.00 would be certain
    title = f"score {prediction.score:.4g}, {prediction.verdict}, confidence {confidence:.2f}"
    place, (height, width) = overlay.highest(prediction.anomaly_map, prediction.image), prediction.image.shape[:2]
    large = min(height, width) >= LARGE
    if options.compare:
        figure = _comparison(detector, prediction, options, title)
    else:
        example = {
            "image": prediction.image,
            "anomaly_map": detector.display_map(prediction, method),
            "title": title,
            "reference": detector.fitted.thumbnails[prediction.nearest],
        }
        if large:
            example["closeup"] = overlay.closeup(prediction.image, place)
        label = "patch distance, 0.5 = threshold" if method == "patches" else f"{method}, 1 = 99.5th percentile"
        figure = overlay.panel([example], Path(prediction.name).name, top=1.0, label=label)
    overlay.save(figure, options.out, dpi=200 if large else 110)
    print(f"{prediction.name}: {title}\nHighest     at {place[0]}, {place[1]} of {width} x {height} pixels")
    print(f"Written: {options.out}")
    return 0


def _comparison(detector, prediction, options, title):
    from tqdm import tqdm

    from fsad.explain import pairwise, panels, patches
    from fsad.images import read_mask, resize

    mask = options.mask or prediction.sample.mask
    if mask is not None:
        mask = resize(read_mask(mask).astype("uint8") * 255, prediction.image.shape[:2]) > 127
        mask = mask if mask.any() and not mask.all() else None
    maps = {detector.methods[0]: prediction.anomaly_map}
    for name in tqdm(detector.methods[1:], desc="explaining", unit="method", leave=False):
        maps[name] = detector.explain(options.image, name).anomaly_map
    answers = ()
    if detector.fitted.aligner is None:  # an aligned image lies elsewhere
        comparer, references = methods.of(detector.fitted)
        pairs = patches if detector.methods[0] == "patches" else pairwise
        nearest = pairs.answers(comparer, resize(prediction.image, detector.size), references)
        answers = [(one, comparer.views[one.view](references.images[one.reference][None])[0]) for one in nearest]
    return panels.compare(prediction.image, maps, f"{Path(prediction.name).name}: {title}", mask, answers)
