"""How soon and how fast pictures are read, in how much memory: this kit beside ddddocr and RapidOCR.

    python benchmarks/latency.py [--models captcha,runs/lite] [--pictures 5000] [--rounds 6] [--without-peers]

Captchas of 128x64 are generated, and the same files are read by all in turns, each time in a process of its own: this
kit by its .keras files and by what export.py makes of them, in floats and in integers of 8 bits. Measured are

    first     seconds from the start of a process to its first text, one picture: by a script that has nothing but that
              to do, the same for all, and by prediction.py
    one       milliseconds from a file's name to its text, one picture after the other in a warm process: p50 and p99
    folder    pictures/s of a whole folder, from the start of the process to its end, texts written to a file
    memory    the peak of that process, MB

Medians over the rounds with the least and the greatest (of six rounds a 97 % interval). All start from compiled
bytecode, as what was once started does. benchmarks/peers.py says where peers may be; one that is not there is left out.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import peers

HOUSE = Path(__file__).resolve().parents[1]
#: Pictures read before a process counts as warm, and those measured one by one.
WARMING, ONE_BY_ONE = 50, 1_000


def main() -> None:
    """Print the figures; with --be READER be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="captcha", help="model files, run folders or shipped names")
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
    from crnn_reader.model_files import locate_model
    from generate_captcha.corpus import write_corpus
    from parameter import GenerateParameters

    print(f"{processor()}, {os.cpu_count()} cores; {flags.pictures:,} pictures, {flags.rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        write_corpus(GenerateParameters(out=str(folder), count=flags.pictures, seed=9))
        readers = []
        for number, model in enumerate(flags.models.split(","), 1):
            keras = locate_model(model, to_train=True)
            floats, integers = (str(Path(place) / f"{number}-{Path(model).stem}{form}.onnx") for form in ("", "-int8"))
            for flags_of_export in (["--out", floats], ["--out", integers, "--int8", str(folder)]):
                command = [sys.executable, "export.py", str(keras), *flags_of_export]
                subprocess.run(command, cwd=HOUSE, check=True, stdout=subprocess.DEVNULL)
            readers += [str(keras.resolve()), floats, integers]
        readers += [] if flags.without_peers else peers.are_there()
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(place) / "bytecode")
        for reader in readers:
            for command in first_commands(reader, folder).values():
                seconds_to_first_line(command)
        found: dict[tuple[str, str], list[float]] = {}
        for number in range(1, flags.rounds + 1):
            print(f"round {number} of {flags.rounds}", file=sys.stderr, flush=True)
            for reader in readers:
                for figure, value in measured(reader, folder, Path(place) / "texts.csv").items():
                    found.setdefault((reader, figure), []).append(value)
    for (reader, figure), values in found.items():
        name = reader if reader in peers.PEERS else f"crnn-kit {Path(reader).parent.name}/{Path(reader).name}"
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name}  {figure}: {middle:,.2f} ({low:,.2f} to {high:,.2f})")


def measured(reader: str, folder: Path, texts: Path) -> dict[str, float]:
    """All figures of one reader, once."""
    python, ours = (peers.PYTHON, False) if reader in peers.PEERS else (sys.executable, True)
    again = [python, __file__, "--be", reader]
    found = {figure: seconds_to_first_line(command) for figure, command in first_commands(reader, folder).items()}

    # The last line: peers print advertisements.
    done = subprocess.run([*again, "one", str(folder)], cwd=HOUSE, check=True, capture_output=True, text=True)
    p50, p99 = map(float, done.stdout.splitlines()[-1].split())

    started = time.perf_counter()
    kit = [python, "prediction.py", "--model", reader, str(folder), "--csv", str(texts)]
    command = kit if ours else [*again, "folder", str(folder)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # Of this child alone.
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    assert process.returncode == 0, f"{reader} ended with {process.returncode}"
    speed = len(list(folder.glob("*.png"))) / (time.perf_counter() - started)
    return found | {
        "one, p50 ms": p50,
        "one, p99 ms": p99,
        "folder, pictures/s": speed,
        "memory, MB": usage.ru_maxrss * 1024 / 1e6,
    }


def first_commands(reader: str, folder: Path) -> dict[str, list[str]]:
    """What prints the text of a picture, by what is measured of it."""
    python = peers.PYTHON if reader in peers.PEERS else sys.executable
    commands = {"first, s": [python, __file__, "--be", reader, "first", str(folder)]}
    if reader not in peers.PEERS:
        picture = str(next(folder.glob("*.png")))
        commands["first by prediction.py, s"] = [python, "prediction.py", "--model", reader, picture]
    return commands


def seconds_to_first_line(command: list[str]) -> float:
    """From the start of a process to the first line that it prints."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout and process.stdout.readline(), f"{command} read nothing"
        return time.perf_counter() - started


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
    if reader in peers.PEERS:
        return peers.reading(reader)
    from crnn_reader.reader import Reader

    ours = Reader(reader)
    return lambda file: next(ours.read([file])).text


if __name__ == "__main__":
    main()
