"""`make torture`: attacks on fsad, each in processes of its own, and what became of them.

    python -m experiments.torture                     # an hour on two cores; interrupted, it goes on where it was
    python -m experiments.torture --quick             # a minute: a few cases of each, no page
    python -m experiments.torture --only=images,kills-events --fresh

What you will see: a line for each attack: how many cases, and how they ended. Unless quick, it writes
docs/reliability.md and results/torture.json: what was tried, what happened, what must happen, and which trusted system
does the same. Expected: no failure; the exit status is 1 if there is one.
"""

import collections
import datetime
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from tqdm import tqdm

import fsad
from experiments.page import machine
from experiments.torture import (
    Outcome,
    Workshop,
    hostile,
    images,
    kills,
    load,
    names,
    places,
    races,
    server,
    tables,
    values,
)
from fsad.files import atomic_file

flags.DEFINE_bool("quick", False, "a few cases of each attack, in about a minute; writes nothing")
flags.DEFINE_list("only", [], "names of attacks; all if none is given")
flags.DEFINE_bool("fresh", False, "try all cases again, also those that an earlier run of the same code tried")
flags.DEFINE_float("minutes", 0, "try no further case of an attack after so many minutes of it; 0: no limit")
FLAGS = flags.FLAGS
MODULES = (images, values, places, names, kills, tables, races, hostile, server, load)
ATTACKS = tuple(attack for module in MODULES for attack in module.ATTACKS)
ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "experiments" / "results" / "torture.json", ROOT / "docs" / "reliability.md"
CACHE = ROOT / "experiments" / ".cache" / "torture"
SHOWN = 12  # kinds of outcome in a cell; of more, the sums by what happened, and a table of their own below


def code(attack):
    """A digest of the code that is attacked and that attacks; outcomes by another are not those of this code."""
    digest, own = hashlib.sha256(), Path(sys.modules[attack.attempt.__module__].__file__)
    files = sorted(own.parent.glob("*.py")) if own.name == "__init__.py" else [own]
    for path in [*sorted((ROOT / "fsad").rglob("*.py")), Path(__file__).with_name("__init__.py"), *files]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def tried(attack, workshop, log):
    """The outcomes of an attack's cases by name; those in the file ``log`` are not tried again."""
    known = {}
    if log and log.exists() and not FLAGS.fresh:
        lines = log.read_text().splitlines(keepends=True)
        known = {case: Outcome(*outcome) for case, *outcome in (json.loads(x) for x in lines if x.endswith("\n"))}
    cases, begun = attack.cases(workshop, FLAGS.quick), time.monotonic()
    left = [case for case in cases if case not in known]
    for case in tqdm(left, desc=attack.name, unit="case", leave=False, disable=None):
        if FLAGS.minutes and time.monotonic() - begun > 60 * FLAGS.minutes:
            break
        try:
            outcome = attack.attempt(workshop, case)
        except Exception as error:  # of the attack itself: a case that says nothing is no case that held
            outcome = Outcome({"not tried": 1}, [f"{case} could not be tried: {type(error).__name__}: {error}"])
        known[case] = outcome
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "a") as file:
                file.write(json.dumps([case, *outcome]) + "\n")
    return {case: known[case] for case in cases if case in known}, len(cases)


def row(attack, outcomes, planned, seconds):
    """What the JSON holds of an attack."""
    counts, failures = collections.Counter(), []
    for outcome in outcomes.values():
        counts.update(outcome.counts)
        failures += outcome.failures
    return {
        "name": attack.name, "what": attack.what, "expected": attack.expected, "reference": attack.reference,
        "cases": len(outcomes), "planned": planned, "counts": dict(counts.most_common()), "failures": failures,
        "seconds": round(seconds), "date": datetime.date.today().isoformat(), "code": code(attack),
    }  # fmt: skip


def page(rows):
    """docs/reliability.md: the rows as they were measured, those of other code or not tried said to be so."""
    lines = []
    for attack in ATTACKS:
        line = rows.get(attack.name)
        if line is None:
            state = f"not tried yet: `python -m experiments.torture --only={attack.name}`"
        else:
            said = "; ".join(f"{n:,} {text}" for text, n in in_short(line["counts"]).items())
            state = ("**held**: " if not line["failures"] else f"**{len(line['failures'])} failures**: ") + said
            if line["cases"] < line["planned"]:
                state += f" ({line['cases']} of {line['planned']} cases; the same command tries the others)"
            if line["code"] != code(attack):
                state += f" †{line['date']}"
        cells = (f"`{attack.name}`", attack.what, state, attack.expected, attack.reference)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    failures = [f"- `{name}`: {text}" for name, line in rows.items() for text in line["failures"][:20]]
    table = "\n".join(["| | tried | result | must be | reference system |", "| --- " * 5 + "|", *lines])
    return (
        INTRODUCTION.format(version=fsad.__version__, machine=machine())
        + f"\n{table}\n"
        + (f"\n{CHANGED}\n" if "†" in table else "")
        + ("\n## Failures\n\n" + "\n".join(failures) + "\n" if failures else "")
        + "".join(
            f"\n## `{name}` in detail\n\n{in_full(line['counts'])}\n"
            for name, line in rows.items()
            if many(line["counts"])
        )
        + f"\n{UNKNOWABLE}\n{FOUND}"
    )


