"""What the figures of the three papers share: from the first draw of a table's runs to files.

Panels of synthetic pictures go to ``experiments/results``; those of other pictures to ``experiments/.cache/figures``,
which git ignores, since the pictures are not ours to publish.
"""

import os
from pathlib import Path

from experiments import data, study
from fsad import datasets, images, synthetic
from fsad.explain import overlay

LIMIT = 7


def main(table, train, check, draw):
    """Makes the first run of each row of ``table`` and writes what ``draw`` makes of it.

    Args:
        table, train, check: as in `study.main`.
        draw: run -> figures by file name without ending.
    """
    study.define_flags(table)
    study.run_main(lambda _: _main(table, train, check, draw))


def _main(table, train, check, draw):
    planned = [r for r in study.plan(table, train, check) if r.wanted and r.settings["seed"] == study.FLAGS.seed]
    runs = list({run.folder: run for run in reversed(planned)}.values())[::-1]  # rows may share a run
    if study.FLAGS.dry_run:
        for run in runs:
            print(f"{'finished' if run.finished else 'to run  '}  {run.row.title}: {run.settings['data']}")
        return
    failed = study.make(runs, train)
    for run in (run for run in runs if run.finished):
        ours = synthetic.is_synthetic(data.resolve(run.settings["data"]))
        out = Path(study.FLAGS.out) if ours else data.CACHE / "figures"
        for name, figure in draw(run).items():
            overlay.save(figure, out / f"{name}.png")
            print(f"Written: {os.path.relpath(out / name)}.png")
    if failed:
        raise SystemExit(1)


def suffix(run, table):
    """What a file name gets where the data set is not the declared one: ``_<name>``."""
    name = run.settings["data"]
    return "" if name in (table.settings.get("data"), run.row.settings.get("data")) else f"_{data.resolve(name).name}"


def of_types(run, what, scores, cut, words, area, **options):
    """The panel of one run: the first test picture of each defect type with its map.

    Args:
        run: its arrays hold ``maps`` and their ``rows`` among the test pictures.
        what: the kind of map, for the title.
        scores: of the test pictures.
        cut, words: above ``cut`` a score is called by the second word, else by the first.
        area: ``{"pixel_auroc", "pictures"}`` of the maps, or None.
        options: of `fsad.explain.overlay.panel`.
    """
    record, arrays = run.load()
    folder, test = data.resolve(run.settings["data"]), record["test"]
    masks = {s.path: s.mask for s in datasets.load(folder).samples}
    firsts = {}
    for position, row in enumerate(arrays["rows"]):
        firsts.setdefault(test["kind"][row], (position, row))
    examples = []
    for kind, (position, row) in sorted(firsts.items())[:LIMIT]:
        path = folder / test["path"][row]
        picture, mask = images.read(path), images.read_mask(masks[path]) if masks[path] else None
        title = f"{kind}: score {scores[row]:.2f}, {words[int(scores[row] > cut)]}"
        examples.append({"picture": picture, "heat": arrays["maps"][position], "mask": mask, "title": title})
    measured = f"; pixel AUROC {area['pixel_auroc']:.2f} over {area['pictures']} pictures" if area else ""
    ours = " (synthetic pictures)" if synthetic.is_synthetic(folder) else ""
    return overlay.panel(examples, f"{what} on {folder.resolve().name}{ours}{measured}", **options)
