"""The ``fsad`` command. Each verb has its own flags; nothing heavy is imported before a call is known to be sound."""

import sys
import textwrap

from absl import flags

SUMMARY = "fsad finds defective parts after a few pictures of good ones, says how sure it is, and shows where to look."

_THRESHOLD = (
    "threshold",
    float,
    None,
    "call a picture defective above this score, in place of the detector's own threshold",
)
_RUNTIME = (
    "runtime",
    ["auto", "tensorflow", "openvino", "onnx"],
    "auto",
    "what scores the pictures. auto: from 1000 pictures on, the fastest that is installed and scores the same",
)
_PATHS = "PATH is a picture, a folder or a quoted pattern such as 'line/*.png'."

# verb: (usage, summary, least and most words that are not flags, flags: (name, type, default, help))
VERBS = {
    "draw": (
        "fsad draw FOLDER [--texture=NAME]",
        "Draws synthetic pictures of a part to try things on: good ones, seven kinds of defects, and their masks.",
        (1, 1),
        [
            ("texture", str, "metal", "metal, leather or tile"),
            ("good", int, 64, "good pictures; a quarter of them goes to test/good"),
            ("defective", int, 8, "pictures of each kind of defect"),
            ("seed", int, 0, "another seed draws another part"),
        ],
    ),
    "check": (
        "fsad check FOLDER",
        "Looks at your pictures before you fit: counts, sizes, unreadable files, the same picture twice or on two "
        "sides, labels that look wrong.",
        (1, 1),
        [],
    ),
    "fit": (
        "fsad fit --good=DIR [--defect=DIR] [--recipe=NAME] --out=DETECTOR",
        "Learns from good pictures and, if you have any, defective ones. " + _PATHS.replace("PATH", "DIR"),
        (0, 0),
        [
            ("good", list, None, "good pictures; may be given more than once (required)"),
            ("defect", list, None, "defective pictures; may be given more than once"),
            ("out", str, None, "folder to write the detector to (required)"),
            ("recipe", str, "patches", "patches (trains nothing); senarathna, takimoto (train on both)"),
            ("backbone", str, None, "backbone of the recipe, such as mobilenet, vgg16 or filter_bank"),
            ("weights", str, None, "imagenet, none, or a weights file"),
            ("side", int, None, "side in pixels that pictures are resized to"),
            ("epochs", int, None, "epochs of a recipe that trains"),
            ("false_alarm_rate", float, None, "set the threshold for this share of good parts called defective"),
            ("miss_rate", float, None, "set the threshold for this share of defective parts called good"),
            ("max_references", int, 32, "good pictures kept to compare with"),
            ("seed", int, 0, "of every random draw"),
            ("inspect", list, None, "then inspect these pictures; needs --report"),
            ("report", str, None, "HTML file for the inspected pictures; needs --inspect"),
        ],
    ),
    "score": (
        "fsad score DETECTOR PATH... [--csv=FILE] [--jsonl=FILE]",
        "Prints one line a picture, as it is done: path, score, verdict, confidence, error. " + _PATHS + " A "
        "picture that cannot be read becomes a line with its error, and the exit status is 1 at the end.",
        (2, None),
        [
            ("csv", str, None, "also write the lines to this file"),
            ("jsonl", str, None, "also write them to this file, as JSON, one object a line"),
            _THRESHOLD,
            _RUNTIME,
        ],
    ),
    "inspect": (
        "fsad inspect DETECTOR PATH... --report=FILE.html",
        "Writes a report for the eye: verdicts, scores, and pictures with where they differ, worst first. " + _PATHS,
        (2, None),
        [("report", str, None, "HTML file to write (required)"), _THRESHOLD, _RUNTIME],
    ),
    "explain": (
        "fsad explain DETECTOR PICTURE [--method=NAME] --out=FILE.png",
        "Draws why a picture scores as it does: the picture, a map of where it differs, and the nearest good picture.",
        (2, 2),
        [
            ("out", str, None, "PNG file to write (required)"),
            ("method", str, None, "patches, attention, saliency or gradcam; default: the first it has"),
        ],
    ),
    "evaluate": (
        "fsad evaluate DETECTOR FOLDER [--json=FILE]",
        "Measures a detector on labelled pictures: AUROC, F1, precision, recall and accuracy with 95 % intervals. "
        "Pictures of parts that it was fitted with are left out.",
        (2, 2),
        [("json", str, None, "also write all figures to this file")],
    ),
    "export": (
        "fsad export DETECTOR --format=saved_model|onnx|openvino|litert --out=PATH",
        "Writes the detector for another runtime, complete with preprocessing, references and threshold, and checks "
        "that it scores as the detector does.",
        (1, 1),
        [
            ("format", ["saved_model", "onnx", "openvino", "litert"], None, "what to write (required)"),
            ("out", str, None, "folder (saved_model) or file (.onnx, .xml, .tflite) to write (required)"),
            ("pictures", list, None, "pictures to check on; the training pictures if not given"),
            ("int8", bool, False, "for litert: 8-bit weights and activations"),
        ],
    ),
    "info": (
        "fsad info DETECTOR",
        "Says what a detector is, what it was fitted with, and how its threshold was set.",
        (1, 1),
        [],
    ),
}  # fmt: skip

