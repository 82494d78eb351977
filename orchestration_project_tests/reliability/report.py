"""Writes docs/reliability.md: what the tests of each promise tried, and what they found.

As a pytest plugin it keeps the results of a run, which is of one kind of warehouse; as a program it writes the page
of the results of several runs. `make torture` does both. Tests tell by their markers which promise they hold and which
defect they pin; see `evidence`.
"""

import datetime as dt
import importlib
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from orchestration_project_tests.reliability.evidence import PROMISES, TORTURE
from orchestration_project_tests.servers.warehouses import FILE, POSTGRES, SQLITE, kind

PACKAGES = ("dagster", "duckdb", "hypothesis", "pytest")
KINDS = {
    FILE: "a DuckDB file",
    SQLITE: "a lake with its catalog in SQLite",
    POSTGRES: "a lake with its catalog in PostgreSQL and its rows on S3",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one test of a promise came to."""

    test: str
    promise: str
    cases: int
    found: Sequence[str]
    measured: Sequence[str]
    outcome: str

    @property
    def module(self) -> str:
        """The test's file."""
        return self.test.split("::", maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Run:
    """What the tests of the promises came to on one kind of warehouse.

    Attributes:
        warehouse: the kind.
        told: when, for how long, and with what it was.
        results: of each test.
    """

    warehouse: str
    told: str
    results: Sequence[Result]

    @classmethod
    def read(cls, path: Path) -> "Run":
        """The run that a file was written of."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(found["warehouse"], found["told"], [Result(**result) for result in found["results"]])


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that asks for the results."""
    parser.addoption("--reliability-results", metavar="PATH", help="keep the results of the tests of the promises")


def pytest_configure(config: pytest.Config) -> None:
    """Collect results where they are asked for, in the process that has them all."""
    path = config.getoption("--reliability-results")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collector(Path(path)))


class Collector:
    """Collects the results of the run and writes them at its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: list[Result] = []
        self.began = dt.datetime.now(dt.UTC)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test of a promise tells."""
        properties = dict(report.user_properties)
        if "promise" in properties and (report.when == "call" or report.failed):
            found, measured = (_all(report, name) for name in ("found", "measured"))
            cases = int(str(properties["cases"]))
            promise = str(properties["promise"])
            self.results.append(Result(report.nodeid, promise, cases, found, measured, report.outcome))

    def pytest_sessionfinish(self) -> None:
        """Write the results."""
        minutes = (dt.datetime.now(dt.UTC) - self.began).total_seconds() / 60
        packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        told = (
            f"Run of {self.began.date()}, {'long' if TORTURE else 'short'} form, {minutes:.0f} minutes on"
            f" {os.cpu_count()} cores, Python {platform.python_version()}, {packages}."
        )
        run = Run(kind(), told, self.results)
        self.path.write_text(json.dumps(asdict(run)), encoding="utf-8")


def _all(report: pytest.TestReport, property_name: str) -> Sequence[str]:
    """What a test tells under a name, in order."""
    return tuple(str(value) for name, value in report.user_properties if name == property_name)


def written(runs: Sequence[Run]) -> Iterable[str]:
    """The lines of the report: all of the first run, and what each promise came to in the others."""
    first, *others = runs
    yield from ("# Reliability", "")
    yield "What is promised, how it is tested, what was tried and found. Written by `make torture`; do not edit."
    yield from ("", f"On {KINDS[first.warehouse]}. {first.told}", "")
    yield "| promise | tests | cases tried | failed | defects found and fixed |"
    yield "|---|---:|---:|---:|---:|"
    for name, its in _by_promise(first):
        yield f"| {name} | {_figures(its)} | {len(_found(its))} |"
    for run in others:
        yield from _beside(run)
    for key, promise in PROMISES.items():
        yield from _section(promise, [result for result in first.results if result.promise == key])


def _beside(run: Run) -> Iterable[str]:
    """What the same tests came to on another kind of warehouse, without those that are about the file itself."""
    yield from ("", f"On {KINDS[run.warehouse]}. {run.told}", "")
    yield from ("| promise | tests | cases tried | failed |", "|---|---:|---:|---:|")
    yield from (f"| {name} | {_figures(its)} |" for name, its in _by_promise(run))
    if failed := [result.test for result in run.results if result.outcome == "failed"]:
        yield from ("", "Failed:", "", *(f"- `{test}`" for test in failed))


def _by_promise(run: Run) -> Iterable[tuple[str, Sequence[Result]]]:
    """The results for each promise, then all of them."""
    for key, promise in PROMISES.items():
        yield promise, [result for result in run.results if result.promise == key]
    yield "**All**", run.results


def _figures(results: Sequence[Result]) -> str:
    failed = sum(result.outcome == "failed" for result in results)
    return f"{len(results):,} | {sum(result.cases for result in results):,} | {failed}"


def _found(results: Iterable[Result]) -> dict[str, str]:
    """Each defect with a test that pins it."""
    return {defect: result.test.split("[")[0] for result in results for defect in result.found}


def _section(promise: str, results: Sequence[Result]) -> Iterable[str]:
    modules: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        modules[result.module].append(result)
    yield from ("", f"## {promise}", "", "| how it is tested | tests | cases tried | failed |", "|---|---:|---:|---:|")
    for module, its in sorted(modules.items()):
        yield f"| {_purpose(module)} (`{module}`) | {_figures(its)} |"
    if measured := {sentence: result.test for result in results for sentence in result.measured}:
        yield from ("", "Measured:", "")
        yield from (f"- {_sentence(sentence)} (`{test}`)" for sentence, test in measured.items())
    if found := _found(results):
        yield from ("", "Found and fixed:", "")
        yield from (f"- {_sentence(defect)} (`{test}`)" for defect, test in found.items())


def _purpose(module: str) -> str:
    """The first paragraph of a module's docstring."""
    text = importlib.import_module(module.removesuffix(".py").replace("/", ".")).__doc__ or ""
    return " ".join(text.split("\n\n")[0].split())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


if __name__ == "__main__":
    page, *files = map(Path, sys.argv[1:])
    page.write_text("\n".join(written([Run.read(file) for file in files])) + "\n", encoding="utf-8")
