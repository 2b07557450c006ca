"""The rows of the table of explanations: data sets and networks."""

from experiments.page import Row

SETS = (
    ("tiles", "Magnetic tiles", {"data": "magnetic_tile"}),
    ("kolektor", "KolektorSDD", {"data": "kolektorsdd"}),
    ("metal", "Synthetic metal", {"data": "synthetic-metal"}),
    ("flowers", "Synthetic flowers", {"data": "synthetic-flowers"}),
)


SMALL_S = {"side": 64, "epochs": 10}


SMALL_T = {"position": 10, "branch_weight": 1.0, "side": 96, "epochs": 30, "learning_rate": 1e-4}


SMALL_L = {"frozen": True, "side": 128, "epochs": 30, "learning_rate": 1e-3, "batch_size": 32}


NETWORKS = (
    ("s", "paper S", {"recipe": "senarathna", "backbone": "custom_cnn", "options": SMALL_S}),
    ("t", "paper T, with branch", {"recipe": "takimoto", "options": SMALL_T}),
    ("l", "paper L", {"recipe": "livieris", "options": SMALL_L}),
    ("patches", "the default at 160 pixels", {"recipe": "patches", "options": {"side": 160}}),
    ("full", "the default", {"recipe": "patches", "methods": ["patches", "saliency"]}),
)


TITLES = {key: title for key, title, _ in NETWORKS}


# Those that can be afforded.
CHOSEN = {"tiles": TITLES, "kolektor": ("l", "full"), "metal": TITLES, "flowers": ("l",)}


ROWS = tuple(
    Row(f"{key}_{network}", f"{title}: {name}", {**place, **own})
    for key, title, place in SETS
    for network, name, own in NETWORKS
    if network in CHOSEN[key]
)
