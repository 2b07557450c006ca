"""Writes an HTML report: every image, ranked by score, with its anomaly map.

Verdicts, scores and a threshold that can be moved, in one file that any browser opens without a network.
"""

from fsad.commands import arguments, shared


def add_arguments(parser):
    arguments.add_paths(parser)
    parser.add_argument("--report", required=True, metavar="FILE.html", help="HTML file to write")
    arguments.add_scoring(parser)


def run(options):
    from fsad import inputs

    shared.check_output(options.report)
    samples = inputs.find(options.inputs)
    detector = shared.load_for(samples, options)
    return shared.report(
        detector, samples, options.report, shared.title_of(options.inputs), options.threshold, options.strict
    )
