"""Says what a detector is, what it was fitted with, and how its threshold was set."""

from fsad.commands import shared


def add_arguments(parser):
    parser.add_argument("detector", metavar="DETECTOR", help="folder of a saved detector")


def run(options):
    print(shared.description(shared.load(options.detector)))
    return 0
