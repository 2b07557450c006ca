"""Measures a detector on labelled images: AUROC, F1, precision, recall and accuracy with 95 % intervals.

Images of parts that it was fitted with are left out.
"""

import json

from fsad.commands import shared


def add_arguments(parser):
    parser.add_argument("detector", metavar="DETECTOR", help="folder of a saved detector")
    parser.add_argument("folder", metavar="FOLDER", help="labelled images: good/ and defect/, or as MVTec AD")
    parser.add_argument("--json", metavar="FILE", help="also write all figures to this file")


def run(options):
    if options.json:
        shared.check_output(options.json)
    samples = shared.find(options.folder)
    detector = shared.load(options.detector)
    from fsad import evaluation
    from fsad.files import atomic_file

    result = detector.evaluate(samples)
    counts = ", ".join(f"{n} {kind}" for kind, n in result["images"].items())
    total = sum(result["images"].values())
    print(f"{total} images of {result['parts']} parts: {counts}; {len(result['left_out'])} left out")
    if result["alike"]:
        print("All good images look like the same part; each is treated as a separate part.")
    for name in evaluation.NAMES:
        value, (low, high) = result[name], result["intervals"][name]
        shown = "not defined" if value is None else f"{value:.3f}   95 % interval {low:.3f} to {high:.3f}"
        print(f"{name:<10} {shown}")
    counts = result["confusion"]
    if 0 in (counts["tp"] + counts["fp"], counts["tn"] + counts["fn"]):
        verdict = "defective" if counts["tp"] + counts["fp"] else "good"
        print(f"Every image was classified as {verdict}: intervals that depend on the threshold are uninformative.")
    print("\nAUROC by type: " + ", ".join(f"{kind} {value:.3f}" for kind, value in result["auroc_by_kind"].items()))
    if result["pixel_auroc"] is not None:
        print(f"Pixel AUROC of the anomaly maps: {result['pixel_auroc']:.3f}")
    else:
        print("Pixel AUROC of the anomaly maps: not defined, for no defective image has a mask")
    reasons = {}
    for name, reason in result["left_out"]:
        reasons.setdefault(reason, []).append(name)
    for reason, names in sorted(reasons.items()):
        print(f"Left out: {len(names)} ({reason}), such as {names[0]}")
    if options.json:
        with atomic_file(options.json, "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")
        print(f"Written: {options.json}")
    return int(any(reason not in evaluation.EXPECTED for reason in reasons))
