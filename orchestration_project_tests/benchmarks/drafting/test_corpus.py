"""The drafts of `new-feed` on the corpus: they may only get better."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchmarks.drafting.corpus import SETS, SampleSet
from benchmarks.drafting.score import Score, says_of, score
from benchmarks.drafting.shared import SHARED, SharedSet, shared_score
from orchestration_project.contracts import load_feed
from orchestration_project.formats.header import normalised

WITH_CONTRACT = [item for item in SETS.values() if not item.refusal]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Score]:
    """The score of a set by its name; each is drafted once."""
    return cache(lambda name: score(SETS[name], tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("name", SETS)
def test_a_draft_needs_no_more_edits_than_before(name: str, scored: Callable[[str], Score]) -> None:
    """No set may need more edits than the number beside it; when a draft gets better, the number goes down."""
    found = scored(name)
    assert len(found.edits) <= SETS[name].most_edits, str(found)


@pytest.mark.parametrize("chosen", [pytest.param(item, id=item.name) for item in WITH_CONTRACT])
def test_a_right_contract_takes_its_samples(chosen: SampleSet, scored: Callable[[str], Score]) -> None:
    """It rejects what is no record of the set, ignores what is no data, and reads all other records."""
    counts = scored(chosen.name).counts
    assert len(counts) == len(chosen.samples())
    assert sum(count.rejected for count in counts) == chosen.rejected
    assert all(count.cleaned for count in counts)
    has_rules = bool(load_feed(chosen.contract).ignored)
    assert all(bool(count.ignored) == has_rules for count in counts)


@pytest.mark.parametrize("chosen", [pytest.param(item, id=name) for name, item in SETS.items()])
def test_samples_are_the_same_each_time(chosen: SampleSet) -> None:
    """The score of a draft does not depend on chance."""
    assert chosen.samples() == chosen.samples()


@pytest.mark.parametrize("chosen", [pytest.param(item, id=item.name) for item in WITH_CONTRACT])
def test_what_samples_cannot_tell_is_about_columns_that_there_are(chosen: SampleSet) -> None:
    """A header that is misspelt in a right contract would never be asked for."""
    columns = {normalised(column.source or column.name) for column in load_feed(chosen.contract).source_columns}
    assert {header for header in says_of(chosen.contract) if header} <= columns


@pytest.mark.parametrize("chosen", [pytest.param(item, id=item.name) for item in SHARED])
def test_real_files(chosen: SharedSet, tmp_path: Path) -> None:
    """Drafts of real files need no more edits than before; their contracts were made by hand."""
    if not chosen.files:
        pytest.skip(f"{chosen.pattern} is not beside the checkout (../shared/data)")
    found = shared_score(chosen, tmp_path / "set")
    assert len(found.edits) <= chosen.most_edits, str(found)
