import numpy as np

from experiments.ablations.corrections import halves
from fsad.inputs import Sample


def test_halves_share_no_part(rng):
    samples = [Sample(np.zeros((8, 8, 3), np.uint8), label=k % 2, group=k // 3, number=k) for k in range(30)]
    stream, held_out = halves(samples, rng)
    assert len(stream) == len(held_out) == 15 and len({s.number for s in stream + held_out}) == 30
    assert not {s.group for s in stream} & {s.group for s in held_out}
    assert [s.number for s in stream] != sorted(s.number for s in stream)
