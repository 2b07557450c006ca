"""A support vector machine on frozen features (Cortes and Vapnik 1995; for anomalies Andrews et al. 2016).

The pooled features of MobileNet, standardised, RBF kernel, both classes weighed alike. C = 1 and the kernel's width are
scikit-learn's.
"""

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fsad import backbones
from fsad.images import read_images


def scores(shots, weights, rng):
    backbone, _ = backbones.build("mobilenet", weights)
    side = backbone.input_shape[1]

    def pooled(samples):
        images = read_images([s.path for s in samples], side)
        return backbone.predict(images, batch_size=16, verbose=0).mean((1, 2))

    support = [*shots.anchors, *shots.good, *shots.defective]
    rule = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
    return rule.fit(pooled(support), [s.label for s in support]).decision_function(pooled(shots.test))
