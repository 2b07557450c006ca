"""`make torture`: attacks on fsad, each in processes of its own, and what became of them.

    python -m experiments.torture                     # an hour on two cores; interrupted, it goes on where it was
    python -m experiments.torture --quick             # a minute: a few cases of each, no page
    python -m experiments.torture --only=images,kills-events --fresh

What you will see: a line for each attack: how many cases, and how they ended. Unless quick, it writes docs/reliability.md
and results/torture.json: what was tried, what happened, what must happen, and which trusted system does the same.
Expected: no failure; the exit status is 1 if there is one.
"""

import collections
import json
import logging
import os
import sys
import tempfile
import time

from absl import app, flags
from tqdm import tqdm

from experiments.torture import Workshop, images, kills, places, races

flags.DEFINE_bool("quick", False, "a few cases of each attack, in about a minute; writes nothing")
flags.DEFINE_list("only", [], "names of attacks; all if none is given")
flags.DEFINE_bool("fresh", False, "try all cases again, also those that an earlier run tried")
flags.DEFINE_float("minutes", 0, "stop after so many minutes; the page says how far it came. 0: no limit")
FLAGS = flags.FLAGS
ATTACKS = (*images.ATTACKS, *kills.ATTACKS, *places.ATTACKS, *races.ATTACKS)


def main(_):
    names = [attack.name for attack in ATTACKS]
    if unknown := set(FLAGS.only) - set(names):
        raise app.UsageError(f"Expected --only among {', '.join(names)}. Received: {', '.join(sorted(unknown))}")
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
        workshop = Workshop(root)
        for attack in ATTACKS:
            if (FLAGS.only and attack.name not in FLAGS.only) or (FLAGS.quick and attack.slow):
                continue
            begun = time.monotonic()
            counts, failures = collections.Counter(), []
            cases = attack.cases(workshop, FLAGS.quick)
            for case in tqdm(cases, desc=attack.name, unit="case", leave=False, disable=None):
                outcome = attack.attempt(workshop, case)
                counts.update(outcome.counts)
                failures += outcome.failures
            print(f"{attack.name}: {len(cases)} cases, {dict(counts)}, {time.monotonic() - begun:.0f} s")
            for f in failures:
                print("   FAILED", f)


if __name__ == "__main__":
    app.run(main)
