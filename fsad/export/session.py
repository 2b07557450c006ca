"""An ONNX graph as a function, by ONNX Runtime; imports no TensorFlow."""

import functools
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fsad.files import FsadError
from fsad.images import batch_for


class GraphError(FsadError, RuntimeError):
    """A saved graph that cannot be computed, or that gives no score for each image."""


def of(graph):
    """The bytes of an ONNX file as a function of uint8 images ``(n, height, width, 3)`` that returns a dict of arrays,
    as `fsad.Detector.scorer`; None where ONNX Runtime is not installed.

    One image is computed by all `cores`; of several each has a core of its own, which leaves none waiting for the
    others at the end of every layer (`experiments.benchmarks.pipeline`).

    Raises:
        GraphError: it is no graph that can be computed; so does the function.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    limit = cores()
    together = _Session(graph, limit)
    alone = functools.cache(lambda: together if limit == 1 else _Session(graph, 1))

    def function(images):
        workers = batch_for(images.shape[1:3], min(len(images), limit or os.cpu_count()))
        if len(images) < 2 or (workers < 2 and limit != 1):
            return together(images)
        one = alone()
        with ThreadPoolExecutor(workers) as pool:
            outputs = list(pool.map(lambda image: one(image[None]), images))
        return {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}

    return function


def cores():
    """How many cores this process may use: ``OMP_NUM_THREADS``, which Ray, Spark and Slurm set for their workers, so
    that those of one machine do not take each other's; 0 for all."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() else 0


class _Session:
    def __init__(self, graph, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # 0: one for each core
        # Threads that wait for work in a loop take the cores from those that read the next images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            self.names = [output.name for output in self.session.get_outputs()]
            (self.input,) = [port.name for port in self.session.get_inputs()]
        except Exception as error:  # its errors have no class in common
            raise _bad(error) from error

    def __call__(self, images):
        try:
            outputs = dict(zip(self.names, self.session.run(self.names, {self.input: images}), strict=True))
        except Exception as error:
            raise _bad(error) from error
        shapes = {name: value.shape for name, value in outputs.items()}
        if shapes.get("score") != (len(images),):
            raise GraphError(f"Expected a score for each of {len(images)} images. Received: {shapes}")
        return outputs


def _bad(error):
    reason = (str(error) or type(error).__name__).strip().splitlines()[0][:200]
    return GraphError(f"Expected a graph that scores images. Received: {reason}")
