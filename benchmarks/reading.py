"""Pictures per second that prediction.py reads, start to end and part by part.

    python benchmarks/reading.py [MODEL]

A folder of 5,000 generated captchas, 128x64. Start to end is a process of its own, from its start to its last
line; the parts are each run alone: files to fitted arrays, arrays to outputs, outputs to texts. Medians over rounds,
with the 95 % interval of the median.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor
from crnn_reader.batching import available_cores
from crnn_reader.fit import fit_image
from crnn_reader.image import read_image
from crnn_reader.reader import Reader
from generate_captcha.corpus import write_corpus
from parameter import GenerateParameters

HOUSE = Path(__file__).resolve().parents[1]
PICTURES, BATCH, ROUNDS = 5_000, 32, 6


def main() -> None:
    """Print the figures."""
    model = sys.argv[1] if len(sys.argv) > 1 else "captcha"
    print(f"{processor()}, {os.cpu_count()} cores; {PICTURES:,} pictures; medians of {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(GenerateParameters(out=folder, count=PICTURES, seed=9))
        files = sorted(Path(folder).glob("*.png"))
        command = [sys.executable, "prediction.py", folder, "--model", model]

        def start_to_end() -> None:
            done = subprocess.run(command, cwd=HOUSE, check=True, capture_output=True)
            assert len(done.stdout.splitlines()) == PICTURES

        reader = Reader(model)
        # As the reader does it: onnxruntime computes a batch on each core.
        at_once = available_cores() if reader.path.suffix == ".onnx" else 1
        config = reader.config

        def decoded() -> np.ndarray:
            def fitted(file: Path) -> np.ndarray:
                return fit_image(read_image(file, config.channels), config.width, config.height, config.fit)

            with ThreadPoolExecutor() as pool:
                return np.stack(list(pool.map(fitted, files)))

        images = decoded()
        starts = range(0, PICTURES, BATCH)

        def read() -> np.ndarray:
            with ThreadPoolExecutor(at_once) as pool:
                return np.concatenate(
                    list(pool.map(lambda start: reader.outputs(images[start : start + BATCH]), starts))
                )

        outputs = read()
        jobs: dict[str, Callable[[], object]] = {
            "prediction.py, start to end": start_to_end,
            "in a warm process, start to end": lambda: list(reader.read(files)),
            "part: files to fitted arrays": decoded,
            "part: network": read,
            "part: outputs to texts": lambda: [reader.decode(outputs[start : start + BATCH]) for start in starts],
        }
        for name, job in jobs.items():
            seconds = sorted(timed(job) for _ in range(ROUNDS))
            # Of six values, the least and the greatest enclose the median with 97 % probability.
            low, middle, high = (PICTURES / s for s in (seconds[-1], statistics.median(seconds), seconds[0]))
            print(f"{name}: {middle:,.0f} pictures/s [{low:,.0f}, {high:,.0f}]", flush=True)


def timed(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
