"""The ``fsad`` command: reads its arguments and calls the verb. Nothing heavy is imported before a call is known to be
sound."""

import argparse
import difflib
import importlib
import logging
import os
import sys

from absl.flags import argparse_flags

from fsad.files import FsadError

VERBS = (
    "draw",
    "check",
    "roi",
    "fit",
    "score",
    "inspect",
    "explain",
    "evaluate",
    "export",
    "threshold",
    "learn",
    "watch",
    "serve",
    "info",
    "weights",
)
SUMMARY = "Detects defective parts from a few reference images, with a confidence and an anomaly map."


def main(argv=None):
    """Runs the command. Exit status: 0; 1 if some images could not be scored; 2 if nothing could be done."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = _parser()
        parser.check_flags(argv)
        options = parser.parse_args(argv or ["--help"])
    except SystemExit as stop:
        return stop.code if argv else 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be text
    logging.basicConfig(format="%(message)s", level=logging.ERROR)  # warnings are printed where they belong
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print(f"fsad {options.verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our lines has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        missing = "TensorFlow" if name in ("keras", "tensorflow") else name
        print(
            f"fsad {options.verb}: needs {missing}, which is not installed here; install fsad with all that it needs, "
            "or do this where it is",
            file=sys.stderr,
        )
        return 2
    except (FsadError, ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        print(f"fsad {options.verb}: {error or type(error).__name__}", file=sys.stderr)
        return 2


class _Parser(argparse_flags.ArgumentParser):
    """A parser whose mistakes name the verb that explains itself."""

    def __init__(self, **kwargs):
        options = {"inherited_absl_flags": None, "allow_abbrev": False, "add_help": False, "formatter_class": _Help}
        super().__init__(**options, **kwargs)
        self.add_argument("-h", "--help", action="help", help="show this help and exit")

    def check_flags(self, argv):
        """Names a mistyped flag of a verb, before one that is missing because of it."""
        verb = self.verbs.get(argv[0]) if argv else None
        known = [flag for action in verb._actions for flag in action.option_strings] if verb else []
        for name in (given.partition("=")[0] for given in argv[1:] if verb):
            if name == "--":
                break
            if name.startswith("--") and name not in known:
                near = difflib.get_close_matches(name, known, 1, 0.7)
                verb.error(f"unrecognized arguments: {name}" + (f"; did you mean {near[0]}?" if near else ""))

    def error(self, message):
        print(f"{self.prog}: {message}\nRun '{self.prog} --help' for usage.", file=sys.stderr)
        raise SystemExit(2)


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=28, width=100)


def _parser():
    import fsad

    parser = _Parser(prog="fsad", description=SUMMARY, epilog="Run 'fsad VERB --help' for the flags of a verb.")
    parser.add_argument("--version", action="version", version=fsad.__version__, help="show the version and exit")
    verbs = parser.add_subparsers(dest="verb", title="verbs", metavar="VERB", required=True, parser_class=_Parser)
    parser.verbs = verbs.choices
    for name in VERBS:
        module = importlib.import_module(f"fsad.commands.{name}")
        text = module.__doc__.strip().replace("%", "%%")
        verb = verbs.add_parser(name, help=text.partition("\n\n")[0].replace("\n", " "), description=text)
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser
