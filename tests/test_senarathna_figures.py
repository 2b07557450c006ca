import dataclasses

import numpy as np

from experiments import senarathna_figures, senarathna_table3, study
from fsad import synthetic


def test_panel_shows_one_picture_of_each_defect_type(tmp_path):
    folder = synthetic.write(tmp_path / "synthetic-tiny", "tile", good=4, defective=1, size=64)
    paths = sorted(p.relative_to(folder).as_posix() for p in (folder / "test").rglob("*.png"))
    kinds = [p.split("/")[1] for p in paths]
    rows = [k for k, kind in enumerate(kinds) if kind != "good"]
    record = {
        "test": {"path": paths, "kind": kinds, "mean": np.linspace(0, 1, len(paths)).tolist()},
        "saliency": {"pixel_auroc": 0.71, "pictures": 7},
    }
    arrays = {"rows": np.array(rows), "maps": np.ones((len(rows), 10, 10), np.float32)}

    @dataclasses.dataclass(frozen=True)
    class Finished(study.Run):
        def load(self):
            return record, arrays

    run = Finished(senarathna_table3.TABLE.rows[0], {"data": str(folder)}, tmp_path)
    ((name, figure),) = senarathna_figures.draw(run).items()
    assert name == "senarathna_figure3_synthetic-tiny"
    assert figure.get_suptitle() == "Saliency on synthetic-tiny (synthetic pictures); pixel AUROC 0.71 over 7 pictures"
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_title(loc="left")]
    assert [t.split(":")[0] for t in titles] == list(synthetic.DEFECTS)
    assert titles[-1].endswith("different") and titles[0].endswith("same")
