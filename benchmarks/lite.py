"""How the preset lite was found: networks around it, by what they read right and how many pictures a second they read.

    python benchmarks/lite.py FOLDER [--variants 'small;lite'] [--finalists 'small;lite'] [--own FOLDER]

Draws captchas, 40,000 to train on and 4,000 others to read, into FOLDER, trains every variant on them from random
weights, and reads the others; then the finalists on as many plates; and the first two variants on `--own`, a corpus
with a labels.csv as in small_corpora.py, as training.py does it by default but from random weights. Then reads pictures
of 128x64 with each by onnxruntime, all taking turns, and trains on them for some steps. Goes on where it was stopped;
prints a table and draws lite.png into FOLDER.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.feeding import processor
from benchmarks.small_corpora import write_list
from benchmarks.trials import HOUSE, corpus
from model.backend import import_keras

keras = import_keras()

from crnn_reader.config import ModelConfig  # noqa: E402
from model.backbones import Backbone, vgg  # noqa: E402
from model.backend import jit_compile, precision  # noqa: E402
from model.export import onnx, onnx_layers  # noqa: E402
from model.features import Features  # noqa: E402
from model.heads import HEADS  # noqa: E402
from model.network import build  # noqa: E402
from model.sequences import bilstm  # noqa: E402

KINDS = {
    "captcha36": ("--style captcha --length 4 --size 128x64", "128x64"),
    "plates": ("--style plate --size 192x64", "192x64"),
}
TRAIN, TEST = 40_000, 4_000
TRAINING = "--validation 0.02 --from random --epochs 3 --batch-size 64 --augmentation 0 --precision mixed_bfloat16"
ROUNDS, BATCH = 9, 64

Layers = Callable[[Features], Features]


def convolutions(*widths: int, plain: bool = False, pools: bool = False, dense: int = 96) -> Layers:
    """Four convolutions, which stride or, from the second on, are pooled, and a dense layer of columns.

    All are normalised, but for the first where it is `plain`.
    """

    def layers(images: Features) -> Features:
        maps = images.convolution(widths[0], kernel=5, strides=2, normalised=not plain)
        for filters, step in zip(widths[1:], ((2, 2), (2, 1), (2, 1)), strict=False):
            maps = maps.convolution(filters, pool=step) if pools else maps.convolution(filters, strides=step)
        return maps.columns().dense(dense, normalised=True, activation="relu")

    return layers


def stride_4(images: Features) -> Features:
    return images.convolution(48, kernel=6, strides=4).convolution(96, strides=(2, 1)).convolution(160, strides=(2, 1))


def steps_of_8(images: Features) -> Features:
    maps = images.convolution(32, kernel=5, strides=2).convolution(48, strides=2)
    maps = maps.convolution(96, strides=2).convolution(160, strides=(2, 1))
    return maps.columns().dense(96, normalised=True, activation="relu")


def separable(images: Features) -> Features:
    maps = images.convolution(32, kernel=5, strides=2)
    for filters, strides in ((64, 2), (128, (2, 1)), (256, (2, 1))):
        depthwise = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)
        # A depthwise convolution of two strides is not to be had on this backend; what is skipped is cheap.
        maps = replace(maps, maps=depthwise(maps.maps)).normalised().activated("relu")
        maps = maps.convolution(filters, kernel=1, strides=strides)
    return maps.columns().dense(96, normalised=True, activation="relu")


def recurrent(kind: str, units: int) -> Layers:
    return lambda columns: columns.recurrent(getattr(keras.layers, kind), units).dropout(0.2)


def none(columns: Features) -> Features:
    return columns.dropout(0.2)


def convolved(features: int, *dilations: int) -> Layers:
    """Convolutions over the columns, with a way around each (He et al. 2015), that look so far."""

    def layers(columns: Features) -> Features:
        for dilation in dilations:
            layer = keras.layers.Conv2D(features, (1, 5), use_bias=False, dilation_rate=(1, dilation))
            # onnxruntime pads no dilated convolution by itself.
            maps = keras.layers.Reshape((1, -1, features))(columns.maps)
            maps = layer(keras.layers.ZeroPadding2D((0, 2 * dilation))(maps))
            more = replace(columns, maps=keras.layers.Reshape((-1, features))(maps))
            columns = columns.plus(more.normalised().activated("relu"))
        return columns.dropout(0.2)

    return layers


def looking(columns: Features) -> Features:
    """One layer of self-attention (Vaswani et al. 2017), with one head, and numbers of the columns to go by."""
    maps = keras.layers.Dense(96)(columns.numbered().maps)
    query, key, value = (keras.layers.Dense(96)(maps) for _ in range(3))
    scores = keras.ops.softmax(keras.ops.einsum("bqf,bkf->bqk", query, key) / math.sqrt(96))
    seen = keras.ops.einsum("bqk,bkf->bqf", scores, value)
    return replace(columns, maps=keras.layers.Concatenate()([maps, seen])).dropout(0.2)


#: What the kit itself builds.
KIT = vgg.BACKBONE, bilstm.bilstm

#: What was tried first, and a plain stem with more behind it.
FIRST, LARGER = convolutions(32, 48, 96, 160), convolutions(32, 48, 96, 160, plain=True, dense=128)
BILSTM = recurrent("LSTM", 96)
#: The two that are in the kit are built by it.
VARIANTS: dict[str, tuple[Layers, Layers] | None] = {
    "small": None,
    "lite": None,
    "first": (FIRST, BILSTM),
    "pooled": (convolutions(32, 48, 96, 160, pools=True), BILSTM),
    "stem of stride 4": (
        lambda images: stride_4(images).columns().dense(96, normalised=True, activation="relu"),
        BILSTM,
    ),
    "wider": (convolutions(32, 64, 128, 192, dense=128), recurrent("LSTM", 128)),
    "narrower": (convolutions(16, 32, 64, 128, dense=64), recurrent("LSTM", 64)),
    "separable": (separable, BILSTM),
    "plain stem": (convolutions(32, 48, 96, 160, plain=True), BILSTM),
    "steps of 8": (steps_of_8, BILSTM),
    "BiGRU": (FIRST, recurrent("GRU", 96)),
    "convolved": (FIRST, convolved(96, 1, 1, 1)),
    "attention": (FIRST, looking),
    "no sequence": (FIRST, none),
    "lite, BiLSTM": (LARGER, recurrent("LSTM", 128)),
    "lite, dilated": (LARGER, convolved(128, 1, 1, 2, 4)),
    "lite of 160": (convolutions(32, 48, 96, 192, plain=True, dense=160), convolved(160, 1, 1, 1, 1)),
}
#: What is compared on plates, too.
FINALISTS = "small", "lite", "first", "plain stem", "convolved", "lite, BiLSTM", "lite, dilated", "lite of 160"


def main() -> None:
    """Print the figures."""
    if "--" in sys.argv:
        train_or_read(sys.argv[1], sys.argv[3:])
    else:
        compare()


def compare() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variants", default=";".join(VARIANTS))
    parser.add_argument("--finalists", default=";".join(FINALISTS))
    parser.add_argument("--own", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    folder, variants = arguments.folder.resolve(), arguments.variants.split(";")
    finalists = [name for name in arguments.finalists.split(";") if name in variants]
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    scores: dict[str, dict[str, Any]] = {name: {} for name in variants}
    for kind, (flags, size) in KINDS.items():
        train = corpus(folder / kind / "train", f"{flags} --count {TRAIN} --seed 1")
        test = corpus(folder / kind / "test", f"{flags} --count {TEST} --seed 2")
        for name in variants if kind == "captcha36" else finalists:
            training = ["--data", str(train), "--size", size, *TRAINING.split()]
            scores[name][kind] = trial(name, folder / kind / name.replace(" ", "_"), training, test)
    for own in arguments.own:
        (folder / own.name).mkdir(parents=True, exist_ok=True)
        train, test = (write_list(own, split, folder / own.name) for split in ("train", "test"))
        for name in variants[:2]:
            training = ["--data", str(train), "--from", "random"]
            scores[name][own.name] = trial(name, folder / own.name / name.replace(" ", "_"), training, test)
    reading, training_rates = rates(variants, folder)
    for name in variants:
        found = ", ".join(
            f"{kind} {score['exact_match']:.2%} [{score['exact_match_interval'][0]:.2%}, "
            f"{score['exact_match_interval'][1]:.2%}]"
            for kind, score in scores[name].items()
        )
        print(
            f"{name}: {found}; reads {statistics.median(reading[name]):,.0f} pictures/s, "
            f"{ratio(reading[name], reading[variants[0]])} times {variants[0]}; trains "
            f"{ratio(training_rates[name], training_rates[variants[0]])} times as fast"
        )
    drawn(scores, reading, folder / "lite.png")


def trial(name: str, run: Path, training: list[str], test: Path) -> Any:
    """The scores of a variant; trained and read in a process of its own, or known from an earlier time."""
    answer = run / "scores.json"
    if not answer.is_file():
        flags = ["--resume"] if (run / "parameters.json").is_file() else training
        preset = ["--preset", name] if VARIANTS[name] is None and "--resume" not in flags else []
        for command in (
            ["training.py", "--run", str(run), *flags, *preset],
            ["evaluation.py", str(test), "--model", str(run), "--json", str(answer)],
        ):
            own = [sys.executable, __file__, name, "--", *command]
            subprocess.run(own, cwd=HOUSE, check=True, stdout=subprocess.DEVNULL)
    return json.loads(answer.read_text(encoding="utf-8"))


def train_or_read(name: str, command: list[str]) -> None:
    """One of the kit's commands, with a variant in the place of `small`."""
    import runpy

    in_place(name)
    sys.argv = command
    runpy.run_path(str(HOUSE / command[0]), run_name="__main__")


