"""Counts, times and scores of a service, as Prometheus reads them."""

import numpy as np
import prometheus_client as prometheus

from fsad import drift

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # of the histogram
GAUGES = (
    ("threshold", "Threshold of scores", ()),
    ("score", "Quantiles of the latest scores", ("quantile",)),
    ("waiting_images", "Images that wait to be scored", ()),
    ("drift", "1 if the images were noticed to differ from those of the fit", ("change",)),
    ("learned", "Entries of the journal", ()),
)
CHANGES = (*(word for words in drift.WORDS.values() for word in words), drift.SCORES)


class Metrics:
    """The metrics of one application, so that two of them in one process do not mix.

    Args:
        workers: dict of names and `fsad.serve.worker.Worker`.
    """

    def __init__(self, workers):
        self.workers, self.registry = workers, prometheus.CollectorRegistry()
        own = {"registry": self.registry}
        self.images = prometheus.Counter("fsad_images", "Images scored", ["detector", "verdict"], **own)
        self.errors = prometheus.Counter("fsad_unreadable_images", "Images that could not be read", ["detector"], **own)
        self.seconds = prometheus.Histogram(
            "fsad_request_seconds", "Time of a request", ["detector"], buckets=SECONDS, **own
        )
        self.gauges = {
            name: prometheus.Gauge(f"fsad_{name}", text, ["detector", *labels], **own) for name, text, labels in GAUGES
        }

    def count(self, name, predictions, errors):
        """Counts the predictions of a request, and its images that could not be read."""
        self.errors.labels(name).inc(errors)
        for prediction in (p for p in predictions if not p.error):
            self.images.labels(name, prediction.verdict).inc()

    def text(self):
        """All of it, in Prometheus' format, bytes."""
        for name, worker in self.workers.items():
            self.gauges["threshold"].labels(name).set(worker.detector.threshold.value)
            self.gauges["waiting_images"].labels(name).set(worker.waiting)
            self.gauges["learned"].labels(name).set(len(worker.detector.fitted.journal))
            for change in CHANGES:
                self.gauges["drift"].labels(name, change).set(change in worker.monitor.first)
            if latest := list(worker.monitor.latest):
                for quantile in (0.25, 0.5, 0.75):
                    score = np.quantile([row[-1] for row in latest], quantile)
                    self.gauges["score"].labels(name, f"{quantile:g}").set(score)
        return prometheus.generate_latest(self.registry)
