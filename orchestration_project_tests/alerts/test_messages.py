"""The words of messages: one for each feed, short whatever happens, without anything that a mail program obeys."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.alerts.changes import Change, Event, Standing
from orchestration_project.alerts.messages import ALARMS_SHOWN, compose
from orchestration_project.alerts.model import Alarm, Kind
from orchestration_project.alerts.outbox import Message
from orchestration_project_tests.alerts.samples import HOUR, NOW, alarm

UI = "http://127.0.0.1:3000/"


def change(found: Alarm, event: Event = Event.ON, **standing: Any) -> Change:
    return Change(event, Standing(found, NOW, **standing))


def only(*changes: Change) -> Message:
    (message,) = compose(changes, UI)
    return message


FLOOD = alarm(
    count=1000,
    what="f: 1,000 files were refused and not replaced",
    items=[f"till_{number}.csv: missing_column: no column quantity" for number in (1, 2, 3)],
    todo="Correct the files in quarantine/f.",
    since=NOW - HOUR,
    run_id="5f0c",
)


def test_a_flood_is_one_message() -> None:
    """A thousand bad files are a number and the first three, with what to do and where to look."""
    message = only(change(FLOOD))
    assert message == Message(
        "ALARM  f: 1,000 files were refused and not replaced",
        """\
ALARM  f: 1,000 files were refused and not replaced
  since   2024-03-01 11:00 UTC
          till_1.csv: missing_column: no column quantity
          till_2.csv: missing_column: no column quantity
          till_3.csv: missing_column: no column quantity
          and 997 more
  to do   Correct the files in quarantine/f.
  run     http://127.0.0.1:3000/runs/5f0c
  silence orchestration-project silence file_quarantined:f --until 1d --reason WHY
""",
        "f",
    )


def test_over_says_from_when_to_when() -> None:
    """What is over needs nothing to be done."""
    message = only(change(FLOOD, Event.OVER, off_since=NOW + HOUR))
    assert message.subject == "OVER  f: 1,000 files were refused and not replaced"
    assert message.body.splitlines()[1:] == ["  since   2024-03-01 11:00 UTC", "  until   2024-03-01 13:00 UTC"]


def test_changes_of_a_tick_are_one_message_a_feed() -> None:
    """What is on comes first, the worst of it before the rest; the platform has a message of its own."""
    other = alarm("f", kind=Kind.BATCH_MISSING, what="f: a batch is missing")
    changes = [change(other, Event.OVER), change(FLOOD), change(alarm("g")), change(alarm("disk", feed=""))]
    messages = compose(changes, None)
    assert [(message.feed, message.subject) for message in messages] == [
        ("", "ALARM  disk: 1 files"),
        ("f", "f: 1 alarm, 1 over"),
        ("g", "ALARM  g: 1 files"),
    ]
    assert [line for line in messages[1].body.splitlines() if line[:1].strip()] == [
        "ALARM  f: 1,000 files were refused and not replaced",
        "OVER  f: a batch is missing",
    ]


def test_links_need_an_address() -> None:
    """Without UI_URL a message has no link."""
    assert "/runs/" not in compose([change(FLOOD)], None)[0].body


def test_many_alarms_of_a_feed_stay_readable() -> None:
    """A feed of which everything fails gets one message: the first alarms in full, of the others the first line."""
    changes = [change(alarm("f", kind=Kind.CHECK_FAILED, what=f"check {number} fails")) for number in range(100)]
    message = only(*changes)
    assert message.subject == "f: 100 alarms"
    assert message.body.count("  to do ") == ALARMS_SHOWN
    assert message.body.count("ALARM  check ") == 100


TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from("\r\n\t\x1b\x00\x9b\u2028\u202e\x85<>&`*[]()")), min_size=1, max_size=400
)


@given(TEXTS, TEXTS)
def test_texts_from_outside_are_one_line_each(name: str, error: str) -> None:
    """Names of files and errors bring no line, header or instruction of their own, and are cut where they are long."""
    found = alarm(name, feed="f", what=f"{name} is wrong", items=[f"{name}: {error}"], todo="Look.")
    message = only(change(found))
    lines = message.body.split("\n")
    assert len(lines) == 6
    assert all(line.isprintable() for line in [*lines, message.subject])
    assert max(len(line) for line in lines[:3]) <= 320
