"""Data runs one way, from generate_captcha by dataset to model; the commands alone bring them together."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.processes import finished

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"generate_captcha", "dataset", "model"}


def imported(file: Path) -> set[str]:
    """The first names of the modules that a file imports, inside functions, too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_packages_do_not_know_one_another(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    assert not [str(file) for file in files if imported(file) & (PACKAGES - {package})]


# A module that has the name of a function takes its place in the package once it is imported.
EVERYTHING = """
import importlib, pkgutil, types
import dataset

for module in pkgutil.walk_packages(dataset.__path__, "dataset."):
    if module.name != "dataset.__main__":
        importlib.import_module(module.name)
for name in dataset.__all__:
    assert not isinstance(getattr(dataset, name), types.ModuleType), name
    assert name in dir(dataset), name
assert not hasattr(dataset, "nothing")
"""


def test_public_names_of_dataset_are_functions_and_classes() -> None:
    finished([sys.executable, "-c", EVERYTHING], cwd=ROOT, check=True)


def test_reading_imports_nothing_of_training(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 160), 200, np.uint8))
    code = (
        "import sys\n"
        "import prediction, console, parameter\n"
        "sys.argv = ['prediction.py', sys.argv[1], '--model', 'captcha_lite']\n"
        "try:\n    console.run(prediction.main, parameter.PredictionParameters)\n"
        "finally:\n    print(*(name for name in sys.modules if name.partition('.')[0] in ('dataset', 'keras')))\n"
    )
    modules = finished([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True).stdout.split()
    assert "dataset.forms" in modules
    assert not {"dataset.cache", "dataset.batches", "dataset.augmentation", "keras"} & set(modules)
