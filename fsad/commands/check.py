"""Looks at your images before you fit.

Counts, sizes, unreadable files, the same image twice or in train and test, labels that look wrong. The exit status is 1
if something should be fixed first.
"""

from pathlib import Path

from fsad.commands import arguments, shared


def add_arguments(parser):
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="a folder of images; with good/ and defect/ in it, or in the layout of MVTec AD, labels are checked, too",
    )
    arguments.add_group_pattern(parser)


def run(options):
    if not Path(options.folder).is_dir():
        raise FileNotFoundError(f"{options.folder}: expected a folder of images. Received: no such folder")
    with shared.quiet():
        from fsad import checks
    folder_report = checks.check(options.folder, group_pattern=options.group_pattern)
    print(folder_report.text())
    return int(folder_report.bad)
