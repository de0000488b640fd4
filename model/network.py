"""Build the network of a configuration: rectifier -> backbone -> sequence -> head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from model.backend import import_keras

#: Name of the layer before the head, with outputs (batch, columns, features).
COLUMNS = "columns"


def build(config: ModelConfig) -> Any:
    """Build an untrained Keras model.

    Its inputs are `images`, uint8 (batch, height, width, channels); for any width also `widths`, int32 (batch,), the
    width of each picture without padding, a multiple of 4; and the inputs that the head needs in training.

    Raises UserError if the size is too small for the backbone, and if fields of `config` contradict each other.
    """
    keras = import_keras()
    from model.backbones import backbone_of
    from model.features import Features
    from model.heads import HEADS
    from model.rectifiers import RECTIFIERS
    from model.sequences import sequence_of

    if config.rectify not in RECTIFIERS:
        raise UserError(f"there is no rectifier {config.rectify[:40]!r}: update the kit, or use another model")
    check(config.network, config.preset, config.width is None, config.rows, config.coordinates)
    backbone = backbone_of(config.network)
    inputs = [keras.Input((config.height, config.width, config.channels), dtype="uint8", name="images")]
    if config.width is None:
        inputs.append(keras.Input((), dtype="int32", name="widths"))
    try:
        features = RECTIFIERS[config.rectify](Features.of_images(*inputs))
        features = backbone.build(features, config.preset)
    except ValueError as error:
        size = f"{config.width}x{config.height}" if config.width else f"autox{config.height}"
        raise UserError(
            f"{size} is too small for {config.network} {config.preset}: choose a larger size", "size"
        ) from error
    if config.rows > 1:
        features = features.of_rows(config.rows)
    if config.coordinates:
        features = features.numbered()
    features = sequence_of(config.network)(features, config.preset, backbone.recurrent)
    features = replace(features, maps=keras.layers.Identity(name=COLUMNS)(features.maps))
    training_inputs, outputs = HEADS[config.head].outputs(features, Alphabet(config.alphabet).classes, config)
    inputs += training_inputs
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=config.network)


def check(network: str, preset: str, any_width: bool, rows: int = 1, coordinates: bool = False) -> None:
    """Raise UserError if the backbone lacks the preset, and for any width if a stage needs pictures of one width."""
    import_keras()
    from model.backbones import backbone_of

    backbone = backbone_of(network)
    if preset not in backbone.presets:
        raise UserError(f"{network} has no preset {preset}: choose {' or '.join(backbone.presets)}", "preset")
    for stage, one_width in (
        (f"rows {rows}", rows > 1),
        ("coordinates", coordinates),
        (f"network {network}", not backbone.any_width),
    ):
        if one_width and any_width:
            raise UserError(
                f"{stage}: this needs pictures of one width; choose a size such as 128x64", "size", "128x64"
            )


def column_width(name: str) -> int:
    """Width of a column in pixels, in a network such as `vgg_bilstm`."""
    import_keras()
    from model.backbones import backbone_of

    return backbone_of(name).column


def columns(network: Any) -> int | None:
    """Number of columns that the head of `network` sees; None if it depends on the width of the picture."""
    steps: int | None = network.get_layer(COLUMNS).output.shape[1]
    return steps
