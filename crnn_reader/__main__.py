"""The command `crnn-reader`: read pictures and print path, text and probability of each, separated by tabs."""

from __future__ import annotations

# Import nothing else before the handler of Ctrl-C is installed: until then, an interruption prints a traceback.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

    from .reader import Reader
else:
    # The built-in module. `signal` would import others.
    import _signal as signal

INTERRUPTED = "interrupted: the same command starts again from the beginning"


def _end_at_once(*_: object) -> None:
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(130)


# While modules are imported, Ctrl-C ends the process, because libraries replace exceptions during their import. Not in
# a program that imports this module, and not in a background job, for which the shell may have set SIG_IGN.
_is_command = __name__ == "__main__" or os.path.basename(sys.argv[0]).startswith("crnn-reader")
if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end_at_once)

import argparse  # noqa: E402 (after the handler)
import io  # noqa: E402

from .errors import UserError, printable  # noqa: E402
from .formats import LIST_LAYOUTS, listing  # noqa: E402


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    0    all pictures were read
    1    some pictures could not be read; stderr names each one with the reason
    2    wrong use, or no picture could be read
    130  interrupted
    """
    parser = argparse.ArgumentParser(prog="crnn-reader", description="Read short text in pictures.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="pictures, and folders of pictures")
    parser.add_argument(
        "--model",
        default="captcha",
        metavar="NAME|FILE",
        help="shipped name or .onnx file (default: captcha)",
    )
    parser.add_argument("--pattern", metavar="PATTERN", help="pattern of the whole text, such as '[A-Z]{2}\\d{4}'")
    parser.add_argument(
        "--layouts",
        metavar="NAMES|none|help",
        help="read only plates of these layouts, such as de,pl_car; none ignores the formats in the model file, help "
        "lists them",
    )
    given = parser.parse_args(argv)
    # The parent process may have closed these, and print() would write errors to stdout.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may contain bytes that are not valid UTF-8.
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        if given.layouts == LIST_LAYOUTS:
            return list_layouts(given.model)
        if not given.paths:
            parser.error("the following arguments are required: PATH")
        return read(opened(given.model, given.pattern, given.layouts), given.paths)
    except UserError as error:
        warn(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        warn(INTERRUPTED)
        return 130
    except OSError as error:
        # Python would flush stdout again at exit, fail, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            # The program that reads stdout, such as head, has closed it.
            return 0
        warn(f"error: the readings cannot be written ({error.strerror}): free some space or choose another place")
        return 2


def list_layouts(model: str) -> int:
    """Print the layouts of a model file, one per line, and return the exit code."""
    from .model_files import locate_model, read_config

    path = locate_model(model)
    for line in listing(read_config(path).formats, str(path)):
        print(printable(line))
    return 0


def opened(model: str, pattern: str | None, layouts: str | None) -> Reader:
    """Open the model. Afterwards, Ctrl-C raises KeyboardInterrupt."""
    # Imported here, so that --help is fast.
    from . import Constraint, Reader

    reader = Reader(model, constraint=Constraint() if pattern is None else pattern, layouts=layouts)
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return reader


def warn(message: str) -> None:
    """Print a message on stderr, in one line."""
    print(printable(message), file=sys.stderr)


def read(reader: Reader, paths: list[str]) -> int:
    """Print a line for each picture and return the exit code. Raises UserError if no picture could be read."""
    readable = unreadable = 0
    for reading in reader.read(pictures(paths)):
        name = str(reading.source)
        if reading.error is None:
            print("\t".join(map(printable, (name, reading.text, f"{reading.probability:.4f}"))))
            readable += 1
        else:
            warn(f"{name}: {reading.error}")
            unreadable += 1
    if not readable:
        raise UserError("no picture was read: give pictures, or folders with pictures")
    return 1 if unreadable else 0


def pictures(paths: list[str]) -> Iterator[str]:
    """Yield the given files, and all pictures in the given folders and their subfolders, sorted by name.

    A folder that cannot be listed is yielded itself, so that it gets an error.
    """
    from .image_headers import PICTURE_SUFFIXES

    unlisted: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, folders, files in os.walk(path, onerror=lambda error: unlisted.append(error.filename)):
            folders.sort()
            for name in sorted(files):
                if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES and not name.startswith("."):
                    yield os.path.join(folder, name)
    yield from unlisted


if __name__ == "__main__":
    sys.exit(main())
