"""The systems that the papers compare with or name, each one short file: ``scores(shots, weights, rng)``.

``shots`` is a `fsad.splits.Shots`, ``weights`` as in `fsad.backbones.build`; what comes back is a score ``(n,)`` of
each test image, higher for more anomalous. `experiments.baselines.table` puts them beside ours.
"""
