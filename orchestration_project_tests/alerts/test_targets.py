"""Targets: how `ALERT_URLS` is read, who takes the messages of which feed, and what is never told."""

import pytest

from orchestration_project.alerts.targets import FeedRoute, read_routing, read_targets
from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings

MAIL = "mailtos://bot:pass-word@example.org?to=ops@example.org"
SLACK = "stores=slack://token-a/token-b/token-c"


def labels(urls: str, feed: str = "", **routes: FeedRoute) -> list[str]:
    routing = read_routing(Settings.from_env({"ALERT_URLS": urls}), routes)
    return [target.label for target in routing.targets_of(feed)]


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
def test_separators(separator: str) -> None:
    """URLs are separated by blanks, commas or both; a comma within an URL separates nothing."""
    targets = read_targets(f"{separator}json://host/a,b{separator}{SLACK}{separator}xml://host/?x=y,z{separator}")
    assert [target.url for target in targets] == ["json://host/a,b", SLACK[7:], "xml://host/?x=y,z"]


def test_a_label_has_no_secret() -> None:
    """A label tells the service, and the host where it is one for certain; equal ones are numbered."""
    urls = f"{MAIL} {SLACK} slack://token-d/token-e/token-f slack://g/h/i jsons://user:pass-word@host:80/token?key=v"
    assert [target.label for target in read_targets(urls)] == [
        "mail to ops@example.org by example.org",
        "stores: slack",
        "slack",
        "slack #2",
        "jsons host:80",
    ]
    assert "token" not in repr(read_targets(urls))
    assert "pass-word" not in repr(Settings(alert_urls=urls))


def test_each_recipient_of_mail_is_a_target() -> None:
    """A mail URL for several recipients is one target for each, so that one bad address does not repeat the others."""
    targets = read_targets("mailto://bot:pw@host/a@x.org/?to=b@x.org,c%40x.org&smtp=smtp.x.org&+X-Kind=alarm")
    assert [(target.label, target.url) for target in targets] == [
        (
            f"mail to {address}@x.org by smtp.x.org",
            f"mailto://bot:pw@host/?smtp=smtp.x.org&+X-Kind=alarm&to={address}%40x.org",
        )
        for address in "bca"
    ]


def test_a_feed_is_told_by_name() -> None:
    """URLs without a name take all messages, those with a name the ones of the feeds that name it."""
    route = FeedRoute(["Stores"], required=True)
    assert labels(f"{MAIL} {SLACK}", "a", a=route) == ["mail to ops@example.org by example.org", "stores: slack"]
    assert labels(f"{MAIL} {SLACK}", "b", a=route) == ["mail to ops@example.org by example.org"]
    assert labels(f"{MAIL} {SLACK}") == ["mail to ops@example.org by example.org"]


def test_a_team_is_told_where_it_can_be() -> None:
    """A contract's team gets mail through the first mail URL; who takes all messages gets none twice."""
    route = FeedRoute(["sales_data", "anna@example.org", "ops@example.org"])
    assert labels(MAIL, "a", a=route) == [
        "mail to ops@example.org by example.org",
        "mail to anna@example.org by example.org",
    ]
    assert labels("json://host", "a", a=route) == ["json host"]


def test_without_urls_nobody_is_told() -> None:
    """Where `ALERT_URLS` is not set, as on a laptop, no name is missed."""
    assert labels("", "a", a=FeedRoute(["stores"], required=True)) == []


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        pytest.param("pass-word", "entry 1", id="no URL"),
        pytest.param("json://host slack:/pass-word", "entry 1", id="half a scheme"),
        pytest.param("json://host json://[pass-word", "entry 2", id="no host"),
        pytest.param("json://host json://ho st/pass-word", "entry 2", id="a blank"),
        pytest.param("sto res=json://pass-word", "entry 1", id="a blank in a name"),
        pytest.param("stores=json://host/pass-word", "every URL has a name", id="nobody takes all"),
    ],
)
def test_refused_urls(urls: str, says: str) -> None:
    """An entry that is no URL is refused by its number; its text may be a password and is not told."""
    with pytest.raises(SettingsError, match=says) as caught:
        read_targets(urls)
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("stors", "feed a: alerts: .* 'stors'.*there are stores.*stores", id="a name"),
        pytest.param("anna@example.org", "feed a: alerts: 'anna@example.org' .* no mail URL", id="an address"),
    ],
)
def test_unknown_names(name: str, says: str) -> None:
    """A name that a feed's `alerts` has and `ALERT_URLS` has not is an error that lists the names there are."""
    with pytest.raises(SettingsError, match=says):
        labels(f"json://host {SLACK}", a=FeedRoute([name], required=True))


def test_the_heartbeats_address_is_a_secret() -> None:
    """Of `HEARTBEAT_URL` only the host is told, also when it is no address."""
    settings = Settings.from_env({"HEARTBEAT_URL": "https://hc.example.org/pass-word"})
    assert read_routing(settings, {}).heartbeat == "heartbeat hc.example.org"
    assert "pass-word" not in repr(settings)
    with pytest.raises(SettingsError, match="HEARTBEAT_URL") as caught:
        Settings.from_env({"HEARTBEAT_URL": "hc.example.org/pass-word"})
    assert "pass-word" not in str(caught.value)
