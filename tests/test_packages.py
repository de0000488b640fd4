"""Data runs one way, from generate_captcha by dataset to model; the commands alone bring them together."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

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
