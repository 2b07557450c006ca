"""What matching costs and what it brings: by number of references, their views, layers, and thinning.

    python -m experiments.ablations.matching --data=magnetic_tile      # 5 minutes on two cores

What you will see: the default recipe on 16 good images (up to 64 where there are so many), no defective ones, held-out
parts; AUROC, and the arithmetic of comparing one image, embedded already. Rows: 4 to 64 references, with
mirrored views and without; one, two and three layers; and 16 references of which a half to a thirtieth of the patches
stay, drawn at random, by a greedy coreset as in PatchCore (the next patch is the one farthest from those that stay), or
by density (those go first whose nearest other patch is nearest).
Expected: mirrored views are worth four times their number of patches where images are few; a coreset of a tenth costs
little accuracy, and what it saves is small beside the embedding.
"""

import keras
import numpy as np
from matplotlib.figure import Figure

from experiments import data, runner, statistics
from experiments.ablations import few
from experiments.benchmarks import limits
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from fsad import fusion, input_size, metrics, recipes, scoring, siamese

NUMBERS = (4, 8, 16, 32, 64)  # of references
VIEWS = {"mirrored": "mirrored views", "none": "as they are"}
SHARES = (0.5, 0.25, 0.1, 0.03)  # of patches
HOW = ("random", "coreset", "density")  # the patches that stay are chosen
DEFAULT = "16 references, mirrored views"
LAYERS = {
    1: ["conv_pw_9_relu"],
    2: ["conv_pw_9_relu", "conv_pw_11_relu"],
    3: ["conv_pw_7_relu", "conv_pw_9_relu", "conv_pw_11_relu"],
}

ROWS = [
    *((f"{n} references, {title}", {"count": n, "views": views}) for views, title in VIEWS.items() for n in NUMBERS),
    ("1 layer, 16 references", {"layers": 1}),
    ("3 layers, 16 references", {"layers": 3}),
    *((f"{share:.0%} of the patches, {how}", {"share": share, "how": how}) for how in HOW for share in SHARES),
]

TABLE = Table(
    name="study_matching",
    title="Matching: cost and accuracy by references, views, layers and thinning",
    columns=(
        Column("auroc", "AUROC"),
        Column("patches", "Reference patches", "{:.0f}"),
        Column("gflop", "Matching an image", "{:.2f} GFLOP"),
        Column("network", "The network before it", "{:.2f} GFLOP"),
    ),
    rows=tuple(Row(title, title, {}, draws=3) for title, _ in ROWS),
    settings={
        "data": "magnetic_tile",
        "backbone": "mobilenet",
        "weights": "imagenet",
        "anchors": 0,
        "good": 64,
        "defective": 0,
        "hold_out": None,
        "test_per_class": 60,
        "epochs": 1,
    },
    hidden_settings=("epochs", "precision"),
    notes=("Equal weights; numbers of fusion from the references alone, each held out in turn, thinned as they are.",),
)


