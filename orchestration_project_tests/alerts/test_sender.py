"""Sending: real servers take the messages, each once; those that are out of order disturb nobody."""

import datetime as dt
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from orchestration_project.alerts import outbox, sender, services
from orchestration_project.alerts.outbox import Message
from orchestration_project.alerts.store import open_store
from orchestration_project.alerts.targets import FeedRoute, Target
from orchestration_project_tests.alerts.servers import MailServer, Webhook, black_hole, unused_port
from orchestration_project_tests.alerts.workplace import Workplace

pytestmark = pytest.mark.promise("alerts")
REFUSED = Message("a.csv was refused", "a.csv: no header\n\nSee quarantine.")
PATIENCE = 60.0


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def started(workplace: Workplace) -> Iterator[subprocess.Popen[bytes]]:
    """The sender, as a tick starts it, with the workplace's URLs; it is not left running."""
    inherited = dict(os.environ)  # noqa: TID251 - the process runs as it would from here
    own = {"ALERT_URLS": workplace.urls, "HEARTBEAT_URL": workplace.heartbeat}
    command = [sys.executable, "-m", "orchestration_project.alerts.sender", str(workplace.data_dir)]
    with subprocess.Popen(command, env=inherited | own) as process:
        yield process
        process.kill()


def sent_by_process(workplace: Workplace) -> None:
    with started(workplace) as process:
        assert process.wait(PATIENCE) == 0


def test_mail_and_webhook(workplace: Workplace, mail: MailServer, hook: Webhook) -> None:
    """A mail server, over TLS and with a login, and a webhook each take a message once, as text."""
    workplace.urls = f"{mail.url('ops@example.org')} {hook.url()}"
    workplace.put(REFUSED)
    workplace.send()
    workplace.send()
    ((recipients, taken),) = mail.mails
    assert (recipients, taken["To"], taken["Subject"]) == (["ops@example.org"], "ops@example.org", REFUSED.subject)
    assert mail.texts[0].strip() == REFUSED.body
    assert [(call["title"], call["message"].strip()) for call in hook.calls] == [(REFUSED.subject, REFUSED.body)]
    assert workplace.dead() == []


def test_messages_of_a_tick_are_one(workplace: Workplace, hook: Webhook) -> None:
    """What a tick tells one target comes as one message; another target gets only what is for it."""
    workplace.urls = f"{hook.url('all')} stores={hook.url('stores')}"
    workplace.routes = {"a": FeedRoute(["stores"])}
    workplace.put(REFUSED, Message("b.csv was refused", "b.csv: empty", "a"))
    workplace.send()
    assert dict(zip(hook.paths, hook.subjects, strict=True)) == {
        "/all": "a.csv was refused (and 1 more)",
        "/stores": "b.csv was refused",
    }
    (everything,) = [call["message"] for call in hook.calls if "more" in call["title"]]
    assert everything.split("\n\n") == [
        *["a.csv was refused", "a.csv: no header", "See quarantine.", "\nb.csv was refused", "b.csv: empty"]
    ]


def test_names_are_text(workplace: Workplace, mail: MailServer) -> None:
    """A name from outside adds no header to a mail, no line to its text, and nothing that a terminal obeys."""
    name = "a\r\nBcc: thief@example.org\r\n\r\n\x1b[2J<b>*c*</b>.csv"
    workplace.urls = mail.url("ops@example.org")
    workplace.put(Message(f"{name} was refused", f"File {name!r}\nsecond\x1b[31m line\n.\nlast line"))
    workplace.send()
    ((recipients, taken),) = mail.mails
    assert recipients == ["ops@example.org"]
    assert taken["Bcc"] is None
    assert taken["Subject"] == r"a\r\nBcc: thief@example.org\r\n\r\n\x1b[2J<b>*c*</b>.csv was refused"
    assert mail.texts[0].splitlines()[1:] == [r"second\x1b[31m line", ".", "last line"]


def test_a_subject_is_short(workplace: Workplace, hook: Webhook) -> None:
    """A subject is cut where it would fill the screen."""
    workplace.urls = hook.url()
    workplace.put(Message("x" * 1000, "body"))
    workplace.send()
    assert hook.subjects == ["x" * 149 + "…"]


def test_targets_do_not_wait_for_each_other(workplace: Workplace, hook: Webhook) -> None:
    """While one target keeps a connection open without an answer, the others get what comes, also what comes later."""
    with black_hole() as port:
        workplace.urls = f"json://127.0.0.1:{port}/ {hook.url()}"
        workplace.put(REFUSED)
        with started(workplace) as process:
            wait_until(lambda: len(hook.calls) == 1)
            workplace.put(Message("later", "later"))
            noted = [(True, True), (False, True), (True, False), (False, True)]
            wait_until(lambda: workplace.rows("sent_at IS NULL, attempts > 0") == noted)
            assert (len(hook.calls), process.poll()) == (2, None)


