"""Attention for a backbone, and the branch that trains it (Takimoto et al. 2022, tables 2 and 3).

A small network looks at the feature map after some layer and puts out a map in (0, 1) that multiplies
it; what follows sees the product. The branch takes the same network's hidden features to a second
embedding of its own, whose loss makes the map care about the task.
"""

import keras
from keras import layers

MAP, HIDDEN = "attention_map", "attention_relu"


def insert(backbone, layer):
    """Puts an attention mechanism behind a layer (table 2).

    Args:
        backbone: a functional model whose layers are not nested, as `fsad.backbones.build` makes it.
        layer: name of the layer whose output is attended to; branches that leave there see the product too.

    Returns:
        A new model with the weights of ``backbone``, and the layers of the mechanism: ``attention_1``
        to ``attention_4``, `HIDDEN` (the ReLU after the third convolution) and `MAP` ``(batch, h, w, 1)``.

    Raises:
        ValueError: no such layer, or its output is not a feature map.
    """
    names = [found.name for found in backbone.layers]
    if layer not in names:
        raise ValueError(f"Expected a layer of the backbone: {', '.join(names)}. Received: {layer!r}")
    if len(backbone.get_layer(layer).output.shape) != 4:
        raise ValueError(f"Expected a layer that puts out feature maps (h, w, channels). Received: {layer!r}")

    def call(operation, *args, **kwargs):
        out = operation(*args, **kwargs)
        return _attended(out) if operation.name == layer else out

    model = keras.models.clone_model(backbone, call_function=call)
    for found in (f for f in backbone.layers if f.weights):
        model.get_layer(found.name).set_weights(found.get_weights())
    return model


def _attended(maps):
    channels = maps.shape[-1]
    x = layers.Conv2D(channels, 3, padding="same", name="attention_1")(maps)
    x = layers.Conv2D(channels, 3, padding="same", name="attention_2")(x)
    # 0.9: with few steps an epoch, Keras's 0.99 would still be forgetting where it started when it is tested.
    x = layers.BatchNormalization(momentum=0.9, name="attention_norm_2")(x)
    x = layers.ReLU(name=HIDDEN)(layers.Conv2D(channels, 1, name="attention_3")(x))
    x = layers.BatchNormalization(momentum=0.9, name="attention_norm_4")(layers.Conv2D(1, 1, name="attention_4")(x))
    attention = layers.Activation("sigmoid", name=MAP)(x)
    return layers.Multiply(name="attended")([maps, attention])


def branch(shape):
    """The attention branch (table 3): hidden features ``shape`` = ``(h, w, channels)`` -> embedding ``(batch, 2)``.

    A 1x1 convolution and global average pooling. The table prints d channels for the convolution and 2
    numbers after the pooling; the pooling cannot change their number, so the convolution has 2.
    """
    hidden = keras.Input(shape, name="hidden")
    return keras.Model(
        hidden, layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1, name="branch_convolution")(hidden)), name="branch"
    )
