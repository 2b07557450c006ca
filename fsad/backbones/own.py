"""A backbone that a user brings, as a description that can be saved and read again without running anybody's code."""

import keras

# Layers that compute what their numbers say: none holds a function, a path or code.
LAYERS = frozenset(
    """InputLayer Conv2D DepthwiseConv2D SeparableConv2D Conv2DTranspose Dense EinsumDense MultiHeadAttention
    BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization Normalization Rescaling
    Activation ReLU LeakyReLU PReLU ELU Softmax Dropout SpatialDropout2D GaussianDropout GaussianNoise
    MaxPooling2D AveragePooling2D GlobalMaxPooling2D GlobalAveragePooling2D ZeroPadding2D Cropping2D UpSampling2D
    Resizing Reshape Permute Flatten Identity Add Subtract Multiply Average Maximum Minimum Concatenate""".split()  # noqa: SIM905
)
NETWORKS = frozenset(["Functional", "Sequential", "Model"])
PARTS = {  # what else a description names, by module: how weights start, what holds them down, in which precision
    "keras.initializers": frozenset(name for name in dir(keras.initializers) if not name.islower()),
    "keras.regularizers": frozenset(["L1", "L2", "L1L2", "OrthogonalRegularizer"]),
    "keras.constraints": frozenset(["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"]),
    "keras": frozenset(["DTypePolicy"]),
    "keras.src.ops.numpy": frozenset(["Add", "Subtract", "Multiply", "TrueDivide"]),  # of x + 3 between layers
}
ACTIVATIONS = frozenset(name for name in dir(keras.activations) if name.islower() and name not in ("get", "serialize"))


def described(model):
    """The description of a model, JSON values, as `built` takes it; raises ValueError as it does."""
    description = keras.saving.serialize_keras_object(model)
    check(description, model.name)
    return description


def built(description):
    """The model of a description, with random weights.

    Raises:
        ValueError: it names anything but `LAYERS`, so that nothing it says is run.
    """
    check(description, "the description")
    model = keras.saving.deserialize_keras_object(description, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise ValueError(f"Expected the description of a Keras model. Received: {type(model).__name__}")
    return model


def revived(settings):
    """Settings of a recipe as they were saved, with the model of its description as ``backbone``; raises as `built`."""
    backbone = settings.get("backbone")
    return {**settings, "backbone": built(backbone)} if isinstance(backbone, dict) else dict(settings)


def check(description, name):
    """Raises ValueError if a description names anything that is not known to be harmless."""
    waiting = [(description, False)]
    while waiting:
        item, activation = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item and not _known(item):
                raise ValueError(
                    f"Expected layers of Keras only, without functions. Received: {item.get('module')}."
                    f"{item['class_name']} in {name}"
                )
            # What stands for "activation" may also be the name of a function.
            waiting += [(value, "activation" in str(key)) for key, value in item.items()]
        elif isinstance(item, list):
            waiting += [(value, False) for value in item]
        elif activation and isinstance(item, str) and item not in ACTIVATIONS:
            raise ValueError(f"Expected an activation of Keras. Received: {item!r} in {name}")


def _known(item):
    module, name, registered = item.get("module"), item["class_name"], item.get("registered_name")
    if name == "__keras_tensor__":
        return True
    if not isinstance(name, str) or registered not in (None, name):
        return False
    if name in NETWORKS:
        return module in ("keras", "keras.models", "keras.src.models.functional", "keras.src.models.sequential")
    return (module == "keras.layers" and name in LAYERS) or name in PARTS.get(module, ())
