"""What the text of a variable of the environment may be, and the value that it stands for.

Each function takes a text, mostly with the name of its variable, and raises a SettingsError that names the variable and
says what is allowed. Does not belong here: reading the environment, which `settings` does.
"""

import re

from orchestration_project.errors import PlatformError

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"", "0", "false", "no", "off"})
SHARD_PROCESSES = "processes"
"""The value of `SHARDS_EXECUTOR` for processes of this machine."""


class SettingsError(PlatformError):
    """An environment variable holds a value that can't be used."""


def flag(name: str, text: str) -> bool:
    """Yes or no; no for nothing."""
    word = text.strip().casefold()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise SettingsError(f"{name}={text!r} is neither yes ({', '.join(sorted(TRUE_WORDS))}) nor no")
    return word in TRUE_WORDS


def number(name: str, text: str, unit: str = "seconds") -> float:
    """A number from 0 on, such as one of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    # NaN, too, is in no range. To wait for ever is not offered: a holder that hangs would stop all.
    if not 0 <= value < float("inf"):
        raise SettingsError(f"{name}={text!r} is not a number of {unit}")
    return value


def whole(name: str, text: str) -> int | None:
    """A whole number above zero; None for nothing."""
    if not text:
        return None
    # `int` alone would also take blanks, signs and 1_000.
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"{name}={text!r} is not a whole number above zero")
    return int(text)


def executor(text: str) -> str:
    """Where shards run: `processes`, a Ray cluster, or a function as `package.module:name`."""
    if not re.fullmatch(rf"{SHARD_PROCESSES}|ray|ray:(//)?[^/\s]+:\d+|(?!ray:)[a-zA-Z_][\w.]*:[a-zA-Z_]\w*", text):
        raise SettingsError(
            f"SHARDS_EXECUTOR={text!r} is neither {SHARD_PROCESSES}, ray, ray:HOST:PORT, ray://HOST:PORT nor a function"
            " as package.module:name"
        )
    return text


def web_address(name: str, text: str) -> str | None:
    """An address for links; None for nothing."""
    if text and not text.startswith(("https://", "http://")):
        raise SettingsError(f"{name}={text!r} is not an address that begins with https:// or http://")
    return text or None


def bucket(name: str, text: str) -> str:
    """A place in a store with the S3 protocol, without a slash at its end; nothing stays nothing."""
    # Other kinds of stores can't delete an object under the condition that it is still the one that was read.
    if text and not re.fullmatch(r"s3://[^\s/?#@:]+(/[^\s?#]+)*/?", text):
        # The value is not told: somebody may have written a password into it.
        raise SettingsError(
            f"{name} is not a place in a store with the S3 protocol: write s3://bucket/prefix; credentials are read"
            " from the environment"
        )
    return text.rstrip("/")


def only_archive(url: str, cold: str, cold_days: str) -> str:
    """The place of the archive, if it is the only one: the texts of `ARCHIVE_URL` and of those of the cold archive."""
    # A link in the archive tells a hash and no place, so there is one place for all of them.
    if url and ((cold and cold != url) or cold_days):
        raise SettingsError(
            "ARCHIVE_URL has all archived files from their load on, so nothing is left for a cold archive: unset"
            " COLD_ARCHIVE_DAYS and COLD_ARCHIVE_URL. Files that were moved there must be at ARCHIVE_URL: set it to"
            " that place, or copy them to it"
        )
    return url


def secret_address(name: str, text: str) -> str:
    """An address that has to be called, and that nobody may see; nothing stays nothing."""
    if text and not re.fullmatch(r"https?://[^\s/?#]+\S*", text):
        # The value is not told: whoever knows the address can call it.
        raise SettingsError(f"{name} is not an address that begins with https:// or http://")
    return text
