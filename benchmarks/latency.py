"""How soon and how fast pictures are read, in how much memory: this kit beside ddddocr and RapidOCR.

    python benchmarks/latency.py [--model captcha] [--pictures 5000] [--rounds 6] [--without-peers]

Captchas of 128x64 are generated, and the same files are read by all in turns, each time in a process of its own: this
kit by its .keras file and by what export.py makes of it. Measured are

    first     seconds from the start of the process to its first text, one picture
    one       milliseconds from a file's name to its text, one picture after the other in a warm process: p50 and p99
    folder    pictures/s of a whole folder, from the start of the process to its end, texts written to a file
    memory    the peak of that process, MB

Medians over the rounds with the least and the greatest (of six rounds a 97 % interval). Peers may be in an environment
of their own, with ddddocr and rapidocr-onnxruntime: PEER_PYTHON names its interpreter. One that is not there is left
out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE))

PEERS = {"ddddocr": "ddddocr", "RapidOCR": "rapidocr_onnxruntime"}
#: Pictures read before a process counts as warm, and those measured one by one.
WARMING, ONE_BY_ONE = 50, 1_000


def main() -> None:
    """Print the figures; with --be READER be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="captcha", help="model file or shipped name")
    parser.add_argument("--pictures", type=int, default=5_000, help="in the folder")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--without-peers", action="store_true", help="only this kit")
    parser.add_argument("--be", nargs=3, metavar=("READER", "WHAT", "FOLDER"), help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.be:
        reader, what, folder = flags.be
        be(reader, what, Path(folder))
        return

    from benchmarks.feeding import processor
    from generate_captcha.corpus import write_corpus
    from model import model_file
    from parameter import GenerateParameters

    print(f"{processor()}, {os.cpu_count()} cores; {flags.pictures:,} pictures, {flags.rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder, exported = Path(place) / "pictures", Path(place) / "model.onnx"
        write_corpus(GenerateParameters(out=str(folder), count=flags.pictures, seed=9))
        keras = model_file.locate(flags.model, model_file.TRAINED)
        command = [sys.executable, "export.py", str(keras), "--out", str(exported)]
        subprocess.run(command, cwd=HOUSE, check=True, stdout=subprocess.DEVNULL)
        readers = [str(keras.resolve()), str(exported)]
        readers += [] if flags.without_peers else [name for name in PEERS if is_there(name)]
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(flags.rounds):
            for reader in readers:
                for figure, value in measured(reader, folder, Path(place) / "texts.csv").items():
                    found.setdefault((reader, figure), []).append(value)
    for (reader, figure), values in found.items():
        name = f"crnn-kit {Path(reader).suffix}" if Path(reader).suffix else reader
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name}  {figure}: {middle:,.2f} ({low:,.2f} to {high:,.2f})")


def is_there(peer: str) -> bool:
    command = [os.environ.get("PEER_PYTHON", sys.executable), "-c", f"import {PEERS[peer]}"]
    there = subprocess.run(command, capture_output=True).returncode == 0
    if not there:
        print(f"{peer} is not installed (PEER_PYTHON): left out")
    return there


def measured(reader: str, folder: Path, texts: Path) -> dict[str, float]:
    """All figures of one reader, once."""
    files = sorted(folder.glob("*.png"))
    ours = reader not in PEERS
    python = sys.executable if ours else os.environ.get("PEER_PYTHON", sys.executable)
    again = [python, __file__, "--be", reader]
    kit = [python, "prediction.py", "--model", reader]

    started = time.perf_counter()
    command = [*kit, str(files[0])] if ours else [*again, "first", str(folder)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout and process.stdout.readline(), f"{reader} read nothing"
        first = time.perf_counter() - started

    # The last line: peers print advertisements.
    done = subprocess.run([*again, "one", str(folder)], cwd=HOUSE, check=True, capture_output=True, text=True)
    p50, p99 = map(float, done.stdout.splitlines()[-1].split())

    started = time.perf_counter()
    command = [*kit, str(folder), "--csv", str(texts)] if ours else [*again, "folder", str(folder)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # Of this child alone.
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    assert process.returncode == 0, f"{reader} ended with {process.returncode}"
    speed = len(files) / (time.perf_counter() - started)
    return {
        "first, s": first,
        "one, p50 ms": p50,
        "one, p99 ms": p99,
        "folder, pictures/s": speed,
        "memory, MB": usage.ru_maxrss * 1024 / 1e6,
    }


def be(reader: str, what: str, folder: Path) -> None:
    """Read as `what` says, in this process."""
    files = sorted(folder.glob("*.png"))
    read = reading(reader)
    if what == "first":
        print(read(files[0]), flush=True)
    elif what == "folder":
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as texts:
            texts.writelines(f"{file},{read(file)}\n" for file in files)
    else:
        seconds = []
        for index in range(WARMING + ONE_BY_ONE):
            started = time.perf_counter()
            read(files[index % len(files)])
            seconds.append(time.perf_counter() - started)
        cuts = statistics.quantiles(seconds[WARMING:], n=100)
        print(1000 * cuts[49], 1000 * cuts[98])


def reading(reader: str) -> Callable[[Path], str]:
    """From a file's name to its text."""
    if reader == "ddddocr":
        import ddddocr

        engine = ddddocr.DdddOcr(show_ad=False)
        return lambda file: str(engine.classification(file.read_bytes()))
    if reader == "RapidOCR":
        import cv2
        from rapidocr_onnxruntime import RapidOCR

        line_reader = RapidOCR()

        def read(file: Path) -> str:
            found, _ = line_reader(cv2.imread(str(file)), use_det=False, use_cls=False)
            return str(found[0][0]) if found else ""

        return read
    from model.reader import Reader

    ours = Reader(reader)
    return lambda file: next(ours.read([file])).text


if __name__ == "__main__":
    main()