_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    list: flags.DEFINE_multi_string,
}
_SHOWN = {str: "TEXT", int: "N", float: "X", bool: "", list: "PATH"}


def main(argv=None):
    """Runs the command. Exit status: 0; 1 if some pictures could not be judged; 2 if nothing could be done."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("help", "-h", "--help", "--helpfull"):
        print(_help())
        return 0 if argv else 2
    if argv[0] == "--version":
        import fsad

        print(fsad.__version__)
        return 0
    verb = argv[0]
    if verb not in VERBS:
        return _fail("fsad", f"Expected a verb among {', '.join(VERBS)}. Received: {verb}", "fsad --help lists them.")
    if {"-h", "--help", "--helpfull"} & set(argv[1:]):
        print(_verb_help(verb))
        return 0
    usage, _, (least, most), defined = VERBS[verb]
    try:
        words, values = _parse(verb, argv)
        if len(words) < least or (most is not None and len(words) > most):
            raise flags.Error(f"Expected {usage}. Received: {' '.join(words) or 'no words'}")
        for name, *_, text in defined:
            if text.endswith("(required)") and getattr(values, name) is None:
                raise flags.Error(f"Expected --{name}, as in {usage}")
    except flags.Error as error:
        return _fail(f"fsad {verb}", error, f"fsad {verb} --help explains it.")
    from fsad import commands

    return commands.run(verb, words, values)


def _parse(verb, argv):
    values = flags.FlagValues()
    for name, kind, default, text in VERBS[verb][3]:
        if isinstance(kind, list):
            flags.DEFINE_enum(name, default, kind, text, flag_values=values)
        else:
            _DEFINE[kind](name, default, text, flag_values=values)
    return values(argv)[1:], values


def _fail(who, what, hint):
    print(f"{who}: {what}\n{hint}", file=sys.stderr)
    return 2


def _help():
    lines = [textwrap.fill(SUMMARY, 100), ""]
    for usage, summary, *_ in VERBS.values():
        lines += [f"  {usage}", textwrap.fill(summary.split(". ")[0].rstrip(".") + ".", 100, initial_indent=" " * 6,
                                               subsequent_indent=" " * 6)]  # fmt: skip
    return "\n".join([*lines, "", "fsad VERB --help explains a verb and lists its flags."])


def _verb_help(verb):
    usage, summary, _, defined = VERBS[verb]
    lines = [usage, "", textwrap.fill(summary, 100)]
    if defined:
        lines += ["", "Flags:"]
    for name, kind, default, text in defined:
        kind = "|".join(kind) if isinstance(kind, list) else _SHOWN[kind]
        shown = "" if default in (None, False) else f" (default {default})"
        lines += [f"  --{name}" + (f"={kind}" if kind else ""),
                  textwrap.fill(text + shown, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)]  # fmt: skip
    return "\n".join(lines)
