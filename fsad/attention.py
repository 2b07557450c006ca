"""Attention for a backbone, and the branch that trains it (Takimoto et al. 2022, tables 2 and 3).

A small network computes an attention map in (0, 1) from the feature map of one layer and multiplies the two;
the layers that follow see the product. The branch maps the hidden features of the same network to a second
embedding, whose loss ties the attention map to the task.
"""

import keras
from keras import layers

MAP, HIDDEN = "attention_map", "attention_relu"


def insert(backbone, layer, residual=False):
    """Inserts the attention mechanism behind a layer (table 2).

    Args:
        backbone: a functional model whose layers are not nested, as `fsad.backbones.build` makes it.
        layer: name of the layer whose output is attended to; every branch that starts there sees the product.
        residual: with the map M and the features F, False passes on M F, True (1 + M) F, as in the attention branch
            network (Fukui et al. 2019). Which one the paper means is in its figures 2 and 3, not in its text.

    Returns:
        A new model with the weights of ``backbone`` and the layers of the mechanism: ``attention_1``
        to ``attention_4``, `HIDDEN` (the ReLU after the third convolution) and `MAP` ``(batch, h, w, 1)``.

    Raises:
        ValueError: no such layer, or its output is not a feature map.
    """
    names = [each.name for each in backbone.layers]
    if layer not in names:
        raise ValueError(f"Expected a layer of the backbone: {', '.join(names)}. Received: {layer!r}")
    if len(backbone.get_layer(layer).output.shape) != 4:
        raise ValueError(f"Expected a layer whose output is a feature map (h, w, channels). Received: {layer!r}")

    def call(operation, *args, **kwargs):
        out = operation(*args, **kwargs)
        return _attended(out, residual) if operation.name == layer else out

    model = keras.models.clone_model(backbone, call_function=call)
    for source in backbone.layers:
        if source.weights:
            model.get_layer(source.name).set_weights(source.get_weights())
    return model


def _attended(maps, residual):
    """Feature maps times the attention map computed from them, or that and the feature maps themselves."""
    channels = maps.shape[-1]
    x = layers.Conv2D(channels, 3, padding="same", name="attention_1")(maps)
    x = layers.Conv2D(channels, 3, padding="same", name="attention_2")(x)
    # With few steps per epoch, Keras's default of 0.99 would still hold its initial statistics at test time.
    x = layers.BatchNormalization(momentum=0.9, name="attention_norm_2")(x)
    x = layers.ReLU(name=HIDDEN)(layers.Conv2D(channels, 1, name="attention_3")(x))
    x = layers.BatchNormalization(momentum=0.9, name="attention_norm_4")(layers.Conv2D(1, 1, name="attention_4")(x))
    attention_map = layers.Activation("sigmoid", name=MAP)(x)
    product = layers.Multiply(name="attended")([maps, attention_map])
    return layers.Add(name="attended_residual")([maps, product]) if residual else product


def branch(shape):
    """The attention branch (table 3): hidden features ``shape`` = ``(h, w, channels)`` -> embedding ``(batch, 2)``.

    A 1x1 convolution and global average pooling. The table prints d channels after the convolution and 2 after the
    pooling; pooling cannot change the number of channels, so the convolution has 2.
    """
    hidden = keras.Input(shape, name="hidden")
    x = layers.Conv2D(2, 1, name="branch_convolution")(hidden)
    return keras.Model(hidden, layers.GlobalAveragePooling2D()(x), name="branch")
