"""Six numbers of an image, the mean and deviation of R, G and B, and a logistic regression: the simplest rule there is.

No paper's; what it reaches, a data set gives away without anyone looking at the part.
"""

import numpy as np

from fsad import colours


def scores(shots, weights, rng):
    support = [*shots.anchors, *shots.good, *shots.defective]
    known, tested = (np.array([colours.colours(s.read()) for s in samples]) for samples in (support, shots.test))
    return colours.rule().fit(known, [s.label for s in support]).decision_function(tested)
