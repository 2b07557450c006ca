"""An ONNX graph as a function, by ONNX Runtime; imports no TensorFlow."""

import importlib.util


def of(graph):
    """The bytes of an ONNX file as a function of uint8 images ``(n, height, width, 3)`` that returns a dict of arrays,
    as `fsad.Detector.scorer`; None where ONNX Runtime is not installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    run = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names, image_input = [output.name for output in run.get_outputs()], run.get_inputs()[0].name
    return lambda images: dict(zip(names, run.run(names, {image_input: images}), strict=True))
