import keras
import numpy as np
import tensorflow as tf

from fsad.optimizers import FusedAdam


def test_fused_adam_is_adam(rng):
    start, gradients = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(5, 4, 3)).astype(np.float32)
    ends = []
    for optimizer in (FusedAdam(0.1, global_clipnorm=1.0), keras.optimizers.Adam(0.1, global_clipnorm=1.0)):
        weights = keras.Variable(start)
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)], [weights])
        ends.append(weights.numpy())
        assert int(optimizer.iterations) == 5
    assert np.allclose(*ends, atol=1e-6) and not np.allclose(ends[0], start, atol=0.1)