def in_place(name: str) -> None:
    """Have the kit build this variant for `vgg_bilstm`, whatever the preset; of its own presets, themselves."""
    variant = VARIANTS[name]
    vgg.BACKBONE, bilstm.bilstm = KIT
    if variant:
        backbone, sequence = variant
        vgg.BACKBONE = Backbone(lambda images, _: backbone(images), "summed")
        bilstm.bilstm = lambda columns, *_: sequence(columns)


def rates(variants: list[str], folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Pictures/s read by onnxruntime, and trained on, of each variant: all by turns."""
    import onnxruntime

    onnx_layers.LAYERS["DepthwiseConv2D"] = depthwise
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, 64, 128, 1)).astype(np.uint8)
    labels = rng.integers(1, 37, (BATCH, 4)).astype(np.int32)
    networks, files = {}, {}
    for name in variants:
        in_place(name)
        preset = name if VARIANTS[name] is None else "small"
        kind = "vgg_conv" if preset == "lite" else "vgg_bilstm"
        config = ModelConfig(kind, preset, "ctc", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 128, 64, 1, "stretch")
        network = build(config)
        files[name] = folder / f"{name.replace(' ', '_')}.onnx"
        onnx.write(files[name], HEADS["ctc"].parts(network, config), config)
        with precision("mixed_bfloat16"):
            networks[name] = build(config)
        loss = HEADS["ctc"].loss(config)
        networks[name].compile(keras.optimizers.AdamW(1e-3), loss, jit_compile=jit_compile())
        networks[name].train_on_batch(images, labels)
    reading: dict[str, list[float]] = {name: [] for name in variants}
    training: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name in variants:
            # One at a time: the threads of another session would be in its way.
            session = onnxruntime.InferenceSession(files[name])
            session.run(None, {"images": images})
            started = time.perf_counter()
            for _ in range(6):
                session.run(None, {"images": images})
            reading[name].append(6 * BATCH / (time.perf_counter() - started))
            del session
            started = time.perf_counter()
            for _ in range(3):
                networks[name].train_on_batch(images, labels)
            training[name].append(3 * BATCH / (time.perf_counter() - started))
    return reading, training


def depthwise(graph: Any, layer: Any, x: Any) -> Any:
    kernel = np.asarray(layer.kernel).transpose(2, 3, 0, 1)
    name = graph.add(
        "Conv", graph.turned(x), graph.constant(kernel), kernel_shape=layer.kernel_size, group=len(kernel),
        auto_pad="SAME_UPPER",
    )  # fmt: skip
    return onnx_layers.Value(name, True)


def ratio(rates: list[float], others: list[float]) -> str:
    ratios = sorted(rate / other for rate, other in zip(rates, others, strict=True))
    # The second and the eighth of nine sorted values are a 96 % interval of the median.
    return f"{statistics.median(ratios):.2f} [{ratios[1]:.2f}, {ratios[-2]:.2f}]"


def drawn(scores: dict[str, dict[str, Any]], reading: dict[str, list[float]], path: Path) -> None:
    """Exact match against pictures/s, a panel for each corpus."""
    import matplotlib.pyplot as plt

    kinds = list(next(iter(scores.values())))
    figure, panels = plt.subplots(1, len(kinds), figsize=(5 * len(kinds), 5), squeeze=False, layout="constrained")
    for kind, panel in zip(kinds, panels[0], strict=True):
        found = {name: score[kind] for name, score in scores.items() if kind in score}
        panel.set(title=kind, xscale="log", xlabel="pictures of 128x64 read per second", ylabel="exact match, %")
        panel.set_xticks([1_000, 2_000, 4_000, 8_000])
        panel.minorticks_off()
        panel.xaxis.set_major_formatter("{x:,.0f}")
        lowest = min(score["exact_match_interval"][0] for score in found.values())
        highest = max(score["exact_match_interval"][1] for score in found.values())
        panel.set_ylim(100 * (1.6 * lowest - 0.6 * highest), 100 * (1.05 * highest - 0.05 * lowest))
        for index, name in enumerate(sorted(found, key=lambda name: statistics.median(reading[name]))):
            right, (low, high) = found[name]["exact_match"], found[name]["exact_match_interval"]
            speed = statistics.median(reading[name])
            bars = [[100 * (right - low)], [100 * (high - right)]]
            panel.errorbar(speed, 100 * right, bars, fmt="o", color="C1" if name == "lite" else "C0", capsize=2)
            # Names side by side below, as points are too close to one another.
            panel.annotate(
                name,
                (speed, 100 * low),
                ((index + 0.5) / len(found), 0.02),
                textcoords="axes fraction",
                rotation="vertical",
                ha="center",
                fontsize=8,
                arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.6},
            )
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