def test_a_service_that_never_answers_is_given_up(
    workplace: Workplace, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that accepts and never answers fails after the time limit, and the reason says so."""
    monkeypatch.setattr(services, "TIMEOUT_SECONDS", 0.3)
    with black_hole() as port:
        workplace.urls = f"json://127.0.0.1:{port}/ mailto://bot:pw@127.0.0.1:{port}?from=b@x.org&to=a@x.org"
        workplace.put(REFUSED)
        workplace.send()
    assert all("timed out" in str(error) for (error,) in workplace.rows("error")), workplace.rows("error")


def test_a_service_that_answers_for_ever_is_given_up(
    workplace: Workplace, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversation as a whole has a limit, too, whatever the service does meanwhile."""
    monkeypatch.setattr(services, "LIMIT_SECONDS", 0.3)
    hook.hold.clear()
    workplace.urls = hook.url()
    workplace.put(REFUSED)
    workplace.send()
    assert workplace.rows("error") == [("no end after 0.3 s",)]


def test_a_dead_target_is_tried_again_and_told(workplace: Workplace, hook: Webhook) -> None:
    """After 1, 2, 4, 8 and then each 15 minutes; it counts as dead after three failures, until it takes a message."""
    workplace.urls = f"{hook.url('token-of-hook')}"
    hook.status = 503
    workplace.put(REFUSED)
    tries = []
    for minute in range(60):
        workplace.now += dt.timedelta(minutes=minute and 1)
        before = len(hook.calls)
        workplace.send()
        tries += [minute] if len(hook.calls) > before else []
        assert bool(workplace.dead()) == (minute >= 3)
    assert tries == [0, 1, 3, 7, 15, 30, 45]
    (dead,) = workplace.dead()
    assert (dead.label, dead.attempts, dead.waiting, dead.given_up) == (f"json 127.0.0.1:{hook.port}", 7, 1, 0)
    assert dead.since == workplace.now - dt.timedelta(minutes=59)
    assert "503" in dead.error
    assert "token-of-hook" not in dead.error
    hook.status = 200
    workplace.now += dt.timedelta(minutes=15)
    workplace.send()
    assert (len(hook.calls), workplace.dead()) == (8, [])


def test_a_message_is_given_up_after_a_day(workplace: Workplace, hook: Webhook) -> None:
    """What a target did not take within a day is not sent any more; that is counted, and newer messages are tried."""
    workplace.urls = f"json://127.0.0.1:{unused_port()}"
    workplace.put(REFUSED)
    for _ in range(4):
        workplace.send()
        workplace.now += dt.timedelta(hours=12)
    (dead,) = workplace.dead()
    assert (dead.waiting, dead.given_up, "Connection refused" in dead.error) == (0, 1, True)
    workplace.put(Message("next", ""))
    assert workplace.dead()[0].waiting == 1


def test_a_message_that_is_refused_holds_up_no_other(workplace: Workplace) -> None:
    """A target that takes all messages but one gets them all, and the one is tried now and then."""
    tried = []

    def send(_target: Target, message: Message) -> str:
        tried.append(message.subject)
        return "too long" if message.subject == "long" else ""

    workplace.urls = "json://host"
    for subject in ("long", "first"):
        workplace.put(Message(subject, ""))
        workplace.now += dt.timedelta(seconds=1)
    for _ in range(3):
        workplace.send(send)
        workplace.now += dt.timedelta(minutes=5)
    workplace.put(Message("second", ""))
    workplace.send(send)
    assert tried == ["long", "first", "long", "long", "second", "long"]
    assert workplace.dead() == []


def test_a_wrong_password(workplace: Workplace, mail: MailServer) -> None:
    """A mail server that refuses the login is named with its answer's code; the password is not."""
    workplace.urls = mail.url("ops@example.org", password="wrong-word")  # noqa: S106 - a password of the test
    workplace.put(REFUSED)
    workplace.send()
    ((error,),) = workplace.rows("error")
    assert "SMTP code 535" in str(error)
    assert "wrong-word" not in str(error)


def test_a_certificate_that_nobody_trusts(workplace: Workplace, mail: MailServer, tmp_path: Path) -> None:
    """Nothing, the password least of all, is sent to a server whose certificate is not trusted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE")
        workplace.urls = mail.url("ops@example.org")
        workplace.put(REFUSED)
        workplace.send()
    assert mail.mails == []
    assert "certificate verify failed" in str(workplace.rows("error"))


def test_a_corrected_url_gets_what_waits(workplace: Workplace, hook: Webhook) -> None:
    """Messages that wait for a target go to the one that has taken its place, or are given up if nobody has."""
    workplace.urls = f"json://127.0.0.1:{unused_port()} stores={hook.url('stores')}"
    workplace.routes = {"a": FeedRoute(["stores"])}
    hook.status = 503
    workplace.put(Message("told", "", "a"))
    workplace.send()
    hook.status = 200
    workplace.urls = hook.url("corrected")
    workplace.now += dt.timedelta(minutes=1)
    workplace.send()
    assert hook.paths == ["/stores", "/corrected"]
    assert workplace.rows("target, error") == [
        (f"json 127.0.0.1:{hook.port}", ""),
        (f"stores: json 127.0.0.1:{hook.port}", "its URL is not in ALERT_URLS any more"),
    ]


def test_two_senders(workplace: Workplace, hook: Webhook) -> None:
    """However many senders are started, each message goes out once."""
    workplace.urls = f"{hook.url('a')} {hook.url('b')}"
    for number in range(5):
        workplace.put(Message(f"message {number}", ""))
        workplace.now += dt.timedelta(seconds=1)
    with ExitStack() as stack:
        for process in [stack.enter_context(started(workplace)) for _ in range(4)]:
            assert process.wait(PATIENCE) == 0
    assert sorted(hook.paths) == ["/a"] * 5 + ["/b"] * 5
    assert sorted(hook.subjects) == sorted([f"message {number}" for number in range(5)] * 2)


def test_what_is_put_while_the_sender_ends_is_sent(workplace: Workplace, hook: Webhook) -> None:
    """A message that comes when a sender is about to end, so that no other one starts, is not left behind."""
    workplace.urls = hook.url()
    workplace.put(REFUSED)

    def send(target: Target, message: Message) -> str:
        error = services.send(target, message)
        if message == REFUSED:
            late = threading.Thread(target=put_late)
            late.start()
            late.join()
        return error

    def put_late() -> None:
        with open_store(workplace.data_dir / "alarms.sqlite") as connection:
            outbox.put(connection, [Message("late", "")], workplace.routing, workplace.now)
        sender.run(workplace.settings, services.send, lambda: workplace.now)  # the lock is held: it ends at once

    workplace.send(send)
    assert hook.subjects == [REFUSED.subject, "late"]


def test_a_sender_that_is_killed(workplace: Workplace, hook: Webhook) -> None:
    """The next sender goes on where a killed one was: what was taken is not sent again, what was not, is."""
    workplace.urls = f"{hook.url('first')} json://127.0.0.1:{unused_port()}"
    workplace.put(Message("taken", ""))
    sent_by_process(workplace)
    hook.hold.clear()
    workplace.now += dt.timedelta(seconds=1)
    workplace.put(Message("cut off", ""))
    with started(workplace):
        wait_until(lambda: len(hook.calls) == 2)
    hook.hold.set()
    sent_by_process(workplace)
    # Whether the first attempt was taken, nobody can know: so it comes twice, and nothing else does.
    assert hook.subjects == ["taken", "cut off", "cut off"]


def test_the_heartbeat_is_called(workplace: Workplace, hook: Webhook) -> None:
    """`HEARTBEAT_URL` is called at each start of the sender, also when there is nothing to send."""
    workplace.heartbeat = f"http://127.0.0.1:{hook.port}/ping-token"
    workplace.send()
    workplace.send()
    assert hook.paths == ["/ping-token"] * 2
    hook.status = 404
    for _ in range(3):
        workplace.send()
    (dead,) = workplace.dead()
    assert (dead.label, dead.error) == ("heartbeat 127.0.0.1", "answers 404")
    hook.status = 200
    workplace.send()
    assert workplace.dead() == []


def test_a_heartbeat_that_hangs_delays_no_message(
    workplace: Workplace, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that never answers holds up nothing; the message is taken meanwhile."""
    monkeypatch.setattr(services, "TIMEOUT_SECONDS", 1.0)
    with black_hole() as port:
        workplace.urls, workplace.heartbeat = hook.url(), f"http://127.0.0.1:{port}/"
        workplace.put(REFUSED)
        sending = threading.Thread(target=workplace.send)
        sending.start()
        wait_until(lambda: hook.calls)
        sending.join()
    assert workplace.rows("sent_at IS NOT NULL") == [(1,)]
    assert workplace.connection.execute("SELECT error FROM targets").fetchall() == [("timed out",)]


def test_a_tick_starts_the_sender_and_goes_on(
    workplace: Workplace, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`start` returns while a target still keeps the message waiting, and starts nothing where nothing is due."""
    monkeypatch.setenv("ALERT_URLS", hook.url())
    workplace.urls = hook.url()
    sender.start(workplace.settings)
    assert not (workplace.data_dir / "logs").exists()
    hook.hold.clear()
    workplace.put(REFUSED)
    sender.start(workplace.settings)
    assert workplace.rows("sent_at") == [(None,)]
    hook.hold.set()
    wait_until(lambda: workplace.rows("sent_at IS NOT NULL") == [(1,)])
    assert hook.subjects == [REFUSED.subject]


def test_starting_never_fails(workplace: Workplace) -> None:
    """An outbox that can't be read stops no tick."""
    workplace.urls = "json://host"
    (workplace.data_dir / "alarms.sqlite").write_bytes(b"no database" * 1000)
    sender.start(workplace.settings)
