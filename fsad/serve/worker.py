"""A detector that many ask at once: one thread scores what waits in batches; what it learned takes over when ready."""

import concurrent.futures
import contextlib
import copy
import logging
import queue
import threading

import numpy as np

from fsad import drift, regions, report, storage
from fsad.detector import load
from fsad.files import FsadError
from fsad.inputs import Sample
from fsad.scorer import BATCH, MAX_HELD

log = logging.getLogger(__name__)

MAX_WAITING = 64  # images that are decoded, wait or are scored,
MAX_WAITING_PIXELS = 400_000_000  # and pixels of them: 1.2 GB
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
        waiting: how many images are being worked on.
    """

    def __init__(self, detector, prepare=lambda detector: detector):
        self._prepare, self._learning = prepare, threading.Lock()
        self._count, self._jobs, self.waiting, self._pixels = threading.Lock(), queue.SimpleQueue(), 0, 0
        self._saved, self._version = detector, _version(detector)
        self._take(detector)
        threading.Thread(target=self._run, daemon=True).start()

    @contextlib.contextmanager
    def room(self, pixels):
        """Reserves room for images of so many pixels each, a list, from before they are decoded until they are
        answered.

        Raises:
            BusyError: more than `MAX_WAITING` images or `MAX_WAITING_PIXELS` would wait.
        """
        with self._count:
            if self.waiting and (
                self.waiting + len(pixels) > MAX_WAITING or self._pixels + sum(pixels) > MAX_WAITING_PIXELS
            ):
                raise BusyError(f"Expected at most {MAX_WAITING} images, or fewer large ones, to wait. Received: more")
            self.waiting, self._pixels = self.waiting + len(pixels), self._pixels + sum(pixels)
        try:
            yield
        finally:
            with self._count:
                self.waiting, self._pixels = self.waiting - len(pixels), self._pixels - sum(pixels)

    def submit(self, images):
        """Scores uint8 RGB images ``(H, W, 3)``; a future of the detector, their predictions, with details, and for
        each what has drifted."""
        future = concurrent.futures.Future()
        self._jobs.put((images, future))
        return future

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
            folder = self._saved.folder
            if _version(self._saved) != self._version:  # somebody else changed it, as fsad threshold does
                self._saved = load(folder)
            changed = copy.copy(self._saved)
            entry = change(changed)
            changed.save(folder)
            self._saved, self._version = changed, _version(changed)
            # What was loaded has a graph to score by; what was saved has the network that it learns with.
            self._take(load(folder))
        return entry

    def _take(self, saved):
        try:
            detector = self._prepare(saved)
        except FsadError as error:
            log.warning("%s", error)
            detector = saved
        detector.scorer(np.zeros((1, *detector.size, 3), np.uint8))  # compiled before anybody waits for it
        self.detector, self.monitor = detector, drift.monitor_of(saved.fitted)

    def _run(self):
        waiting = None
        while True:
            waiting = self._batch(waiting or self._jobs.get())

    def _batch(self, job):
        """Scores a job, and those that wait, up to a batch; returns one that was too much, or None."""
        jobs, more = [job], None
        while sum(len(images) for images, _ in jobs) < BATCH:
            try:
                more = self._jobs.get_nowait()
            except queue.Empty:
                break
            if sum(image.size // 3 for images, _ in (*jobs, more) for image in images) > MAX_HELD:
                break
            jobs.append(more)
            more = None
        jobs = [(images, future) for images, future in jobs if future.set_running_or_notify_cancel()]
        detector, monitor = self.detector, self.monitor
        samples = [Sample(image) for images, _ in jobs for image in images]
        try:
            predictions = list(detector.stream(samples, details=True))
            changes = [[] if p.error else monitor.see(p) for p in predictions]
        except BaseException as error:
            for _, future in jobs:
                future.set_exception(error)
            return more
        start = 0
        for images, future in jobs:
            own = slice(start, start + len(images))
            future.set_result((detector, predictions[own], changes[own]))
            start += len(images)
        return more


def _version(detector):
    """Which version of a detector its folder holds; None where it was never saved."""
    return None if detector.folder is None else storage.read_note(detector.folder)["sha256"]


def described(detector, prediction, changes, images=False):
    """A prediction as JSON values; with ``images``, small copies of the image and of its map, as data URLs."""
    if prediction.error:
        return {"error": prediction.error}
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
