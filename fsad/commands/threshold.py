"""Shows the threshold of a detector, or sets it anew, and keeps how.

By a value, such as one found in the report; or by a rate, from the held-out scores of the images that the detector was
fitted to. With --unsure=R scores near the threshold get the verdict unsure: above them lie at most the share R of good
parts, below them at most that share of defective ones. Export again afterwards: exports hold the threshold.
"""

from fsad.commands import arguments, shared


def add_arguments(parser):
    add = parser.add_argument
    add("detector", metavar="DETECTOR", help="folder of a saved detector")
    add("--value", type=arguments.finite, metavar="X", help="the threshold itself")
    add("--false_alarm_rate", type=arguments.rate, metavar="R", help="rate of good parts classified as defective")
    add("--miss_rate", type=arguments.rate, metavar="R", help="rate of missed defective parts")
    add("--unsure", type=arguments.share, metavar="R", help="rate on either side of the unsure scores; 0 for none")


def run(options):
    given = {name: getattr(options, name) for name in ("value", "false_alarm_rate", "miss_rate", "unsure")}
    given = {name: value for name, value in given.items() if value is not None}
    if len(given.keys() - {"unsure"}) > 1:
        raise ValueError("Expected one of --value, --false_alarm_rate and --miss_rate. Received: more")
    detector = shared.load(options.detector)
    before = detector.threshold
    if not given:
        print(shared.threshold_text(before))
        return 0
    now = detector.set_threshold(**given)
    detector.save(options.detector)
    print(f"Before      {before.value:.6g}: {before.how}")
    print(shared.threshold_text(now))
    print(f"\nWritten: {options.detector}")
    return 0
