"""Targets: who takes messages, as `ALERT_URLS` names them, and which of them take those of a feed.

Belongs here: reading the setting, labels without secrets, routing. Does not belong here: what an URL means to a
service; that is Apprise's affair, in `services`.

    ALERT_URLS="mailtos://bot:secret@example.org?to=ops@example.org  stores=slack://a/b/c"

An URL without a name takes all messages. One with a name takes those of the feeds that are routed to that name: by
`alerts:` in their `defs.yaml`, else by the name of their contract's team. Members of the team with a mail address get
them through the first mail URL.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from orchestration_project.errors import visible
from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings

MAIL = ("mailto", "mailtos")
WITH_HOST = (*MAIL, "json", "jsons", "xml", "xmls", "form", "forms")
"""Schemes whose host is one. Elsewhere the first part of an URL may be a token."""
# Commas separate only in front of the next entry: those within an URL are its own.
# `mailtos://host?to=a@x.org,b@x.org, stores=json://hooks/stores` are two entries, and the first has two recipients.
SEPARATOR = re.compile(r"[\s,]+(?=(?:[\w-]+=)?[A-Za-z][\w+.-]*://)")
# "stores=json://hooks/stores" -> name "stores", url "json://hooks/stores"
ENTRY = re.compile(r"(?:(?P<name>[A-Za-z][\w-]*)=)?(?P<url>[A-Za-z][\w+.-]*://[^\s/]\S*)", re.ASCII)
ADDRESS = re.compile(r"[^@\s/,;<>&?#]+@[^@\s/,;<>&?#]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who takes messages.

    Attributes:
        label: tells it apart from the others, without its secrets.
        route: the name in the setting, or a mail address of a team; empty: it takes all messages.
        url: for Apprise.
    """

    label: str
    route: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FeedRoute:
    """Who takes a feed's messages, beside those who take all.

    Attributes:
        names: of URLs, or mail addresses.
        required: whether each of them has to be there. What a contract says of its team holds in every deployment, also
            in one that has no URL for it.
    """

    names: Sequence[str] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Routing:
    """The targets of a deployment, and which of them take a feed's messages.

    Attributes:
        configured: the targets of `ALERT_URLS`.
        routes: by feed.
        heartbeat: label of `HEARTBEAT_URL`, empty without it.
    """

    configured: Sequence[Target] = ()
    routes: Mapping[str, FeedRoute] = field(default_factory=dict)
    heartbeat: str = ""

    def targets(self) -> list[Target]:
        """All of them."""
        return _unique([*self.configured, *(target for feed in self.routes for target in self.targets_of(feed))])

    def targets_of(self, feed: str) -> list[Target]:
        """The targets that take a feed's messages; of an empty name, those that take the platform's."""
        # The name of those who take all messages is empty.
        names = ["", *self.routes.get(feed, FeedRoute()).names]
        return _unique(target for name in names for target in targets_named(self.configured, name))


def _unique(targets: Iterable[Target]) -> list[Target]:
    """The first target of each label: a member of a team may be among those who take all messages."""
    found: dict[str, Target] = {}
    for target in targets:
        found.setdefault(target.label, target)
    return list(found.values())


def read_routing(settings: Settings, routes: Mapping[str, FeedRoute]) -> Routing:
    """The targets that the settings name, and the routes of the feeds.

    Raises:
        SettingsError: an URL can't be read, or a feed names one that is not there. No URL is told.
    """
    configured = read_targets(settings.alert_urls)
    for feed, route in routes.items():
        # Where ALERT_URLS is not set, as on a laptop, no name is missed.
        if configured and route.required:
            _require_names(configured, feed, route.names)
    return Routing(configured, routes, heartbeat_label(settings.heartbeat_url))


def _require_names(configured: Sequence[Target], feed: str, names: Iterable[str]) -> None:
    from orchestration_project.contracts.errors import did_you_mean

    known = {target.route for target in configured if target.route}
    for name in names:
        if targets_named(configured, name):
            continue
        if "@" in name:
            raise SettingsError(
                f"feed {feed}: alerts: {name!r} is a mail address, but ALERT_URLS has no mail URL to send it by"
            )
        raise SettingsError(
            f"feed {feed}: alerts: no URL of ALERT_URLS has the name {name!r}, written {name}=scheme://...; there are"
            f" {', '.join(sorted(known)) or 'none with a name'}{did_you_mean(name, known)}"
        )


