"""What RapidOCR's recogniser reads in the pictures of a list, for comparison: `python benchmarks/rapid.py LIST TEXTS`.

LIST has `path<TAB>label` on each line, TEXTS gets `label<TAB>text`. Prints the pictures read per second. Needs the
package rapidocr-onnxruntime, which may be in an environment of its own: PEER_PYTHON names its interpreter then.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    import cv2
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR()
    rows = [line.split("\t") for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    started, lines = time.monotonic(), []
    for path, label in rows:
        result, _ = engine(cv2.imread(path), use_det=False, use_cls=False)
        lines.append(f"{label}\t{result[0][0] if result else ''}\n")
    print(f"{len(rows) / (time.monotonic() - started):,.0f}")
    Path(sys.argv[2]).write_text("".join(lines), encoding="utf-8")


def read(listed: Path, texts: Path) -> tuple[list[tuple[str, str]], float]:
    """Truth and text of each row of `listed`, by way of the file `texts`, and pictures/s."""
    command = [os.environ.get("PEER_PYTHON", sys.executable), __file__, str(listed), str(texts)]
    speed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    pairs = [line.partition("\t")[::2] for line in texts.read_text(encoding="utf-8").splitlines()]
    return pairs, float(speed.replace(",", ""))


if __name__ == "__main__":
    main()
