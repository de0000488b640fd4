"""The command `crnn-reader`: read pictures and print path, text and probability of each, separated by tabs."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from . import Constraint, Reader, UserError
from .image import PICTURE_SUFFIXES


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    0    all pictures were read
    1    some pictures could not be read; stderr names each one with the reason
    2    wrong use, or no picture could be read
    130  interrupted
    """
    parser = argparse.ArgumentParser(prog="crnn-reader", description="Read short text in pictures.")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="pictures, and folders of pictures")
    parser.add_argument(
        "--model",
        default="captcha",
        metavar="NAME|FILE",
        help="shipped name or .onnx file (default: captcha)",
    )
    parser.add_argument("--pattern", metavar="PATTERN", help="pattern of the whole text, such as '[A-Z]{2}\\d{4}'")
    given = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may contain bytes that are not valid UTF-8.
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        reader = Reader(given.model, constraint=given.pattern or Constraint())
        return read(reader, given.paths)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command starts again from the beginning", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The program that reads stdout, such as head, has closed it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def read(reader: Reader, paths: list[str]) -> int:
    """Print a line for each picture and return the exit code. Raises UserError if no picture could be read."""
    readable = unreadable = 0
    for reading in reader.read(pictures(paths)):
        if reading.error is None:
            print(str(reading.source), reading.text, f"{reading.probability:.4f}", sep="\t")
            readable += 1
        else:
            print(str(reading.source), reading.error, sep=": ", file=sys.stderr)
            unreadable += 1
    if not readable:
        raise UserError("no picture was read: give pictures, or folders with pictures")
    return 1 if unreadable else 0


def pictures(paths: list[str]) -> Iterator[str]:
    """Yield the given files, and all pictures in the given folders and their subfolders, sorted by name."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, folders, files in os.walk(path):
            folders.sort()
            for name in sorted(files):
                if Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                    yield os.path.join(folder, name)


if __name__ == "__main__":
    sys.exit(main())
