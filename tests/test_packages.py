"""Packages import in one direction and without circles; only commands join generate_captcha, dataset and model."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.processes import finished

ROOT = Path(__file__).resolve().parents[1]


def test_packages_import_in_one_direction() -> None:
    """The contracts of pyproject.toml."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"
    done = finished([sys.executable, "-c", code], cwd=ROOT)
    assert done.returncode == 0, done.stdout


def strings(file: Path) -> Iterator[str]:
    """The texts in a module, without its docstrings. Values in f-strings are shown as X."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    left_out = {part for each in ast.walk(tree) if isinstance(each, ast.JoinedStr) for part in each.values}
    for each in ast.walk(tree):
        if isinstance(each, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(each.body[0], ast.Expr):
            left_out.add(each.body[0].value)
    for each in ast.walk(tree):
        if isinstance(each, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in each.values)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str) and each not in left_out:
            yield each.value


def without_commands(package: str) -> Iterator[Path]:
    """The modules of a package that are no commands."""
    commands = {"__main__.py", "convert.py", "unpack.py"}
    return (file for file in (ROOT / package).rglob("*.py") if file.name not in commands)


@pytest.mark.parametrize("package", ["crnn_reader", "dataset", "generate_captcha", "model"])
def test_packages_name_no_flags(package: str) -> None:
    """They name parameters, and commands add the flags. A whole command line may be in a message."""
    for file in without_commands(package):
        for text in strings(file):
            before_command = re.split("python |docker run ", text)[0]
            assert not re.search(r"(?<![\w-])--[a-z]", before_command), (file, text)


@pytest.mark.parametrize("package", ["crnn_reader", "dataset", "generate_captcha", "model", "parameter"])
def test_packages_print_nothing(package: str) -> None:
    """They log, and commands print the log."""
    printing = {"print", "print_line", "print_table", "print_while_read", "warn"}
    for file in without_commands(package):
        names = {each.id for each in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(each, ast.Name)}
        assert not names & printing, file


def test_relative_imports_only_in_the_library() -> None:
    """So it finds its own modules wherever it is installed."""
    for file in (ROOT / "crnn_reader").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) crnn_reader", file.read_text(encoding="utf-8"), re.M), file


# An imported module replaces a function of the same name in the package.
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
        "import prediction, parameter\nfrom cli.command import run_command\n"
        "sys.argv = ['prediction.py', sys.argv[1], '--model', 'captcha_lite']\n"
        "try:\n    run_command(prediction.main, parameter.PredictionParameters)\n"
        "finally:\n    print(*(name for name in sys.modules if name.partition('.')[0] in ('dataset', 'keras')))\n"
    )
    modules = finished([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True).stdout.split()
    assert "dataset.formats" in modules
    assert not {"dataset.cache", "dataset.batches", "dataset.augmentation", "keras"} & set(modules)