def many(counts):
    """Whether there are too many kinds of outcome for a cell, and of what happened only a few."""
    return len(counts) > SHOWN and len(set(map(happened, counts))) <= SHOWN // 2


def happened(text):
    return text.rpartition(": ")[2]


def in_short(counts):
    """The counts, or if there are too many for a cell their sums by what happened."""
    if not many(counts):
        return counts
    sums = collections.Counter()
    for text, count in counts.items():
        sums[happened(text)] += count
    return dict(sums.most_common())


def in_full(counts):
    """A Markdown table of the counts: a line for each of what, a column for each that happened."""
    columns = list(in_short(counts))
    lines = ["| | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    for of in sorted({text.rpartition(": ")[0] for text in counts}):
        cells = [f"{counts.get(f'{of}: {column}', 0):,}" for column in columns]
        lines.append(f"| {of} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


INTRODUCTION = """# Hard to break

Written by `make torture` (`python -m experiments.torture`): attacks on fsad {version}, each in processes of its own, on
{machine}, and what became of them. Each row was tried by that command; counts are of what it tried. `make torture
ARGS=--quick` tries a few cases of each in a minute, in continuous integration, too.
"""
CHANGED = "† By the code of that day; something in fsad or in the attack has changed since."
UNKNOWABLE = """## What cannot be known

- A BMP, a WebP, and a TIFF without compression or with LZW, carry no checksum: a changed byte is another image, and
  it is scored. Use PNG or zlib-compressed TIFF where files may be damaged on their way.
- A JPEG has no checksum either. Those whose codes do not come out even are refused; of those that do come out even, the
  row `images` counts how many were accepted with changed pixels.
- Channels in another order (BGR) or values in another range are an image like others once they are uint8. The drift of
  colours says so after a dozen images; one image cannot tell.
- Hashes find damage, not malice: who can write a detector's folder can move its threshold. What the folder cannot do is
  run code, open other files or reach the network. It can ask for much memory or time.
"""
MENDED = (  # what the attacks found, and the test that keeps it mended
    ("the network of a detector was built from its own configuration, which could name layers that run code",
     "test_own.py::test_what_could_run_is_not_built"),
    ("detectors with other weights or settings than their recipe makes were built",
     "test_storage.py::test_settings_and_weights_that_are_not_the_recipe_s_are_refused"),
    ("a threshold, reference or number of `detector.json` that is NaN made every image good",
     "test_storage.py::test_numbers_that_are_none_are_refused"),
    ("a score that is NaN was a verdict", "test_scorer.py::test_a_score_that_is_no_number_is_an_error"),
    ("a refused export destroyed the earlier one",
     "test_export.py::test_an_export_that_scores_otherwise_is_refused_and_the_earlier_one_stays"),
    ("a training image that was damaged after the fit stopped export and scoring",
     "test_export.py::test_damaged_changed_and_missing_training_files_do_not_matter"),
    ("two runs wrote one temporary file, which followed links",
     "test_files.py::test_two_that_write_one_file_do_not_mix"),
    ("an output that is a device was replaced by a file", "test_files.py::test_what_is_no_file_is_written_straight"),
    ("for a moment during a save there was no detector, or a damaged one",
     "test_files.py::test_readers_always_meet_a_whole_folder"),
    ("temporary folders of killed runs stayed for good",
     "test_files.py::test_the_next_run_clears_what_a_killed_one_left"),
    ("large images were read ahead without a bound on memory",
     "test_inputs.py::test_prefetch_keeps_to_its_budget"),
    ("line breaks in file names broke the CSV, names with = were formulas, escape codes reached the terminal",
     "test_commands.py::test_names_break_no_line_steer_no_terminal_and_are_no_formula"),
    ("a note nested without end was a traceback", "test_storage.py::test_a_note_that_is_nested_without_end_is_refused"),
    ("arrays of gigabytes were unpacked before they were refused",
     "test_storage.py::test_references_that_are_no_numbers_or_too_many_are_refused"),
    ("an output path that cannot be written was noticed after the fit",
     "test_commands.py::test_what_cannot_be_written_is_known_before_the_fit"),
    ("a fit with 2,000 images took 4.2 GB: images were copied, and constants at each pass of a converter",
     "test_export.py::test_a_graph_has_references_and_weights_once"),
    ("JPEGs damaged inside were judged: libjpeg warns of them, and Pillow drops the warnings",
     "test_damage.py::test_jpegs_whose_codes_do_not_come_out_even_are_refused"),
    ("PNGs were read in part, whatever the checksums of their chunks",
     "test_damage.py::test_each_chunk_of_a_png_is_checked"),
    ("TIFFs without strips for all rows were read as rows of zeros",
     "test_damage.py::test_tiffs_with_rows_that_are_nowhere_are_refused"),
    ("the checksum of zlib's streams in TIFFs was not read",
     "test_damage.py::test_a_zlib_stream_of_other_values_is_known_by_its_checksum"),
    ("a pipe among the images was waited for without end",
     "test_images.py::test_pipes_and_devices_are_refused_and_never_waited_for"),
    ("two runs of `fsad watch` with one file of results scored and moved images twice, until one of them died",
     "test_watching.py::test_a_second_run_is_refused_while_the_first_one_is_there"),
    ("detectors of one seed and one set of images differed in the order of their graph and note",
     "test_detector.py::test_a_detector_of_the_same_images_and_seed_is_the_same_but_for_the_time"),
    ("nobody looked into a saved graph: loops without end, tensors in other files",
     "test_graph_file.py::test_loops_functions_and_foreign_operators_are_refused"),
    ("a saved graph that cannot be computed ended in a traceback",
     "test_session.py::test_what_is_no_graph_of_images_is_an_error"),
    ("a note that does not fit its arrays ended in a traceback",
     "test_storage.py::test_notes_that_do_not_fit_their_arrays_are_refused"),
    ("int8 exports were not refused however many verdicts they changed",
     "test_export.py::test_int8_is_calibrated_on_training_images_and_checked_on_the_given"),
    ("an image that cannot be read stopped the check of an export", "test_export.py::test_images_to_check_on"),
    ("a script that got into the report would have run",
     "test_report.py::test_a_script_that_got_into_the_page_does_not_run"),
    ("of two processes that save, one cleared the temporary folder that the other had made and not yet locked",
     "test_files.py::test_a_part_that_another_process_cleared_before_it_was_locked_is_made_again"),
    ("masked arrays were scored without their mask", "test_inputs.py::test_arrays"),
    ("a detector whose settings ask for more memory than there is ended in a traceback",
     "test_storage.py::test_a_network_for_which_there_is_no_memory_is_refused"),
)  # fmt: skip
FOUND = "\n".join(
    [
        "## Found and mended",
        "",
        "| defect | test, in `tests/` |",
        "| --- | --- |",
        *(f"| {defect} | `{test}` |" for defect, test in MENDED),
        "",
    ]
)


def main(_):
    names = [attack.name for attack in ATTACKS]
    if unknown := set(FLAGS.only) - set(names):
        raise app.UsageError(f"Expected --only among {', '.join(names)}. Received: {', '.join(sorted(unknown))}")
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as root:
        workshop = Workshop(root)
        for attack in ATTACKS:
            if (FLAGS.only and attack.name not in FLAGS.only) or (FLAGS.quick and attack.slow):
                continue
            begun = time.monotonic()
            log = None if FLAGS.quick else CACHE / f"{attack.name}-{code(attack)}.jsonl"
            outcomes, planned = tried(attack, workshop, log)
            line = row(attack, outcomes, planned, time.monotonic() - begun)
            failed += len(line["failures"])
            counts = ", ".join(f"{n:,} {text}" for text, n in line["counts"].items())
            print(f"{attack.name}: {len(outcomes)} of {planned} cases in {line['seconds']} s: {counts}", flush=True)
            for text in line["failures"]:
                print(f"  FAILED {text}", flush=True)
            if not FLAGS.quick:
                rows[attack.name] = line
                with atomic_file(RESULTS, "w") as file:
                    file.write(json.dumps(rows, indent=1) + "\n")
                with atomic_file(PAGE, "w") as file:
                    file.write(page(rows))
    print(f"{failed} failures" if failed else "Everything held.")
    if not FLAGS.quick:
        print(f"Written: {os.path.relpath(PAGE)}, {os.path.relpath(RESULTS)}")
    return int(failed > 0)


if __name__ == "__main__":
    app.run(main)
