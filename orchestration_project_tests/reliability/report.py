"""pytest plugin that writes docs/reliability.md: what the tests of each promise tried in a run, and what they found.

`make torture` uses it. Tests tell by their markers which promise they hold and which defect they pin; see `evidence`.
"""

import datetime as dt
import importlib
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from orchestration_project_tests.reliability.evidence import PROMISES, TORTURE

PACKAGES = ("dagster", "duckdb", "hypothesis", "pytest")


@dataclass(frozen=True, slots=True)
class Result:
    """What one test of a promise came to."""

    test: str
    promise: str
    cases: int
    found: tuple[str, ...]
    measured: tuple[str, ...]
    outcome: str

    @property
    def module(self) -> str:
        """The test's file."""
        return self.test.split("::", maxsplit=1)[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that asks for the report."""
    parser.addoption("--reliability-report", metavar="PATH", help="write the reliability report of this run")


def pytest_configure(config: pytest.Config) -> None:
    """Collect results where a report is asked for, in the process that has them all."""
    path = config.getoption("--reliability-report")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collector(Path(path)))


class Collector:
    """Collects the results of the run and writes the report at its end."""

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
        """Write the report."""
        minutes = (dt.datetime.now(dt.UTC) - self.began).total_seconds() / 60
        text = "\n".join(written(self.results, self.began.date(), minutes))
        self.path.write_text(text + "\n", encoding="utf-8")


def _all(report: pytest.TestReport, property_name: str) -> tuple[str, ...]:
    """What a test tells under a name, in order."""
    return tuple(str(value) for name, value in report.user_properties if name == property_name)


def written(results: Sequence[Result], day: dt.date, minutes: float) -> Iterable[str]:
    """The lines of the report."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield "# Reliability"
    yield ""
    yield "What is promised, how it is tested, what was tried and found. Written by `make torture`; do not edit."
    yield ""
    yield (
        f"Run of {day}, {'long' if TORTURE else 'short'} form, {minutes:.0f} minutes on {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, {packages}."
    )
    yield ""
    yield "| promise | tests | cases tried | failed | defects found and fixed |"
    yield "|---|---:|---:|---:|---:|"
    for key, promise in PROMISES.items():
        its = [result for result in results if result.promise == key]
        yield f"| {promise} | {_figures(its)} | {len(_found(its))} |"
    yield f"| **All** | {_figures(results)} | {len(_found(results))} |"
    for key, promise in PROMISES.items():
        yield from _section(promise, [result for result in results if result.promise == key])


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
