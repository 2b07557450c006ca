"""The import picture of docs/architecture.md: which module imports which, layer by layer.

    python -m experiments.architecture

What you will see: ``docs/imports.svg``, drawn from the code and from the layers that setup.cfg asserts (`make lint`).
"""

import configparser
import io
from pathlib import Path

import grimp
from matplotlib import rc_context
from matplotlib.figure import Figure

from experiments import study
from fsad import storage

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "imports.svg"


def layers():
    """Modules of the contract in setup.cfg, a list of rows, the top one first."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    rows = config["importlinter:contract:layers"]["layers"].split("\n")
    return [[name.strip() for name in row.split("|")] for row in rows if row.strip()]


def imports(rows):
    """Pairs ``(importer, imported)`` of these modules; what is inside a package counts for the package."""
    names = [name for row in rows for name in row]
    graph = grimp.build_graph("fsad", "experiments", cache_dir=None)
    owner = {
        m: max((n for n in names if m == n or m.startswith(n + ".")), key=len, default=None) for m in graph.modules
    }
    found = {(owner[m], owner[other]) for m in graph.modules for other in graph.find_modules_directly_imported_by(m)}
    return sorted((a, b) for a, b in found if a and b and a != b)


def reduced(arrows):
    """Without those that lead where a longer way along other arrows leads too, which would hide the rest."""
    below = {}
    for importer, imported in arrows:
        below.setdefault(importer, set()).add(imported)

    def reach(name):
        return {name}.union(*(reach(other) for other in below.get(name, ())))

    return [(a, b) for a, b in arrows if not any(b in reach(c) for c in below[a] - {b})]


def draw(rows, arrows):
    """A figure: a row a layer, a box a module, a line an import; lines go down."""
    figure = Figure(figsize=(10, 0.75 * len(rows)), layout="constrained")
    axis = figure.subplots()
    place = {}
    for y, row in enumerate(rows):
        for k, name in enumerate(row):
            place[name] = ((k + 0.5) / len(row), -y)
    colors = ["#2563eb", "#c2410c", "#15803d", "#7c3aed", "#0e7490", "#a16207", "#be185d", "#475569"]
    for importer, imported in arrows:
        (x, y), (to_x, to_y) = place[importer], place[imported]
        color = colors[int(-y) % len(colors)]
        axis.annotate("", (to_x, to_y + 0.17), (x, y - 0.17), arrowprops={
            "arrowstyle": "-|>", "color": color,
            "alpha": 0.6, "lw": 1, "mutation_scale": 8, "shrinkA": 0, "shrinkB": 0,
        })  # fmt: skip
    for name, (x, y) in place.items():
        axis.text(x, y, name.removeprefix("fsad."), ha="center", va="center", fontsize=9,
                  bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "#334155"})  # fmt: skip
    axis.set(xlim=(0, 1), ylim=(-len(rows) + 0.5, 0.5))
    axis.axis("off")
    return figure


def main(_):
    rows = layers()
    drawn = io.BytesIO()
    with rc_context({"svg.hashsalt": "fsad", "svg.fonttype": "none", "font.family": "sans-serif"}):
        draw(rows, reduced(imports(rows))).savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    storage.write(TARGET, drawn.getvalue())
    print(f"Written: {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    study.run_main(main)
