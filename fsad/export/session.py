"""An ONNX graph as a function, by ONNX Runtime; imports no TensorFlow."""

import importlib.util

from fsad.files import FsadError


class GraphError(FsadError, RuntimeError):
    """A saved graph that cannot be computed, or that gives no score for each image."""


def of(graph):
    """The bytes of an ONNX file as a function of uint8 images ``(n, height, width, 3)`` that returns a dict of arrays,
    as `fsad.Detector.scorer`; None where ONNX Runtime is not installed.

    Raises:
        GraphError: it is no graph that can be computed; so does the function.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    try:
        run = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        names, (image_input,) = [output.name for output in run.get_outputs()], [port.name for port in run.get_inputs()]
    except Exception as error:  # its errors have no class in common
        raise GraphError(f"Expected a graph that scores images. Received: {_first(error)}") from error

    def scorer(images):
        try:
            outputs = dict(zip(names, run.run(names, {image_input: images}), strict=True))
        except Exception as error:
            raise GraphError(f"Expected a graph that scores images. Received: {_first(error)}") from error
        shapes = {name: value.shape for name, value in outputs.items()}
        if shapes.get("score") != (len(images),):
            raise GraphError(f"Expected a score for each of {len(images)} images. Received: {shapes}")
        return outputs

    return scorer


def _first(error):
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
