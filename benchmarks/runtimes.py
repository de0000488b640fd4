"""Whether both runtimes read the same: a model file by Keras, and what export.py makes of it by onnxruntime.

    python benchmarks/runtimes.py MODEL PATH...

Reads the pictures of each PATH with both; prints how many texts differ, how far probabilities are apart at most, and,
of labelled pictures, the exact match of each. `benchmarks/latency.py` has their speeds.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks.feeding import processor
from crnn_reader.model_files import locate_model
from crnn_reader.reader import Reader
from model import export


def main() -> None:
    """Print the figures."""
    model = locate_model(sys.argv[1], to_train=True)
    print(f"{processor()}, {os.cpu_count()} cores; {model.name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "model.onnx"
        export.export(model, "onnx", exported)
        readers = [Reader(str(file)) for file in (model, exported)]
        for path in sys.argv[2:]:
            samples = dataset.collect(path)
            paths, truths = [sample.path for sample in samples], [sample.label for sample in samples]
            ours, theirs = (list(reader.read(paths)) for reader in readers)
            others = sum(one.text != other.text for one, other in zip(ours, theirs, strict=True))
            apart = max(abs(one.probability - other.probability) for one, other in zip(ours, theirs, strict=True))
            right = [sum(one.text == truth for one, truth in zip(read, truths, strict=True)) for read in (ours, theirs)]
            print(
                f"{path}: {others:,} of {len(paths):,} texts differ, probabilities at most {apart:.1e} apart; "
                f"{right[0]:,} read right by Keras, {right[1]:,} by onnxruntime",
                flush=True,
            )


if __name__ == "__main__":
    main()
