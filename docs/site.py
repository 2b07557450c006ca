"""Builds the documentation site: the README, the pages of docs/, tables and results, notebooks, a gallery, the API.

    make docs      # two minutes; then open docs/site/index.html, which needs no network

What you will see: the site in docs/site, with a search and with the docstring of every public function. A link that
leads nowhere is an error.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "docs" / "site"
PAGES = {
    "Scoring": "docs/scoring.md",
    "Deployment": "docs/line.md",
    "Speed": "docs/speed.md",
    "Reliability": "docs/reliability.md",
    "At scale": "docs/scale.md",
    "Papers": "docs/papers.md",
    "Fidelity": "docs/fidelity.md",
    "Tables": "experiments/README.md",
    "Library": "docs/library.md",
    "Extending": "docs/extend.md",
    "Architecture": "docs/architecture.md",
    "Contributing": "CONTRIBUTING.md",
    "Changes": "CHANGES.md",
}
CAPTIONS = {  # of figures, by how their files begin
    "explain_metal": "fsad explain: image, anomaly map, overlay, nearest reference image (synthetic metal)",
    "explanations_": "Explanation methods side by side (synthetic images)",
    "livieris": "Paper L: factual and counterfactual Grad-CAM of a pair, box and crop (synthetic flowers)",
    "senarathna_figure": "Paper S: pixel saliency of one image of each defect (synthetic images)",
    "senarathna": "Paper S: confusion matrices and ROC curves",
    "takimoto": "Paper T: attention maps (synthetic images)",
    "benchmark": "Benchmarks",
    "study": "Ablations",
}
THEME = {
    "name": "material",
    "font": False,  # the fonts of the machine: no network
    "features": ["navigation.top", "search.highlight", "content.code.copy"],
    "palette": [
        {"media": "(prefers-color-scheme: light)", "scheme": "default", "primary": "indigo"},
        {"media": "(prefers-color-scheme: dark)", "scheme": "slate", "primary": "indigo"},
    ],
}
PYTHON = {
    "paths": [str(ROOT)],
    "options": {"docstring_style": "google", "show_source": False, "heading_level": 2, "show_root_heading": True},
}


def stage(folder):
    """Copies what the site shows, as it lies in the repository, and writes gallery and API pages; returns the nav."""
    shutil.copy(ROOT / "README.md", folder / "index.md")
    pages = {title: page for title, page in PAGES.items() if (ROOT / page).exists()}
    for path in [ROOT / page for page in pages.values()] + [*ROOT.glob("experiments/results/*")]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    sources = [
        *ROOT.glob("fsad/**/*.py"),
        *ROOT.glob("experiments/**/*.py"),
        *ROOT.glob("examples/*"),
        ROOT / "Makefile",
    ]
    for path in sources:  # which pages point to
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    notebooks = sorted(ROOT.glob("notebooks/*.ipynb"))
    convert = [sys.executable, "-m", "nbconvert", "--to", "markdown", "--log-level=ERROR", "--output-dir"]
    subprocess.run([*convert, folder / "notebooks", *notebooks], check=True)
    for page in folder.rglob("*.md"):
        text = page.read_text().replace("../README.md", "../index.md")
        page.write_text(re.sub(r"(\]\([^)\s]*)\.ipynb\)", r"\1.md)", text))
    (folder / "gallery.md").write_text(gallery())
    titles = [(re.sub(r"^\d_", "", path.stem).replace("_", " ").capitalize(), path.stem) for path in notebooks]
    results = sorted((folder / "experiments" / "results").glob("*.md"))
    return [
        {"Home": "index.md"},
        {"Notebooks": [{title: f"notebooks/{stem}.md"} for title, stem in titles]},
        {"Gallery": "gallery.md"},
        *({title: page} for title, page in pages.items()),
        {"Results": [f"experiments/results/{page.name}" for page in results]},
        {"Reference": reference(folder / "reference")},
    ]


def gallery():
    """Every committed figure, with what it shows and the page it belongs to."""
    lines, shown = ["# Gallery", "", "Every figure was written by a command of this project.", ""], set()
    names = [path.stem for path in sorted(ROOT.glob("experiments/results/*.png"))]
    pages = sorted((path.stem for path in ROOT.glob("experiments/results/*.md")), key=len, reverse=True)
    for start, caption in CAPTIONS.items():
        own = [name for name in names if name.startswith(start) and name not in shown]
        shown |= set(own)
        if own:
            lines += [f"## {caption}", ""]
        for name in own:
            lines += [f"![{name.replace('_', ' ')}](experiments/results/{name}.png)", ""]
            if page := next((page for page in pages if name.startswith(page)), None):
                lines += [f"[Data and numbers](experiments/results/{page}.md)", ""]
    return "\n".join(lines)


def reference(folder):
    """A page for each public module; returns their entries of the nav."""
    folder.mkdir()
    entries = []
    for path in sorted(ROOT.glob("fsad/**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if any(part.startswith("_") for part in parts):
            continue
        name = ".".join(parts)
        (folder / f"{name}.md").write_text(f"# {name}\n\n::: {name}\n    options:\n      show_root_heading: false\n")
        entries.append({name: f"reference/{name}.md"})
    return entries


def main():
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "pages"
        folder.mkdir()
        config = {
            "site_name": "fsad",
            "site_description": "Explainable few-shot anomaly detection with Siamese networks",
            "docs_dir": str(folder),
            "site_dir": str(SITE),
            "theme": THEME,
            "use_directory_urls": False,  # pages open as files
            "plugins": ["search", "offline", {"mkdocstrings": {"handlers": {"python": PYTHON}}}],
            "markdown_extensions": ["tables", "fenced_code", "attr_list", "pymdownx.highlight", "pymdownx.superfences"],
            "validation": {"links": {"not_found": "warn", "anchors": "warn", "unrecognized_links": "ignore"}},
            "nav": stage(folder),
        }
        path = Path(root) / "mkdocs.yml"
        path.write_text(yaml.safe_dump(config))
        subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", path], check=True)
    shutil.copy(ROOT / "docs" / "worker.js", SITE / "assets" / "worker.js")
    for page in SITE.rglob("*.html"):  # the theme would load what its search needs offline from the network
        above = "../" * (len(page.relative_to(SITE).parts) - 1)
        page.write_text(page.read_text().replace("https://unpkg.com/iframe-worker/shim", f"{above}assets/worker.js"))
    print(f"Written: {SITE.relative_to(ROOT)}/index.html")


if __name__ == "__main__":
    main()
