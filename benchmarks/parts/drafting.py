"""How many edits the drafts of `new-feed` need on the corpus, and how long drafting takes."""

import sys
from collections.abc import Iterable

from benchmarks.drafting.compare import KINDS
from benchmarks.drafting.corpus import SETS
from benchmarks.drafting.score import Score, score
from benchmarks.drafting.shared import SHARED, shared_score
from benchmarks.drafting.speed import LARGE
from benchmarks.measure import Contender, take_turns, tell
from benchmarks.report import UNKNOWN, Section, Target, megabytes, seconds
from benchmarks.session import Session

INTRO = """`new-feed` drafts a contract from samples in the forms of known programs, and from samples with faults of
real exports. Each draft is compared with a contract that was made by hand. An edit is
[one line that a person changes](../benchmarks/drafting/__init__.py). Where a peak memory stands, the command ran in a
process of its own, and its start counts; else it does not."""


def measure(session: Session) -> Section:
    """Score all sets, and time the large ones."""
    section = Section("Drafting", INTRO, ["set", "columns", "edits", "by kind", "time", "peak memory"])
    scores = [score(chosen, session.folder(f"set-{chosen.name}")) for chosen in SETS.values()]
    scores += [shared_score(real, session.folder(f"set-{real.name}")) for real in SHARED if real.files]
    section.rows += [_row(item) for item in (*scores, _sum(scores))]
    for item in scores:
        for line in str(item).splitlines():
            tell(f"{item.name}, {line}")
    _time(session, section)
    return section


def _row(item: Score) -> list[str]:
    kinds = ", ".join(f"{kind} {item.by_kind[kind]}" for kind in KINDS if item.by_kind[kind])
    name = f"{item.name}, refused" if item.refused else item.name
    return [name, str(item.columns), str(len(item.edits)), kinds or UNKNOWN, seconds(item.seconds), UNKNOWN]


def _sum(scores: Iterable[Score]) -> Score:
    items = [*scores]
    edits = [edit for item in items for edit in item.edits]
    return Score("all", sum(item.columns for item in items), edits, sum(item.seconds for item in items), "")


def _time(session: Session, section: Section) -> None:
    contenders = {name: _contender(session, name) for name in LARGE}
    take_turns(list(contenders.values()), session.log)
    for name, item in contenders.items():
        figures = [UNKNOWN, UNKNOWN, seconds(item.seconds), megabytes(item.peak_bytes)]
        section.rows.append([item.name, str(LARGE[name].columns), *figures])
        section.targets.append(Target(item.name, item.seconds, LARGE[name].most_seconds, unit="s"))
    section.add_failures(contenders.values())


def _contender(session: Session, name: str) -> Contender:
    folder = session.folder(name)
    sample = LARGE[name].write(folder)
    command = [sys.executable, "-m", "orchestration_project", "new-feed", str(sample), "--name", "large"]
    return Contender(LARGE[name].words, [*command, "--output", str(folder / "draft")], session.environment(name))
