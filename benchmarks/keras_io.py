"""The network and recipe of the keras.io captcha example, as facts, for side-by-side runs.

    python benchmarks/keras_io.py TRAIN.tsv TEST.tsv TEXTS.tsv

Grey 200x50 scaled to 0…1, width as time; convolutions of 32 and 64, each pooled by 2; 50 columns, dense 64,
dropout 0.2; BiLSTM 128 and 64, dropout 0.25; CTC; Adam 1e-3, batch 16, a tenth of the pictures to validate,
at most 100 epochs, stopped after 10 without a better validation loss, the best weights kept. The ten are counted from
epoch 30: on captcha_keras1040 with this seed CTC says nothing for twenty epochs, and stopping there would read none of
206. Writes a line `label<TAB>text` per test picture.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from crnn_reader.decoding.ctc import greedy
from crnn_reader.fit import fit_image
from crnn_reader.image import read_image
from dataset import Samples, collect

WIDTH, HEIGHT = 200, 50


def main() -> None:
    train, test = collect(sys.argv[1]), collect(sys.argv[2])
    alphabet = sorted(set("".join(str(label) for label in train.labels)))
    keras.utils.set_random_seed(0)
    network = build(len(alphabet) + 1)
    network.compile(keras.optimizers.Adam(1e-3), keras.losses.CTC(), jit_compile=False)
    images = pixels(train)
    longest = max(len(str(label)) for label in train.labels)
    labels = np.zeros((len(train), longest), np.int32)
    for row, label in zip(labels, train.labels, strict=True):
        row[: len(str(label))] = [alphabet.index(character) + 1 for character in str(label)]
    order = np.random.default_rng(0).permutation(len(images))
    held_out, kept = np.split(order, [len(order) // 10])
    network.fit(
        images[kept],
        labels[kept],
        batch_size=16,
        epochs=100,
        verbose=0,
        validation_data=(images[held_out], labels[held_out]),
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=10, restore_best_weights=True, start_from_epoch=30)
        ],
    )
    outputs = network.predict(pixels(test), verbose=0)
    texts = ["".join(alphabet[number - 1] for number in decoded.numbers) for decoded in greedy(outputs)]
    lines = [f"{label}\t{text}\n" for label, text in zip(test.labels, texts, strict=True)]
    Path(sys.argv[3]).write_text("".join(lines), encoding="utf-8")


def pixels(samples: Samples) -> np.ndarray:
    """Float32 (n, width, height, 1): the picture on its side, so that width is time."""
    fitted = [fit_image(read_image(sample.path, 1), WIDTH, HEIGHT, "stretch") for sample in samples]
    return np.stack(fitted).transpose(0, 2, 1, 3).astype(np.float32) / 255


def build(classes: int) -> keras.Model:
    images = keras.Input((WIDTH, HEIGHT, 1))
    x = layers.Conv2D(32, 3, activation="relu", padding="same", kernel_initializer="he_normal")(images)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(64, 3, activation="relu", padding="same", kernel_initializer="he_normal")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Reshape((WIDTH // 4, HEIGHT // 4 * 64))(x)
    x = layers.Dropout(0.2)(layers.Dense(64, activation="relu")(x))
    x = layers.Bidirectional(layers.LSTM(128, return_sequences=True, dropout=0.25))(x)
    x = layers.Bidirectional(layers.LSTM(64, return_sequences=True, dropout=0.25))(x)
    probabilities = layers.Dense(classes, activation="softmax")(x)
    # Keras' CTC loss takes logits, for which logarithms of probabilities do.
    return keras.Model(images, keras.ops.log(keras.ops.maximum(probabilities, 1e-7)))


if __name__ == "__main__":
    main()
