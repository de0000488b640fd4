"""What other readers say of the pictures of a list: `python benchmarks/peers.py ddddocr|RapidOCR LIST TEXTS`.

LIST has `path<TAB>label` on each line, TEXTS gets `label<TAB>text`. Prints the pictures read per second, one after the
other. They are the packages ddddocr and rapidocr-onnxruntime (its recogniser alone), which may be in an environment of
their own: PEER_PYTHON names its interpreter then. Nothing else is needed there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

#: What each is imported as, and the name of its package.
PEERS = {"ddddocr": ("ddddocr", "ddddocr"), "RapidOCR": ("rapidocr_onnxruntime", "rapidocr-onnxruntime")}
PYTHON = os.environ.get("PEER_PYTHON", sys.executable)


def main() -> None:
    peer, listed, texts = sys.argv[1:]
    read = reading(peer)
    rows = [line.split("\t") for line in Path(listed).read_text(encoding="utf-8").splitlines()]
    started = time.monotonic()
    lines = [f"{label}\t{read(path)}\n" for path, label in rows]
    speed = len(rows) / (time.monotonic() - started)
    Path(texts).write_text("".join(lines), encoding="utf-8")
    # The last line: they print advertisements.
    print(speed)


def reading(peer: str) -> Callable[[Path | str], str]:
    """From a file's name to its text, in this process."""
    if peer == "ddddocr":
        import ddddocr

        engine = ddddocr.DdddOcr(show_ad=False)
        return lambda file: str(engine.classification(Path(file).read_bytes()))
    import cv2
    from rapidocr_onnxruntime import RapidOCR

    recogniser = RapidOCR()

    def read(file: Path | str) -> str:
        found, _ = recogniser(cv2.imread(str(file)), use_det=False, use_cls=False)
        return str(found[0][0]) if found else ""

    return read


def are_there() -> list[str]:
    """The peers that are installed; the others are named on stdout."""
    found = []
    for peer, (module, _) in PEERS.items():
        if subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0:
            found.append(peer)
        else:
            print(f"{peer} is not installed (PEER_PYTHON): left out")
    return found


def texts_of(peer: str, listed: Path, texts: Path) -> tuple[list[tuple[str, str]], float]:
    """Truth and text of each row of `listed`, by way of the file `texts`, and pictures/s."""
    command = [PYTHON, __file__, peer, str(listed), str(texts)]
    speed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    pairs = [line.partition("\t")[::2] for line in texts.read_text(encoding="utf-8").splitlines()]
    return pairs, float(speed)


if __name__ == "__main__":
    main()
