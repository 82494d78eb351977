"""Commands are timed in turns; one that fails is out, and the others go on."""

import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.measure import Contender, Failed, Usage, ratio, run, take_turns

SAY_AND_FAIL = "import sys; print('the reason'); sys.exit(3)"


def contender(name: str, code: str = "", rounds: int = 1) -> Contender:
    return Contender(name, [sys.executable, "-c", code], rounds=rounds)


def test_contenders_take_turns_and_the_first_changes(tmp_path: Path) -> None:
    """Each runs as often as it should, and none is always the first."""
    order: list[str] = []
    contenders = [contender("a", rounds=3), contender("b", rounds=3), contender("c")]
    for item in contenders:
        item.prepare = partial(order.append, item.name)
    take_turns(contenders, tmp_path / "log")
    assert order == ["a", "b", "c", "b", "a", "a", "b"]
    assert [len(item.usages) for item in contenders] == [3, 3, 1]


def test_one_that_fails_is_out(tmp_path: Path) -> None:
    """It runs once, its failure has what it said, and it has no figures; the others have theirs."""
    bad, good = contender("bad", SAY_AND_FAIL, rounds=2), contender("good", rounds=2)
    take_turns([bad, good], tmp_path / "log")
    assert bad.failure
    assert "ended with 3" in bad.failure
    assert "the reason" in bad.failure
    assert (bad.seconds, bad.peak_bytes) == (None, None)
    assert len(good.usages) == 2


def test_one_that_made_something_else_is_out(tmp_path: Path) -> None:
    """What a contender has made counts, not only that it ended well."""
    item = contender("wrong")

    def verify() -> None:
        raise Failed("made 2 rows")

    item.verify = verify
    take_turns([item], tmp_path / "log")
    assert item.failure == "made 2 rows"


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    """It is a failure like others, not the end of the session."""
    with pytest.raises(Failed, match="nowhere can't be started"):
        run([str(tmp_path / "nowhere")], {}, tmp_path / "log")


def test_settings_of_whoever_measures_are_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sees its own settings and no others of the platform."""
    monkeypatch.setenv("WAREHOUSE_THREADS", "1")
    monkeypatch.setenv("DATA_DIR", "elsewhere")
    code = "import os; print(os.environ.get('WAREHOUSE_THREADS'), os.environ['DATA_DIR'])"
    run([sys.executable, "-c", code], {"DATA_DIR": "here"}, tmp_path / "log")
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["None", "here"]


def test_peak_memory_is_that_of_the_command(tmp_path: Path) -> None:
    """A command that fills 300 MB is told to have used at least as much, another one less, however large we are."""
    ours = b"x" * 300_000_000
    large = run([sys.executable, "-c", "bytearray(b'x') * 300_000_000"], {}, tmp_path / "log")
    small = run([sys.executable, "-c", ""], {}, tmp_path / "log")
    assert small.peak_bytes < len(ours) <= large.peak_bytes


@pytest.mark.parametrize(
    ("seconds", "median"),
    [
        pytest.param([3.0], 3.0, id="one"),
        pytest.param([9.0, 1.0, 2.0], 2.0, id="odd"),
        pytest.param([], None, id="none"),
    ],
)
def test_the_median_counts(seconds: list[float], median: float | None) -> None:
    """One slow run does not decide, and without a run there is no figure."""
    item = contender("a")
    item.usages = [Usage(value, int(value), value) for value in seconds]
    assert item.seconds == median
    assert item.peak_bytes == median
    assert item.cpu_seconds == median


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        pytest.param(3.0, 2.0, 1.5, id="both"),
        pytest.param(None, 2.0, None, id="nothing to compare"),
        pytest.param(3.0, None, None, id="nothing to compare with"),
    ],
)
def test_ratios(numerator: float | None, denominator: float | None, expected: float | None) -> None:
    """A ratio is known when both figures are."""
    assert ratio(numerator, denominator) == expected
