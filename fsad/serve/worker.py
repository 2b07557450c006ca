"""A detector that many ask at once: one thread scores, what waits in batches; what it learned takes over when ready."""

import concurrent.futures
import copy
import queue
import threading

import numpy as np

from fsad import drift, regions, report
from fsad.detector import BATCH, load
from fsad.files import FsadError
from fsad.inputs import Sample

MAX_WAITING = 64  # images
SIDE = 640  # pixels, of the small copies of images


class BusyError(FsadError, RuntimeError):
    """More images wait than can be scored soon."""


class Worker:
    """Scores for one detector.

    Args:
        detector: a fitted `fsad.Detector`, saved in its ``folder``.
        prepare: a function of a detector that gives the one to score with, such as with a faster runtime.

    Attributes:
        detector: the one that scores now.
        monitor: a `fsad.drift.Monitor` of all that it scored.
    """

    def __init__(self, detector, prepare=lambda detector: detector):
        self._prepare, self._learning, self._waiting = prepare, threading.Lock(), 0
        self._count, self._jobs = threading.Lock(), queue.SimpleQueue()
        self._take(detector)
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, images):
        """Scores uint8 RGB images ``(H, W, 3)``; a future of their predictions, with details, and what has drifted.

        Raises:
            BusyError: more than `MAX_WAITING` images would wait.
        """
        with self._count:
            if self._waiting + len(images) > MAX_WAITING:
                raise BusyError(f"Expected at most {MAX_WAITING} images to wait. Received: {len(images)} more")
            self._waiting += len(images)
        future = concurrent.futures.Future()
        self._jobs.put((images, future))
        return future

    @property
    def waiting(self):
        """Images that wait to be scored, or are being scored."""
        return self._waiting

    def learn(self, good, defect, by=None):
        """Learns from samples (`fsad.Detector.learn`), saves the detector and scores by it from then on.

        Returns:
            The entry of the journal.

        Raises:
            ValueError: as `fsad.Detector.learn` does.
        """
        return self._change(lambda changed: changed.learn(good or None, defect or None, by, progress=False))

    def undo(self):
        """Forgets what it learned last; raises ValueError if there is nothing."""
        return self._change(lambda changed: changed.undo(progress=False))

    def _change(self, change):
        with self._learning:  # while the old detector goes on scoring
            changed = copy.copy(self.saved)
            entry = change(changed)
            self._take(changed, load(changed.save(self.saved.folder)))
        return entry

    def _take(self, saved, scoring=None):
        # What was loaded has a graph to score by; what was saved has the network that it learns with.
        detector = self._prepare(saved if scoring is None else scoring)
        detector.scorer(np.zeros((1, *detector.size, 3), np.uint8))  # compiled before anybody waits for it
        self.saved, self.detector, self.monitor = saved, detector, drift.monitor_of(saved.fitted)

    def _run(self):
        while True:
            jobs = [self._jobs.get()]
            while sum(len(images) for images, _ in jobs) < BATCH:
                try:
                    jobs.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            detector, monitor = self.detector, self.monitor
            samples = [Sample(image) for images, _ in jobs for image in images]
            try:
                predictions = list(detector.stream(samples, details=True))
                changes = [monitor.see(p) for p in predictions]
            except BaseException as error:
                for _, future in jobs:
                    future.set_exception(error)
            else:
                start = 0
                for images, future in jobs:
                    own = slice(start, start + len(images))
                    future.set_result((detector, predictions[own], changes[own]))
                    start += len(images)
            with self._count:
                self._waiting -= len(samples)


def described(detector, prediction, changes, images=False):
    """A prediction as JSON values; with ``images``, small copies of the image and of its map, as data URLs."""
    height, width = prediction.image.shape[:2]
    values = {
        "score": float(f"{prediction.score:.6g}"),
        "verdict": prediction.verdict,
        "confidence": float(f"{prediction.confidence:.4g}"),
        "width": width,
        "height": height,
        "regions": [
            {**regions.as_json(region), "contour": [list(point) for point in region.contour]}
            for region in prediction.regions or ()
        ],
        "drift": changes,
    }
    if images:
        values |= report.small_images(detector, prediction, SIDE)
    return values
