"""How many edits the drafts of `new-feed` need on the corpus, and how long drafting takes."""

import sys
from collections.abc import Iterable

from benchmarks.drafting import speed
from benchmarks.drafting.compare import KINDS
from benchmarks.drafting.corpus import SETS
from benchmarks.drafting.score import Score, score
from benchmarks.drafting.shared import shared_scores
from benchmarks.measure import Contender, take_turns, tell
from benchmarks.report import UNKNOWN, Section, Target, megabytes, seconds
from benchmarks.session import ROOT, Session

INTRO = """`new-feed` drafts a contract from samples in the forms of known programs, and from samples with faults of real
exports; each draft is compared with a contract made by hand. An edit is [one line that a person
changes](../benchmarks/drafting/__init__.py). Seconds are those of the command without the start of Python, but with it
where a peak memory stands: there the command runs in a process of its own."""


def measure(session: Session) -> Section:
    """Score all sets, and time the large ones."""
    section = Section("Drafting", INTRO, ["set", "columns", "edits", *KINDS, "time", "peak memory"])
    scores = [score(chosen, session.folder(f"set-{chosen.name}")) for chosen in SETS.values()]
    scores += shared_scores(session.folder("shared"))
    section.rows += [_row(item) for item in scores]
    section.rows.append(_row(_sum(scores)))
    section.targets += [
        Target(f"{item.name}, edits", len(item.edits), SETS[item.name].most_edits, unit="lines")
        for item in scores
        if item.name in SETS and len(item.edits) > SETS[item.name].most_edits
    ]
    for item in scores:
        for edit in item.edits:
            tell(f"{item.name}: {edit.kind}: {edit.column or 'the whole'} {edit.what}")
    _time(session, section)
    return section


def _row(item: Score) -> list[str]:
    kinds = [str(item.by_kind[kind] or "") for kind in KINDS]
    refused = " (no draft)" if item.refused else ""
    return [f"{item.name}{refused}", str(item.columns), str(len(item.edits)), *kinds, seconds(item.seconds), UNKNOWN]


def _sum(scores: Iterable[Score]) -> Score:
    items = [*scores]
    edits = [edit for item in items for edit in item.edits]
    return Score("all", sum(item.columns for item in items), edits, sum(item.seconds for item in items), False)


def _time(session: Session, section: Section) -> None:
    contenders = {}
    for name, large in speed.LARGE.items():
        folder = session.folder(name)
        sample = large.write(folder)
        output = folder / "draft"
        command = [sys.executable, "-m", "orchestration_project", "new-feed", str(sample), "--name", "large"]
        contenders[name] = Contender(
            large.words, [*command, "--output", str(output)], {"PYTHONPATH": str(ROOT)}, prepare=lambda: None
        )
    take_turns(list(contenders.values()), session.log)
    for name, item in contenders.items():
        filler = [""] * (len(KINDS) + 1)
        section.rows.append(
            [item.name, str(speed.LARGE[name].columns), *filler, seconds(item.seconds), megabytes(item.peak_bytes)]
        )
        section.targets.append(Target(item.name, item.seconds, speed.LARGE[name].most_seconds, unit="s"))
    section.add_failures(contenders.values())