def train(settings, on_epoch=lambda loss: None):
    """All rows on one draw, as `experiments.runner` calls it."""
    dataset = data.labelled(data.of(settings))
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    parts = len({s.group for s in dataset.samples if not s.label})
    wanted = {**settings, "good": min(settings["good"], max(16, parts // 3))}
    shots = data.shots(dataset, wanted, rng)
    good = list(shots.good)
    by_title = {}
    for count in LAYERS:
        size = input_size.keeping_aspect(good, recipes.patches.SIDE, [])
        recipe = recipes.patches.build(settings["backbone"], settings["weights"], side=size, layers=LAYERS[count])
        images, groups = few.images_of(good, recipe), np.array([s.group for s in good])
        recipe.adapt(recipe.model, images[:16])
        embeddings = scoring.embed(recipe.model, images)
        test = scoring.embed(recipe.model, few.images_of(shots.test, recipe))
        layer, _ = siamese.distance_layer(recipe.model)
        mirrored = recipe.views
        backbone, neck, _ = siamese.parts(recipe.model)
        network = 2 * sum(products for products, _ in limits.cost_of([*backbone.layers, *neck.layers])) / 1e9
        for title, row in ROWS:
            n = row.get("count", 16)
            if row.get("layers", 2) != count or n > len(good):
                continue
            views = mirrored if row.get("views", "mirrored") == "mirrored" else mirrored[:1]
            pool, owners = pooled(recipe, images[:n], embeddings[:n], groups[:n], views)
            if "share" in row:
                chosen = thinned(pool, row["how"], max(1, round(row["share"] * len(pool))), rng)
                pool, owners = pool[chosen], owners[chosen]
            by_title[title] = measured(layer, embeddings[:n], groups[:n], test, pool, owners) | {"network": network}
        keras.backend.clear_session()
    on_epoch(float("nan"))
    record = {"data": data.describe(dataset, settings), "test": data.test_fields(shots.test, dataset)}
    return {**record, "rows": by_title}, {}


def pooled(recipe, images, embeddings, groups, views):
    """Reference patches ``(P, C)`` of all layers, and the group that each is of."""
    recipe.views = views
    references = scoring.embed_references(recipe, images, embeddings)
    owners = np.repeat(np.repeat(groups, len(views)), references.shape[1] * references.shape[2])
    return references.reshape(-1, references.shape[-1]), owners


def measured(layer, good, groups, test, pool, owners):
    """Scores, patches and arithmetic of one row."""
    held_out = [distances(layer, one, pool[owners != group]) for one, group in zip(good, groups, strict=True)]
    held_out = np.asarray(layer._cells(np.stack(held_out)))
    layer.adapt(*fusion.fit(layer, held_out, held_out[:0], groups)[0])
    maps = np.stack([distances(layer, one, pool) for one in test])
    scores = np.asarray(layer.score(np.asarray(layer._cells(maps))))
    return {
        "scores": scores.tolist(),
        "patches": len(pool),
        "gflop": 2 * test[0].size // test[0].shape[-1] * pool.size / 1e9,
    }


def distances(layer, embedding, pool):
    """Distance of each patch of one image to the nearest one of a pool, ``(h, w, L)``."""
    ends = np.cumsum(layer.channels).tolist()
    flat, maps = embedding.reshape(-1, embedding.shape[-1]), []
    for end, size in zip(ends, layer.channels, strict=True):
        own = slice(end - size, end)
        maps.append(np.maximum(1 - (flat[:, own] @ pool[:, own].T).max(1), 0).reshape(embedding.shape[:2]))
    return np.stack(maps, -1)


def thinned(pool, how, count, rng):
    """Rows of a pool ``(P, C)`` that stay."""
    if how == "random":
        return rng.permutation(len(pool))[:count]
    if how == "density":
        nearest = np.empty(len(pool), np.float32)
        for start in range(0, len(pool), 1024):
            likeness = pool[start : start + 1024] @ pool.T
            likeness[np.arange(len(likeness)), start + np.arange(len(likeness))] = -np.inf
            nearest[start : start + 1024] = likeness.max(1)
        return np.argsort(nearest)[:count]
    chosen = np.empty(count, int)
    chosen[0], farthest = rng.integers(len(pool)), np.full(len(pool), np.inf, np.float32)
    for k in range(1, count):
        farthest = np.minimum(farthest, -(pool @ pool[chosen[k - 1]]))
        chosen[k] = int(np.argmax(farthest))
    return chosen


def report(runs):
    """Results by row; every draw has all of them."""
    results, rows = {}, by_row(runs)
    for row, records in rows:
        known = [(record["rows"][row.key], record["test"]) for record in records if row.key in record["rows"]]
        if not known:
            results[row.key] = Result({}, ("Too few good images.",))
            continue
        cells = {
            "auroc": statistics.spread([metrics.auroc(np.array(test["label"]), one["scores"]) for one, test in known]),
            **{key: statistics.spread([one[key] for one, _ in known]) for key in ("patches", "gflop", "network")},
        }
        note = f"{len(known)} draws, {len(known[0][1]['label'])} test images per draw; {records[0]['data']}."
        results[row.key] = Result(cells, (note,))
    return results, "", {"curves": curves(results)}


def curves(results):
    """AUROC over the arithmetic of matching, a curve for each way of growing or thinning the references."""
    thinned_rows = {how: [DEFAULT, *(f"{share:.0%} of the patches, {how}" for share in SHARES)] for how in HOW}
    families = {title: [f"{n} references, {title}" for n in NUMBERS] for title in VIEWS.values()} | thinned_rows
    families["layers"] = ["1 layer, 16 references", DEFAULT, "3 layers, 16 references"]
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axis = figure.subplots()
    for name, rows in families.items():
        cells = [results[row].cells for row in rows if results.get(row) and results[row].cells]
        cost, value = ([cell[key]["mean"] for cell in cells] for key in ("gflop", "auroc"))
        style = ".--" if name in HOW else "^" if name == "layers" else "o-"
        axis.errorbar(cost, value, [cell["auroc"]["sd"] or 0 for cell in cells], fmt=style, capsize=2, label=name)
    if DEFAULT in results and results[DEFAULT].cells:
        cell = results[DEFAULT].cells
        axis.plot(cell["gflop"]["mean"], cell["auroc"]["mean"], "*", color="black", ms=14, label="default", zorder=9)
    axis.set(xscale="log", xlabel="matching an image, GFLOP", ylabel="AUROC, and one standard deviation of draws")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, ncols=2)
    return figure


if __name__ == "__main__":
    runner.main(TABLE, train, report)
