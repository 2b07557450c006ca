"""A look into an ONNX file, without the package ``onnx``, for what is more than arithmetic.

The standard operators compute and do nothing else. Refused is what could do more or never end: tensors that lie in
other files, operators of other vendors, functions of the file's own, and graphs within nodes, as of loops. Numbers are
those of ``onnx.proto`` (github.com/onnx/onnx).
"""

_GRAPH, _FUNCTIONS = 7, 25  # of a model
_NODE, _INITIALIZER = 1, 5  # of a graph
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of a node
_TENSOR, _GRAPHS, _TENSORS = 5, (6, 11), 10  # of an attribute
_EXTERNAL, _LOCATION = 13, 14  # of a tensor
_VARINT, _LONG, _BYTES, _SHORT = 0, 1, 2, 5  # how a field is written


def check(data):
    """Raises ValueError for the bytes of an ONNX file with more in it than arithmetic, or of another file."""
    graphs = 0
    for field, model_part in _fields(memoryview(data)):
        if field == _FUNCTIONS:
            raise ValueError("expected a graph of standard operators. Received: functions of its own")
        if field == _GRAPH:
            graphs += 1
            for number, value in _fields(_message(model_part)):
                if number == _NODE:
                    _check_node(_message(value))
                elif number == _INITIALIZER:
                    _check_tensor(_message(value))
    if graphs != 1:
        raise ValueError(f"expected an ONNX file of one graph. Received: {graphs}")


def _check_node(node):
    operator = domain = ""
    for number, value in _fields(node):
        if number == _OPERATOR:
            operator = bytes(_message(value)).decode()
        elif number == _DOMAIN:
            domain = bytes(_message(value)).decode()
        elif number == _ATTRIBUTE:
            for inner, content in _fields(_message(value)):
                if inner in _GRAPHS:
                    raise ValueError(
                        "expected a graph without others in it. Received: a node with a graph, as of a loop"
                    )
                if inner in (_TENSOR, _TENSORS):
                    _check_tensor(_message(content))
    if domain not in ("", "ai.onnx"):
        raise ValueError(f"expected standard operators. Received: {domain}.{operator}")


def _check_tensor(tensor):
    for number, value in _fields(tensor):
        if number == _EXTERNAL or (number == _LOCATION and value):
            raise ValueError("expected all numbers in the file. Received: a tensor that lies in another one")


def _message(value):
    if not isinstance(value, memoryview):
        raise ValueError("expected an ONNX file. Received: a number in place of a message")
    return value


def _fields(data):
    """Yields ``(number, value)`` of each field of a protocol buffer: an int, or the bytes as they lie."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
        elif kind in (_BYTES, _LONG, _SHORT):
            size, place = _varint(data, place) if kind == _BYTES else (8 if kind == _LONG else 4, place)
            value, place = data[place : place + size], place + size
            if place > len(data):
                raise ValueError("expected an ONNX file. Received: one that ends early")
        else:
            raise ValueError("expected an ONNX file. Received: another one")
        yield number, value


def _varint(data, place):
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("expected an ONNX file. Received: one that ends early")
        byte, place = data[place], place + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("expected an ONNX file. Received: another one")
