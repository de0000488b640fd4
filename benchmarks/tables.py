"""Write the tables of figures in docs/*.md from the CSV files of benchmarks/results.

    python benchmarks/tables.py            # rewrite the tables
    python benchmarks/tables.py --check    # exit code 1 if a table differs from the results

A table stands between two comments:

    <!-- table: reading job=readers rows=variant columns=measure head=reader machine="AMD EPYC (Zen 4), 2 cores" -->
    <!-- end -->

The first word is the name of a CSV file. `rows` and `columns` name the CSV columns that label rows and columns of the
table, `head` the first heading or headings. `show` is `figure` (the default), `ratio` (or the figure if a row has no
ratio), or `both`. Any other word `COLUMN=VALUE` selects the rows with this value, or with one of several values
separated by `|`. If several rows fit one cell, the last one counts. n, machine, date and version are printed below the
table; n is printed in the table if it differs between shares.
"""

from __future__ import annotations

import argparse
import csv
import re
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.harness import FIELDS, RESULTS, ROOT, Help, cell, with_commas

PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

Row = dict[str, str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--check", action="store_true", help="change nothing, and report tables that are out of date")
    given = parser.parse_args()
    changed = [page for page in PAGES if with_tables(page.read_text("utf-8")) != page.read_text("utf-8")]
    for page in changed:
        if given.check:
            print(f"{page} differs from the results: run python benchmarks/tables.py", file=sys.stderr)
        else:
            page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
    return int(given.check and bool(changed))


def with_tables(page: str, results: Path = RESULTS) -> str:
    """The text of a page with its tables replaced by those of the results."""
    return BLOCK.sub(lambda found: found[1] + table(found[2], results) + found[3], page)


def rows_of(name: str, results: Path = RESULTS, **values: str) -> list[Row]:
    """The rows of a CSV file whose columns have the given values. A value may be several, separated by `|`."""
    with (results / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if all(row[column] in value.split("|") for column, value in values.items())]


def table(description: str, results: Path) -> str:
    """Markdown of a table, and a line about its rows."""
    name, *words = shlex.split(description)
    values = dict(word.split("=", 1) for word in words)
    down, across = (values.pop(key).split(",") for key in ("rows", "columns"))
    head, show = values.pop("head", ",".join(down)).split(","), values.pop("show", "figure")
    if unknown := {*down, *across, *values} - set(FIELDS):
        raise ValueError(f"table {description!r}: no column {', '.join(sorted(unknown))} in the results")
    cells: dict[tuple[str, ...], dict[tuple[str, ...], Row]] = {}
    headings: dict[tuple[str, ...], list[Row]] = {}
    for row in rows_of(name, results, **values):
        heading = tuple(row[column] for column in across)
        cells.setdefault(tuple(row[column] for column in down), {})[heading] = row
        headings.setdefault(heading, []).append(row)
    if not cells:
        raise ValueError(f"table {description!r}: no row of {name}.csv fits")
    # The heading has the unit if all figures share it, except for per cent, which is written after each figure.
    units = {heading: {row["unit"] for row in rows} for heading, rows in headings.items()}
    common = {heading: unit.copy().pop() for heading, unit in units.items() if len(unit) == 1 and unit != {"%"}}
    titles = [", ".join(filter(None, (*heading, common.get(heading, "")))) for heading in headings]
    counts = {row["n"] for found in cells.values() for row in found.values() if row["low"] or row["ratio_low"]}
    lines = [[*head, *titles], ["---" for _ in (*head, *titles)]]
    for label, found in cells.items():
        with_n = len(counts) > 1 and "n" not in down
        figures = [shown(found[h], show, h not in common, with_n) if h in found else "" for h in headings]
        lines.append([*map(named, label), *figures])
    n = f"n = {with_commas(counts.pop())}. " if len(counts) == 1 and "n" not in down else ""
    return "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{n}{provenance(cells)}\n\n"


def named(label: str) -> str:
    """Format a label: numbers with commas, flags as code."""
    return with_commas(label) if label.isdigit() else f"`{label}`" if label.startswith("--") else label


def shown(row: Row, show: str, with_unit: bool, with_n: bool) -> str:
    if with_n and row["unit"] == "%":
        return f"{cell(row)} of {with_commas(row['n'])}"
    figure, ratio = cell(row, with_unit=with_unit), cell(row, "ratio", with_unit=show == "both")
    if show == "both" and ratio:
        return f"{figure}; {ratio} as fast as {row['ratio_to']}"
    return ratio if show == "ratio" and ratio else figure


def provenance(cells: dict[tuple[str, ...], dict[tuple[str, ...], Row]]) -> str:
    """Where and when the rows were measured. Several machines are listed with the labels of their columns or rows."""
    rows = [(label, heading, row) for label, found in cells.items() for heading, row in found.items()]
    machines = list(dict.fromkeys(row["machine"] for _, _, row in rows))
    labels: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    times: dict[str, dict[str, None]] = {}
    for label, heading, row in rows:
        times.setdefault(row["machine"], {})[f"{row['date']} ({row['version']})"] = None
        downs, acrosses = labels.setdefault(row["machine"], ({}, {}))
        downs[", ".join(label)] = acrosses[", ".join(heading)] = None
    # Use the labels of the columns if each column has one machine.
    which = int(sum(len(acrosses) for _, acrosses in labels.values()) == len({heading for _, heading, _ in rows}))
    statements = []
    for machine in machines:
        what = f" ({'; '.join(labels[machine][which])})" if len(machines) > 1 else ""
        statements.append(f"{machine}{what}, {' and '.join(times[machine])}")
    return f"Measured on {'; on '.join(statements)}."


if __name__ == "__main__":
    sys.exit(main())
