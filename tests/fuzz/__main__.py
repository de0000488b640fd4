"""Fuzz one kind of input: `python -m tests.fuzz pictures --cases 200`; see README.md."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

from tests.fuzz import kinds
from tests.fuzz.kinds import KINDS, Facts, Kind
from tests.fuzz.mutators import Mutation, copied, damage
from tests.fuzz.oracle import Case, Verdict, fresh, judge, memory

#: How many failures of one cause to show; further ones are counted.
SHOWN = 1


class Campaign:
    """The cases of one kind. A case depends only on the kind, the seed and its index."""

    def __init__(self, name: str, seed: int, work: Path) -> None:
        self.name, self.kind, self.seed = name, KINDS[name], seed
        self._seeds, self._case = work / "seeds", work / "case"
        kinds.load(self.kind)
        self._seeds.mkdir()
        _make_in_a_child_process(self.kind, self._seeds)
        self.variants = sorted(path.name for path in self._seeds.iterdir())
        self._others = sorted(path for path in self._seeds.rglob("*") if path.is_file())
        self._expected: dict[tuple[str, str], Facts] = {}

    def build(self, index: int, folder: Path) -> tuple[str, list[Mutation]]:
        """Write the damaged input of a case to `folder`. Returns the seed that it was made from, and the mutations."""
        rng = random.Random(f"{self.name} {self.seed} {index}")
        variant = rng.choice(self.variants)
        self._sound(variant, folder)
        return variant, damage(folder, rng, self.kind.strays, self.kind.within, self._others)

    def _sound(self, variant: str, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        copied(self._seeds / variant, folder)
        if self.kind.prepare:
            with contextlib.chdir(folder):
                self.kind.prepare()

    def case(self, index: int) -> tuple[Verdict, list[Mutation]]:
        """Run a case and judge it."""
        variant, mutations = self.build(index, self._case)

        def run(case: Case) -> Facts:
            return self.kind.run(case, random.Random(f"run {self.name} {self.seed} {index}"))

        verdict = judge(self._case, run, self.kind.writes, self.kind.seconds)
        strays = [mutation for mutation in mutations if Path(mutation.path).name in self.kind.strays]
        damaged = {mutation.path for mutation in mutations}
        sound_ones = any(
            path.is_file() and str(path.relative_to(self._case)) not in damaged for path in self._case.rglob("*")
        )
        if not verdict.wrong and self.kind.same == "untouched" and 2 in verdict.codes and sound_ones and not strays:
            verdict.wrong = verdict.signature = "a file stops the whole folder"
        if not verdict.wrong and verdict.facts and not (strays and self.kind.same == "untouched"):
            of = variant, next(iter(verdict.facts)).split(" ")[0] if self.kind.same == "untouched" else ""
            if of not in self._expected:
                self._sound(variant, self._case)
                sound = judge(self._case, run, self.kind.writes, self.kind.seconds)
                self._expected[of] = sound.facts
            found = kinds.wrong_facts(self.kind, self._expected[of], verdict.facts, mutations)
            verdict.wrong, verdict.signature = found, f"other facts: {found.split(' ')[0]}" if found else ""
        return verdict, mutations


def _make_in_a_child_process(kind: Kind, folder: Path) -> None:
    """Make the seeds. This starts threads of frameworks, and a process with threads should not fork."""
    child = os.fork()
    if not child:
        code = 1
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                kind.make(folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the seeds could not be made")


def main() -> int:
    """Run a campaign and print its failures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, metavar="I", help="index of the first case")
    parser.add_argument("--cases", type=int, metavar="N", help="number of cases (default: as in the test suite)")
    parser.add_argument("--minutes", type=float, help="run this long instead of a number of cases")
    parser.add_argument("--keep", metavar="DIR", help="folder for the inputs of failures (default: a temporary folder)")
    given = parser.parse_args()
    due = time.monotonic() + 60 * given.minutes if given.minutes else None
    cases = given.cases or KINDS[given.kind].cases or 1
    kept = Path(given.keep or tempfile.mkdtemp(prefix=f"crnn-kit-fuzz-{given.kind}-"))
    # Mutators make unusual archives on purpose, which cause warnings.
    warnings.simplefilter("ignore")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    failures, codes, slowest, largest = Counter[str](), Counter[int](), 0.0, 0.0
    started, done = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="crnn-kit-fuzz-") as work:
        campaign = Campaign(given.kind, given.seed, Path(work).resolve())
        resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + (6 << 30), hard))
        while time.monotonic() < due if due else done < cases:
            index = given.first + done
            verdict, mutations = campaign.case(index)
            done += 1
            codes.update(verdict.codes)
            slowest, largest = max(slowest, verdict.seconds), max(largest, verdict.megabytes)
            if not verdict.wrong:
                continue
            failures[verdict.signature] += 1
            if failures[verdict.signature] > SHOWN:
                continue
            saved = kept / f"{given.kind}-{given.seed}-{index}"
            fresh(saved)
            campaign.build(index, saved)
            print(f"\nFAILED {given.kind} {index}: {verdict.wrong}")
            print(f"  again: python -m tests.fuzz {given.kind} --seed {given.seed} --first {index} --cases 1")
            print(f"  input: {saved}")
            print("".join(f"  damaged: {mutation}\n" for mutation in mutations), end="")
            print("".join(f"  | {line[:400]}\n" for line in verdict.output.splitlines()[-40:]), end="", flush=True)
    if not failures and not given.keep:
        kept.rmdir()
    for signature, count in failures.most_common():
        print(f"{count:6,} times: {signature}")
    print(
        f"{given.kind}: {done:,} cases in {(time.monotonic() - started) / 60:.1f} minutes, {sum(failures.values()):,} "
        f"failed in {len(failures)} ways; exit codes {dict(sorted(codes.items()))}; at most {slowest:.1f} s and "
        f"{largest:,.0f} MB"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
