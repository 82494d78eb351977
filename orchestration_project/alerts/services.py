"""The services behind the targets: Apprise, which knows mail, chats and webhooks, and a plain call for the heartbeat.

Belongs here: what is said to a service and what of its answer may be shown. Does not belong here: when and how often;
that is in `sender`. Apprise is optional and slow to import, so only what uses it imports it.
"""

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from orchestration_project.alerts.outbox import Message
from orchestration_project.alerts.targets import WITH_HOST, Target
from orchestration_project.errors import visible
from orchestration_project.setting_values import SettingsError

if TYPE_CHECKING:
    from apprise import NotifyBase

TIMEOUT_SECONDS = 10.0
"""How long a service may take to answer at any point of the conversation."""
LIMIT_SECONDS = 30.0
"""How long a conversation may take: mail over TLS has ten answers to wait for."""
INSTALL = "pip install 'orchestration-project[alerts]'"
CHECKED = "alert_urls.json"
# What is taken out of texts that may quote URLs and answers: nothing that can be a secret.
REASONS = re.compile(
    r"Connection refused|timed out|Name or service not known|name resolution|No route to host|Network is unreachable"
    r"|certificate verify failed|Connection reset|Connection unexpectedly closed|WRONG_VERSION_NUMBER"
)
# In "SMTPAuthenticationError: (535, b'5.7.8 Authentication failed')" it is 535.
SMTP_CODE = re.compile(r"\((\d{3}), b")
SHORTEST_SECRET = 4
"""Shorter parts of an URL, such as `to`, stand in ordinary words too, and a text full of *** helps nobody."""


def require_usable(targets: Sequence[Target], data_dir: Path) -> None:
    """Make sure that Apprise is there and takes the URL of each target.

    Loading Apprise takes a second, and each run loads the definitions. So what was found usable is remembered, as a
    hash from which no password can be found.

    Raises:
        SettingsError: it is not; the message names targets by their labels.
    """
    if not targets:
        return
    if not find_spec("apprise"):
        raise SettingsError(f"ALERT_URLS is set, but Apprise, which sends, is not installed: {INSTALL}")
    memory = data_dir / "state" / CHECKED
    urls = "\n".join(sorted(target.url for target in targets))
    if _is_remembered(memory, urls):
        return
    if unusable := [target.label for target in targets if _plugin(target) is None]:
        raise SettingsError(
            f"ALERT_URLS: Apprise can't use {', '.join(map(repr, unusable))}; the form of an URL of each service is in"
            " Apprise's documentation, and `apprise --dry-run URL` tries one"
        )
    _remember(memory, urls)


def _is_remembered(memory: Path, urls: str) -> bool:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
        return bool(known["hash"] == _hash(urls, bytes.fromhex(known["salt"])))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _remember(memory: Path, urls: str) -> None:
    salt = os.urandom(16)
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"salt": salt.hex(), "hash": _hash(urls, salt)}), encoding="utf-8")
    except OSError:
        logging.getLogger(__name__).debug("%s can't be written, so the URLs are checked again next time", memory)


def _hash(urls: str, salt: bytes) -> str:
    # Slow on purpose: a password may be short.
    return hashlib.scrypt(urls.encode(), salt=salt, n=2**13, r=8, p=1).hex()


def send(target: Target, message: Message) -> str:
    """Send a message, as text.

    Returns:
        Why it was not taken, without secrets; empty if it was.
    """
    return _within_limit(lambda: _send(target, message))


def _send(target: Target, message: Message) -> str:
    plugin = _plugin(target)
    if plugin is None:
        return "Apprise can't use its URL"
    with _heard() as heard:
        taken = plugin.notify(body=message.body, title=message.subject, body_format="text")
    return "" if taken else _masked(_reason(heard), target.url)


def _plugin(target: Target) -> "NotifyBase | None":
    """What talks to a target's service; None where Apprise can't use the URL."""
    from apprise import Apprise, OverflowMode

    # Apprise logs what is wrong with an URL together with parts of it.
    logging.getLogger("apprise").propagate = False
    plugin = Apprise.instantiate(target.url)
    if plugin is not None:
        plugin.socket_connect_timeout = plugin.socket_read_timeout = TIMEOUT_SECONDS
        plugin.overflow_mode = OverflowMode.SPLIT  # what a service can't take in one piece would never be taken
    return plugin


class _Listener(logging.Handler):
    """Collects what Apprise logs in one thread: it says there why it failed, and returns no more than that it did."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.thread = threading.get_ident()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Each target has a thread, and Apprise one logger for all: without this a target would be told the reasons, and
        # the secrets, of another one.
        if record.thread == self.thread:
            self.records.append(record)


@contextmanager
def _heard() -> Iterator[list[logging.LogRecord]]:
    logger, listener = logging.getLogger("apprise"), _Listener()
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(listener)
    try:
        yield listener.records
    finally:
        logger.removeHandler(listener)


def _reason(records: Sequence[logging.LogRecord]) -> str:
    """The warnings, and of what is logged for debugging, which quotes URLs and answers, only well-known words."""
    warnings = [record.getMessage() for record in records if record.levelno >= logging.WARNING]
    details = " ".join(record.getMessage() for record in records if record.levelno < logging.WARNING)
    known = [*REASONS.findall(details), *(f"SMTP code {code}" for code in SMTP_CODE.findall(details))]
    return " ".join(dict.fromkeys([*warnings, *known])) or "not taken"


def _masked(text: str, url: str) -> str:
    """A text without the parts of an URL that may be secret."""
    parts = urlsplit(url)
    pieces = [parts.username, parts.password, *parts.path.split("/"), *re.split("[&=]", parts.query), parts.fragment]
    # In slack://TOKEN-A/TOKEN-B the place of the host is a token.
    pieces += [] if parts.scheme.lower() in WITH_HOST else [parts.netloc, *re.split("[@:]", parts.netloc)]
    # Decoded too, as services write them. The longest first: a shorter one inside it would leave the rest readable.
    for piece in sorted({unquote(piece) for piece in pieces if piece} | {*filter(None, pieces)}, key=len, reverse=True):
        if len(piece) >= SHORTEST_SECRET:
            text = re.sub(re.escape(piece), "***", text, flags=re.IGNORECASE)
    return visible(text)


def call(url: str) -> str:
    """Call the heartbeat's address.

    Returns:
        Why that failed, without the address; empty if it did not.
    """
    return _within_limit(lambda: _call(url))


def _call(url: str) -> str:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the setting allows http and https only
            answer.read(1)
    except HTTPError as error:
        return f"answers {error.code}"
    except (URLError, OSError) as error:
        found = REASONS.search(str(error))
        return found[0] if found else type(error).__name__
    except (HTTPException, ValueError) as error:
        return type(error).__name__
    return ""


def _within_limit(work: Callable[[], str]) -> str:
    """The result of a conversation, or that it took too long: a service may send a byte every nine seconds for ever.

    The thread of one that is given up ends with the process.
    """
    result: SimpleQueue[str] = SimpleQueue()

    def run() -> None:
        try:
            result.put(work())
        except Exception as error:  # noqa: BLE001 - a plugin is somebody else's code, and the others have to go on
            result.put(f"the sending failed: {type(error).__name__}")

    threading.Thread(target=run, daemon=True).start()
    try:
        return result.get(timeout=LIMIT_SECONDS)
    except Empty:
        return f"no end after {LIMIT_SECONDS:g} s"
