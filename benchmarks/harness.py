"""Code shared by the benchmarks: alternating runs, intervals, machine, CSV files of results, and readers to compare.

    python benchmarks/harness.py READER JOB PATH

is the process of a reader that is timed: a model file of this kit (also `plate --layouts de`), `ddddocr`, `RapidOCR`
(the recogniser of rapidocr-onnxruntime, PP-OCRv4) or `rapidocr 3.10` (the recogniser of its successor, PP-OCRv6 small).
All but the first may be in an environment of their own, whose interpreter is PEER_PYTHON. It needs no other package,
because this file imports only the standard library at its top.

    first     print the text of the first picture in the folder PATH
    one       read pictures one by one; print the median and the 99th percentile of the milliseconds from file to text
    folder    read the folder PATH and write the texts to a temporary file
    list      read the pictures in the list PATH (lines `path<TAB>label`) and write the texts to a file beside it
"""

from __future__ import annotations

import argparse
import csv
import datetime
import functools
import inspect
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

#: The columns of each file in `results`. Intervals are 95 % intervals. A ratio compares with the variant `ratio_to`.
FIELDS = (
    "date", "version", "machine", "software", "job", "subject", "variant", "measure", "options", "n",
    "figure", "unit", "low", "high", "ratio", "ratio_low", "ratio_high", "ratio_to",
)  # fmt: skip

#: The modules and packages of the readers to compare.
PEERS = {
    "ddddocr": ("ddddocr", "ddddocr"),
    "RapidOCR": ("rapidocr_onnxruntime", "rapidocr-onnxruntime"),
    "rapidocr 3.10": ("rapidocr", "rapidocr"),
}
#: Between a model and the layouts that it reads with, in the name of a reader.
LAYOUTS = " --layouts "
#: After a model that reads without test-time augmentation.
ONCE = " --tta 0"
PEER_PYTHON = os.environ.get("PEER_PYTHON", sys.executable)
#: Number of pictures read before timing, and maximum number of pictures timed one by one.
WARMING, ONE_BY_ONE = 50, 1_000

#: Instruction sets that decide which kernels run.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "amx_int8")
PACKAGES = ("keras", "tensorflow", "jax", "torch", "onnxruntime", "numpy", "opencv-python-headless", "captcha")

Median = tuple[float, float | None, float | None]


class Results:
    """Prints figures and appends each to `NAME.csv` at once, so that an interrupted run keeps them."""

    def __init__(self, name: str, folder: Path = RESULTS) -> None:
        self.path = folder / f"{name}.csv"
        today = datetime.date.today().isoformat()
        #: The columns that all rows have.
        self.shared_columns: dict[str, Any] = {"date": today, "version": version(), "machine": machine()}
        self.shared_columns["software"] = software()
        print(f"{self.shared_columns['machine']}; {self.shared_columns['version']}; rows go to {self.path}", flush=True)

    def add(self, job: str, subject: str, variant: str, measure: str, figure: float, unit: str, **columns: Any) -> None:
        """Append a row. `columns` has values of other columns in FIELDS."""
        row = self.shared_columns | {
            "job": job,
            "subject": subject,
            "variant": variant,
            "measure": measure,
            "unit": unit,
        }
        row |= {name: value for name, value in columns.items() if value is not None} | {"figure": figure}
        for name in ("figure", "low", "high"):
            row[name] = written(row.get(name), 2 if unit == "%" else None)
        for name in ("ratio", "ratio_low", "ratio_high"):
            row[name] = written(row.get(name), 2)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with self.path.open("a", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, FIELDS, lineterminator="\n")
            if new:
                table.writeheader()
            table.writerow(row)
        print(" | ".join(filter(None, (subject, variant, measure, cell(row), cell(row, "ratio")))), flush=True)

    def share(self, job: str, subject: str, variant: str, measure: str, right: int, of: int, **columns: Any) -> None:
        """Append a share, `right` of `of` in per cent, with Wilson's interval."""
        from model.scores import wilson

        low, high = wilson(right, of)
        figures = {"n": of, "low": 100 * low, "high": 100 * high}
        self.add(job, subject, variant, measure, 100 * right / max(1, of), "%", **figures | columns)

    def values(
        self, job: str, subject: str, variant: str, measure: str, values: Sequence[float], unit: str, **columns: Any
    ) -> None:
        """Append the median of some values, with its interval."""
        middle, low, high = median(values)
        figures = {"n": len(values), "low": low, "high": high}
        self.add(job, subject, variant, measure, middle, unit, **figures | columns)

    def rates(
        self, job: str, subject: str, measure: str, count: int, seconds: Mapping[str, Sequence[float]],
        base: str = "", **columns: Any
    ) -> None:  # fmt: skip
        """Append the pictures/s of each variant of :func:`by_turns`, and the ratios to the variant `base`."""
        for variant, times in seconds.items():
            ratio = compared(seconds[base], times) if base not in ("", variant) else {}
            rates = [count / each for each in times]
            self.values(job, subject, variant, measure, rates, "pictures/s", **ratio | {"ratio_to": base} | columns)


