"""A new entry of a registry is one file and one name: commands, contract tests and documentation have it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.registries import constant, names
from parameter import STYLES
from tests.processes import finished

ROOT = Path(__file__).parents[1]


class Registry(NamedTuple):
    """A registry, and where its entries must appear."""

    package: str
    #: The command that lists the entries in its help.
    command: str
    #: The page whose tables have a cell with each entry.
    page: str
    #: The file of a new entry `throwaway`.
    source: str
    #: Files of contract tests, whose parameters name each entry.
    tests: str


REGISTRIES = {
    "style": Registry(
        "generate_captcha.styles",
        "-m generate_captcha",
        "training.md",
        "from generate_captcha.styles.dots import Dots\n\n"
        'PROPERTIES = {"size": "90x30", "own": ("difficulty",)}\n\n\nclass Throwaway(Dots):\n    pass\n',
        "tests/generate_captcha/test_styles.py",
    ),
    "format": Registry(
        "dataset.formats",
        "-m dataset convert",
        "formats.md",
        "from dataset.formats.sidecar import FORMAT as SIDECAR\n\n"
        'WRITES = ("throwaway",)\n\n\nclass Throwaway(type(SIDECAR)):\n'
        "    def matches(self, path):\n        return False\n\n\nFORMAT = Throwaway()\n",
        "tests/dataset/test_convert.py",
    ),
    "backbone": Registry(
        "model.backbones",
        "training.py",
        "networks.md",
        "from model.backbones import Backbone\nfrom model.backbones.vgg import vgg\n\n"
        'BACKBONE = Backbone(vgg, "summed")\n',
        "tests/model/test_networks.py",
    ),
    "sequence": Registry(
        "model.sequences",
        "training.py",
        "networks.md",
        "def throwaway(columns, preset, published):\n    return columns\n",
        "tests/model/test_networks.py",
    ),
    "head": Registry(
        "model.heads",
        "training.py",
        "networks.md",
        "from model.heads.ctc import CTC\n\nHEAD = CTC()\n",
        "tests/model/test_networks.py",
    ),
    "rectifier": Registry(
        "model.rectifiers",
        "training.py",
        "networks.md",
        "def throwaway(images):\n    return images\n",
        "tests/model/test_networks.py",
    ),
    "export form": Registry(
        "model.export",
        "export.py",
        "export.md",
        'from model.export.onnx import opened, write\n\nPROPERTIES = {"suffix": ".throwaway"}\n',
        "tests/model/test_export.py",
    ),
    "decoder": Registry(
        "crnn_reader.decoding",
        "prediction.py",
        "networks.md",
        'from .ctc import CTCDecoder\n\nDECODER, HEADS = CTCDecoder, ("throwaway",)\n',
        "tests/model/test_networks.py",
    ),
}


def offered(registry: Registry) -> list[str]:
    """The names that a command offers: of a format those that can be written, of the others all entries."""
    if registry.package != "dataset.formats":
        return list(names(registry.package))
    return [name for entry in names(registry.package) for name in constant(f"{registry.package}.{entry}", "WRITES", ())]


def undocumented(registry: Registry, entries: list[str]) -> list[str]:
    """The entries that no table of the registry's page has, as `name`, `_name` or `--form name`."""
    table = [line for line in (ROOT / "docs" / registry.page).read_text("utf-8").splitlines() if line.startswith("|")]
    return [name for name in entries if not re.search(rf"`(--\w+ |_)?{re.escape(name)}`", "\n".join(table))]


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_entry_is_in_a_table_of_the_documentation(kind: str) -> None:
    registry = REGISTRIES[kind]
    assert undocumented(registry, offered(registry)) == []
    assert undocumented(registry, ["throwaway"]) == ["throwaway"]


def test_the_table_of_styles_has_their_defaults() -> None:
    section = (
        (ROOT / "docs" / "training.md").read_text("utf-8").partition("## Generated pictures")[2].partition("##")[0]
    )
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\S+) \| (.+) \|$", section, re.M)
    sizes, lengths = ({row[0]: row[place] for row in rows} for place in (1, 2))
    assert sizes == {name: style.size for name, style in STYLES.items()}
    without_length = {"plate": "by layout", "no_plate": "no text", "arithmetic": "tasks"}
    assert lengths == {name: without_length.get(name, style.length) for name, style in STYLES.items()}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the clone in which every registry has an entry more: a file, and its name in the tuple NAMES."""
    clone = tmp_path_factory.mktemp("clone")
    # DB and all weights but the small ones are left out.
    left_out = shutil.ignore_patterns("[.]*", "__pycache__", "runs", "DB", "docs", "build", "*.egg-info")
    shutil.copytree(ROOT, clone, ignore=left_out, dirs_exist_ok=True)
    for registry in REGISTRIES.values():
        package = clone.joinpath(*registry.package.split("."))
        (package / "throwaway.py").write_text(registry.source)
        init = package / "__init__.py"
        text, count = re.subn(r"^NAMES = \(", 'NAMES = ("throwaway", ', init.read_text("utf-8"), flags=re.M)
        assert count == 1
        init.write_text(text, "utf-8")
    return clone


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_new_entry_is_in_the_help(kind: str, extended: Path) -> None:
    command = [sys.executable, *REGISTRIES[kind].command.split(), "--help"]
    assert "throwaway" in finished(command, cwd=extended, check=True).stdout


def test_contract_tests_run_over_new_entries(extended: Path) -> None:
    files = sorted({registry.tests for registry in REGISTRIES.values()})
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "slow or not slow", *files]
    tests = finished(collect, cwd=extended, check=True).stdout.splitlines()
    for kind, registry in REGISTRIES.items():
        assert any(test.startswith(registry.tests) and "throwaway" in test for test in tests), kind
    # Tests of whole networks have a backbone, a sequence, a head, a rectifier and a preset as parameters.
    parameters = [test.partition("[")[2].rstrip("]").split("-") for test in tests if "test_networks" in test]
    for place in range(4):
        assert any(stages[place] == "throwaway" for stages in parameters if len(stages) == 5), place


def test_a_new_style_draws_and_a_new_format_is_written(extended: Path, tmp_path: Path) -> None:
    def run(command: str) -> subprocess.CompletedProcess[str]:
        return finished([sys.executable, *command.split()], cwd=extended, check=True)

    run(f"-m generate_captcha --style throwaway --difficulty 1 --count 3 --out {tmp_path / 'pictures'}")
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3
    run(f"-m dataset convert {tmp_path / 'pictures'} {tmp_path / 'written'} --form throwaway")
    assert len(list((tmp_path / "written").rglob("*.txt"))) == 3