def read_targets(text: str) -> list[Target]:
    """The targets that `ALERT_URLS` names, in its order; a mail URL with several recipients is a target for each.

    Raises:
        SettingsError: an entry is no URL, or no URL takes all messages. The entry is told by its number.
    """
    entries = [entry for entry in SEPARATOR.split(text.strip(" \t\r\n,")) if entry]
    found: dict[str, Target] = {}
    for number, entry in enumerate(entries, start=1):
        for target in _targets_of_entry(number, entry):
            # Two webhooks of one host would have the same label, and the outbox knows a target by its label alone.
            label, others = target.label, sum(other.partition(" #")[0] == target.label for other in found)
            numbered = f"{label} #{others + 1}" if others else label
            if not any(target.url == other.url and target.route == other.route for other in found.values()):
                found[numbered] = Target(numbered, target.route, target.url)
    if found and all(target.route for target in found.values()):
        raise SettingsError(
            "ALERT_URLS: every URL has a name, so nobody would hear of what concerns the platform; add one without"
        )
    return list(found.values())


def _targets_of_entry(number: int, entry: str) -> list[Target]:
    match = ENTRY.fullmatch(entry)
    try:
        parts = urlsplit(match["url"]) if match else None
    except ValueError:  # a bracket that is not closed, for example
        parts = None
    if match is None or parts is None:
        # The entry is not told: it may hold a password.
        raise SettingsError(
            f"ALERT_URLS: entry {number} has another form than scheme://... or name=scheme://..., as Apprise takes it;"
            " encode blanks in it as %20"
        )
    name, url = (match["name"] or "").casefold(), match["url"]
    # A target for each recipient: if one mail for all were refused for one bad address, a retry would repeat it to all.
    if parts.scheme.lower() in MAIL and (recipients := _recipients(url)):
        return [mail_to(address, url, name) for address in recipients]
    host = f" {visible(parts.netloc.rpartition('@')[2])}" if parts.scheme.lower() in WITH_HOST else ""
    return [Target(f"{_prefix(name)}{parts.scheme.lower()}{host}", name, url)]


def _prefix(name: str) -> str:
    return f"{name}: " if name else ""


def _recipients(url: str) -> list[str]:
    """The plain addresses that a mail URL is for; empty where it is not just a list of them."""
    parts = urlsplit(url)
    asked = [unquote(item[3:]) for item in parts.query.split("&") if item.startswith("to=")]
    texts = [*re.split(r"[\s,;]+", ",".join(asked)), *map(unquote, parts.path.split("/"))]
    found = [text for text in texts if text]
    return found if all(ADDRESS.fullmatch(text) for text in found) else []


def mail_to(address: str, url: str, route: str) -> Target:
    """The target that mails to one address through the server of a mail URL."""
    parts = urlsplit(url)
    # Recipients may stand in the query and in the path, so both are written anew, with this one alone.
    others = [item for item in parts.query.split("&") if item and not item.startswith("to=")]
    server = next((unquote(item[5:]) for item in others if item.startswith("smtp=")), parts.hostname or "")
    query = "&".join([*others, f"to={quote(address)}"])
    # The route of a member of a team is the address itself, which the label has anyway.
    prefix = _prefix(route) if "@" not in route else ""
    label = f"{prefix}mail to {visible(address)} by {visible(server)}"
    return Target(label, route, urlunsplit(parts._replace(path="/", query=query)))


def targets_named(configured: Sequence[Target], name: str) -> list[Target]:
    """The targets of a name; of a mail address, one through the first mail URL."""
    if "@" not in name:
        return [target for target in configured if target.route == name.casefold()]
    servers = [target for target in configured if target.url.partition(":")[0].lower() in MAIL]
    return [mail_to(name, servers[0].url, name)] if servers else []


def replacement(configured: Sequence[Target], label: str, route: str) -> Target | None:
    """The target that now takes what waits for a label: itself, else one of the same route, if its URL was changed."""
    # A new password leaves the label as it is. A new host makes another label: then the route tells whose place it has.
    now = targets_named(configured, route)
    same = next((target for target in now if target.label == label), None)
    return same or next(iter(now), None)


def heartbeat_label(url: str) -> str:
    """The label of the heartbeat's address: its host alone, for its path is a secret."""
    return f"heartbeat {visible(urlsplit(url).hostname or '')}" if url else ""