def compared(base: Sequence[float], times: Sequence[float]) -> dict[str, float | None]:
    """The columns of the ratio `base / times` of each round: the speed as a multiple of that of the base."""
    ratio, low, high = median([one / other for one, other in zip(base, times, strict=True)])
    return {"ratio": ratio, "ratio_low": low, "ratio_high": high}


def median(values: Sequence[float]) -> Median:
    """The median, and the bounds of its 95 % interval: order statistics, by the binomial distribution.

    The bounds are None for fewer than six values.
    """
    ordered, count = sorted(values), len(values)
    below = [sum(math.comb(count, i) for i in range(k)) / 2**count for k in range(count // 2 + 1)]
    k = sum(2 * share <= 0.05 for share in below) - 1
    return statistics.median(ordered), ordered[k - 1] if k else None, ordered[-k] if k else None


def by_turns(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run all jobs once per round, after a round to warm up. Returns the seconds of each job in each round.

    A job that times itself returns :class:`Seconds`, as :func:`timed` does.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            started = time.perf_counter()
            returned = job()
            elapsed = returned if isinstance(returned, Seconds) else time.perf_counter() - started
            seconds[name] += [elapsed] if turn else []
    return seconds


class Seconds(float):
    """The time that a job has measured."""


def timed(job: Callable[[], object]) -> Seconds:
    """The time of a call."""
    started = time.perf_counter()
    job()
    return Seconds(time.perf_counter() - started)


def written(value: object, digits: int | None) -> str:
    """Format a number for the CSV file: `digits` decimal places, or by default three significant figures."""
    if not isinstance(value, int | float):
        return str(value or "")
    if 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    if digits is None:
        digits = 0 if value == 0 or abs(value) >= 100 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def cell(row: Mapping[str, Any], what: str = "figure", with_unit: bool = True) -> str:
    """Format a figure or ratio with its interval: `98.06 % (95.11–99.24)`."""
    low, high = ("low", "high") if what == "figure" else ("ratio_low", "ratio_high")
    value, low, high = (with_commas(row.get(name) or "") for name in (what, low, high))
    unit = f" {row['unit'] if what == 'figure' else 'times'}" if with_unit else ""
    return value and value + unit + (f" ({low}–{high})" if low else "")


def with_commas(number: str) -> str:
    whole, point, rest = number.partition(".")
    return (f"{int(whole):,}" if len(whole) > 3 else whole) + point + rest


def version() -> str:
    """The version of the kit and the commit, with `+` if files differ from the commit."""
    import tomllib

    kit = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return f"{kit} {done.stdout.strip()}".strip()


@functools.cache
def machine() -> str:
    """Graphics cards, processor, cores, and instructions for matrix products."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    facts = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    flags = facts.get("flags", "").split()
    processor = re.sub(r"\((R|TM)\)| CPU| Processor", "", facts.get("model name", platform.machine()))
    parts = [processor, f"{os.cpu_count()} cores"]
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        parts[:0] = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.splitlines()
    return ", ".join([*parts, *(each for each in INSTRUCTIONS if each in flags)])


def software() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


class Help(argparse.HelpFormatter):
    """Help that wraps paragraphs to the width of the terminal, and keeps indented ones: commands and lists."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        def filled(paragraph: str) -> str:
            listed = any(line.startswith(" ") for line in paragraph.splitlines())
            return paragraph if listed else textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False)

        return "\n\n".join(map(filled, inspect.cleandoc(text).split("\n\n")))


class Command:
    """The command line of a benchmark: jobs with flags of their own, and --results for all."""

    def __init__(self, document: str, name: str) -> None:
        self._name = name
        self._shared = argparse.ArgumentParser(add_help=False)
        self._shared.add_argument(
            "--results", type=Path, default=RESULTS, metavar="DIR", help=f"folder of {name}.csv (benchmarks/results)"
        )
        self._parser = argparse.ArgumentParser(description=document, formatter_class=Help)
        self._jobs = self._parser.add_subparsers(required=True, metavar="JOB")

    def job(self, run: Callable[[Results, argparse.Namespace], None], rounds: int = 0) -> argparse.ArgumentParser:
        """Add a job: a function whose docstring is its help. Returns the parser to add flags to."""
        name, summary = run.__name__.replace("_", "-"), (run.__doc__ or "").splitlines()[0]
        job = self._jobs.add_parser(
            name, parents=[self._shared], help=summary, description=run.__doc__, formatter_class=Help
        )
        job.set_defaults(run=run)
        if rounds:
            job.add_argument("--rounds", type=int, default=rounds, help="number of rounds (%(default)s)")
        return job

    def run(self) -> None:
        """Run the job that the command line names. Words after `--` are its `flags`."""
        end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
        words, flags = sys.argv[1:end], sys.argv[end + 1 :]
        given = self._parser.parse_args(words, argparse.Namespace(flags=flags))
        from crnn_reader.errors import UserError

        try:
            given.run(Results(self._name, given.results), given)
        except UserError as error:
            raise SystemExit(f"error: {error}") from error


def kit(*command: object, show: bool = False) -> None:
    """Run a command of the kit, `training.py …` or `-m generate_captcha …`. `show` prints its messages."""
    words = [sys.executable, *map(str, command)]
    messages = None if show else subprocess.PIPE
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=messages, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with exit code {done.returncode}\n{done.stderr or ''}")


def generated(folder: Path, flags: str) -> Path:
    """Generate pictures in `folder` with generate_captcha, or complete them. Returns the folder."""
    kit("-m", "generate_captcha", "--out", folder, *flags.split())
    return folder


def peak_memory(command: Sequence[str]) -> float:
    """Run a command and return its peak memory in MB, including mapped pages."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # Not getrusage, which returns the maximum of all children.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return usage.ru_maxrss * 1024 / 1e6


def trained(run: Path, flags: Sequence[object]) -> float:
    """Train with training.py, or resume an interrupted run. Returns the seconds of the process."""
    begun = (run / "parameters.json").is_file()
    return timed(lambda: kit("training.py", "--run", run, *(["--resume"] if begun else flags), show=True))


def scores(run: Path, test: Path, *flags: str) -> dict[str, Any]:
    """The scores of evaluation.py: `images`, `exact`, `character_error_rate`, …"""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "scores.json"
        kit("evaluation.py", test, "--model", run, "--json", answer, *flags)
        return dict(json.loads(answer.read_text(encoding="utf-8")))


def listed(corpus: Path, path: Path, splits: Iterable[str] = ("train", "test")) -> list[tuple[str, str]]:
    """The pictures and labels of a corpus. Also writes them to the list `path`.

    Returns the rows of `splits` in the corpus' `labels.csv` (columns file, label, split). Without this file, returns
    all rows, if both train and test are asked for.
    """
    table = corpus / "labels.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            rows = [
                (str((corpus / row["file"]).resolve()), row["label"])
                for row in csv.DictReader(file)
                if row["split"] in splits
            ]
    elif {*splits} != {"train", "test"}:
        raise SystemExit(f"{corpus} has no labels.csv (columns file, label, split), which says what to train on")
    else:
        import dataset

        rows = [(str(sample.path), sample.label) for sample in dataset.collect(corpus) if sample.label]
    write_rows(path, rows)
    return rows


def write_rows(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a list of pictures and labels."""
    path.write_text("".join(f"{picture}\t{label}\n" for picture, label in rows), encoding="utf-8")


def peers(none: bool = False) -> list[str]:
    """The installed readers to compare. Names the others on stderr."""
    found = []
    for peer, (module, _) in () if none else PEERS.items():
        if subprocess.run([PEER_PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0:
            found.append(peer)
        else:
            print(f"{peer} is left out: PEER_PYTHON names no Python that has it", file=sys.stderr)
    return found


def texts_of(reader: str, rows: Path) -> list[tuple[str, str]]:
    """Read a list. Returns the label and text of each row. `reader` is a peer or a model of this kit."""
    printed(reader, "list", rows)
    return texts_in(rows)


def files_in(rows: Path) -> list[str]:
    """The path of the picture of each row of a list."""
    return [line.partition("\t")[0] for line in rows.read_text(encoding="utf-8").splitlines()]


def texts_in(rows: Path) -> list[tuple[str, str]]:
    """The label and text of each row, from the file of :func:`write_texts`."""
    labels = [line.partition("\t")[2] for line in rows.read_text(encoding="utf-8").splitlines()]
    texts = rows.with_suffix(".texts").read_text(encoding="utf-8").split("\n")
    return list(zip(labels, texts[:-1], strict=True))


def write_texts(rows: Path, texts: Iterable[str]) -> None:
    lines = (" ".join(text.split()) + "\n" for text in texts)
    rows.with_suffix(".texts").write_text("".join(lines), encoding="utf-8")


def process_of(reader: str, job: str, path: Path) -> list[str]:
    python = PEER_PYTHON if reader in PEERS else sys.executable
    return [python, __file__, reader, job, str(path)]


def printed(reader: str, job: str, path: Path) -> str:
    """Run a reader and return what it prints. Ends the benchmark if the reader fails."""
    done = subprocess.run(process_of(reader, job, path), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        # The last line of a traceback is its message.
        reason = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        raise SystemExit(f"error: {reader} cannot read {path}: {reason}")
    return done.stdout


def answer(reader: str, job: str, path: Path) -> list[str]:
    """Run a reader and return the words of the last line it prints. Peers print advertisements before that line."""
    return printed(reader, job, path).splitlines()[-1].split()


def reading(reader: str) -> Callable[[Iterable[Path | str]], Iterable[str]]:
    """A function that reads picture files in this process."""
    if reader == "ddddocr":
        import ddddocr

        engine = ddddocr.DdddOcr(show_ad=False)
        return functools.partial(map, lambda file: str(engine.classification(Path(file).read_bytes())))
    if reader == "RapidOCR":
        import cv2
        from rapidocr_onnxruntime import RapidOCR

        recogniser = RapidOCR()

        def read(file: Path | str) -> str:
            found, _ = recogniser(cv2.imread(str(file)), use_det=False, use_cls=False)
            return str(found[0][0]) if found else ""

        return functools.partial(map, read)
    if reader == "rapidocr 3.10":
        import cv2
        import rapidocr

        engine = rapidocr.RapidOCR(params={"Global.log_level": "error"})

        def text_of(file: Path | str) -> str:
            found = engine(cv2.imread(str(file)), use_det=False, use_cls=False)
            return str(found.txts[0]) if found.txts else ""

        return functools.partial(map, text_of)
    sys.path.insert(0, str(ROOT))
    from crnn_reader import Reader

    name, _, layouts = reader.removesuffix(ONCE).partition(LAYOUTS)
    if not name.endswith(".onnx"):
        import model  # noqa: F401 (it adds the files of Keras)
    kit = Reader(name, layouts=layouts or None, tta=0.0 if reader.endswith(ONCE) else None)
    return lambda files: (reading.text for reading in kit.read(files))


def serve(reader: str, job: str, path: Path) -> None:
    """Run a job of a reader in this process."""
    read = reading(reader)
    if job == "list":
        write_texts(path, read(files_in(path)))
        return
    files = sorted(path.glob("*.png"))
    if job == "first":
        print(*read(files[:1]), flush=True)
    elif job == "folder":
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as written:
            written.writelines(f"{file},{text}\n" for file, text in zip(files, read(files), strict=True))
    else:
        seconds = []
        for index in range(WARMING + min(ONE_BY_ONE, len(files))):
            started = time.perf_counter()
            list(read([files[index % len(files)]]))
            seconds.append(time.perf_counter() - started)
        cuts = statistics.quantiles(seconds[WARMING:], n=100)
        print(1000 * cuts[49], 1000 * cuts[98])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("reader", metavar="READER")
    parser.add_argument("job", metavar="JOB", choices=("first", "one", "folder", "list"))
    parser.add_argument("path", metavar="PATH", type=Path)
    serve(**vars(parser.parse_args()))
