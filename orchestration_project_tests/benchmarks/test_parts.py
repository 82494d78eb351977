"""What the parts measure, without measuring it."""

from pathlib import Path

import duckdb
import pytest

from benchmarks.measure import Failed
from benchmarks.parts import scaling
from benchmarks.parts.load import outcome_of
from benchmarks.session import Session

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("session", "sizes"),
    [
        pytest.param(Session(Path()), (MILLION, 3 * MILLION, 10 * MILLION), id="usual"),
        pytest.param(Session(Path(), rows=3000), (300, 900, 3000), id="smaller"),
        pytest.param(Session(Path(), rows=300_000, full=True), (3000, 9000, 30_000, 90_000, 300_000), id="full"),
    ],
)
def test_sizes_keep_their_proportions(session: Session, sizes: tuple[int, ...]) -> None:
    """A session of fewer rows has the same steps; the number given is that of the largest load."""
    assert scaling.sizes_of(session) == sizes


def test_growth_is_measured_between_the_two_sizes_that_are_compared() -> None:
    """Thirty million records against ten: what is larger has no target, and may have failed."""
    found = {10 * MILLION: 50.0, 30 * MILLION: 165.0, 100 * MILLION: None}
    (target,) = scaling.targets_of(found)
    assert (target.found, target.limit) == (3.3, 3.3)
    assert target.met


def test_a_warehouse_without_the_tables_is_a_failure(tmp_path: Path) -> None:
    """A contender that ended well, but made nothing, has failed."""
    path = tmp_path / "warehouse.duckdb"
    with pytest.raises(Failed, match="has not what was to be made"):
        outcome_of(path)
    duckdb.connect(str(path)).close()
    with pytest.raises(Failed, match="cleaned_sales"):
        outcome_of(path)
