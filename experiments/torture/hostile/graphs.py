"""Detectors whose graph is made to do harm."""

from experiments.torture.hostile.forged import rewritten
from experiments.torture.hostile.guard import PATH


def _graph(make):
    """Another graph, made by a function of ``onnx.helper`` and a model's parts."""

    def apply(folder):
        rewritten(folder, scorer_onnx=make().SerializeToString())

    return apply


def _model(nodes, constants=(), inputs=("images",), outputs=("score",), **more):
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.UINT8, [None, 96, 96, 3]) for name in inputs]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    more.setdefault("opset_imports", [helper.make_opsetid("", 17)])
    model = helper.make_model(helper.make_graph(nodes, "g", ports, results, list(constants)), **more)
    model.ir_version = 8
    return model


def _external(location):
    def make():
        import numpy as np
        from onnx import TensorProto, helper, numpy_helper

        constant = numpy_helper.from_array(np.ones(4, np.float32), "w")
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "16")):
            entry = constant.external_data.add()
            entry.key, entry.value = key, value
        return _model([helper.make_node("Identity", ["w"], ["score"])], [constant])

    return _graph(make)


def _node(operator, *constants, outputs=("score",), inputs=("images",), **attributes):
    def make():
        from onnx import helper, numpy_helper

        named = [numpy_helper.from_array(value, f"c{k}") for k, value in enumerate(constants)]
        given = [*inputs, *(c.name for c in named)]
        return _model([helper.make_node(operator, given, list(outputs), **attributes)], named)

    return _graph(make)


def _loop():
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [info("i", TensorProto.INT64, []), info("c", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, [1])],
        [info("d", TensorProto.BOOL, []), info("w", TensorProto.FLOAT, [1])],
    )
    constants = [numpy_helper.from_array(np.array(True), "yes"), numpy_helper.from_array(np.ones(1, np.float32), "one")]
    return _model([helper.make_node("Loop", ["", "yes", "one"], ["score"], body=body)], constants)


def _foreign():
    from onnx import helper

    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return _model([helper.make_node("QuickGelu", ["images"], ["score"], domain="com.microsoft")], opset_imports=domains)


def _numbers(value, shape=(1,)):
    """A graph whose score is always one number."""

    def make():
        import numpy as np
        from onnx import helper, numpy_helper

        constant = numpy_helper.from_array(np.full(shape, value, np.float32), "w")
        named = [numpy_helper.from_array(np.full((1, 18), value, np.float32), "p")]
        nodes = [helper.make_node("Identity", ["w"], ["score"]), helper.make_node("Identity", ["p"], ["per_reference"])]
        return _model(nodes, [constant, *named], outputs=("score", "per_reference"))

    return _graph(make)


def _huge():
    import numpy as np
    from onnx import helper, numpy_helper

    size = numpy_helper.from_array(np.array([2**45]), "s")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["b"]),
        helper.make_node("ReduceMax", ["b"], ["score"], keepdims=0),
    ]
    return _model(nodes, [size])


GRAPHS = {
    "no graph": lambda folder: rewritten(folder, scorer_onnx=b""),
    "noise": lambda folder: rewritten(folder, scorer_onnx=bytes(range(256)) * 9),
    "a script": lambda folder: rewritten(folder, scorer_onnx=b"import os; os.system('true')"),
    "numbers in another file": _external(PATH),
    "numbers in a file above": _external(f"../../../../../..{PATH}"),
    "an endless loop": _graph(_loop),
    "an operator of a vendor": _graph(_foreign),
    "an operator that is none": _node("System"),
    "a score of NaN": _numbers(float("nan")),
    "a score of infinity": _numbers(float("inf")),
    "scores of another shape": _numbers(1.0, (3, 3)),
    "two inputs": _graph(lambda: _model([], inputs=("images", "more"), outputs=())),
    "memory without end": _graph(_huge),
}
