"""Who is told of a feed's alarms: `alerts` of its `defs.yaml`, its contract's team, and what is wrong with them."""

from pathlib import Path

import pytest

from orchestration_project.alerts.targets import FeedRoute
from orchestration_project.components import FileFeed
from orchestration_project.errors import PlatformError
from orchestration_project.setting_values import SettingsError
from orchestration_project_tests.components.watch import DEFS, spec_of
from orchestration_project_tests.components.workbench import feeds

ALERTS = {"defs.yaml": "type: orchestration_project.components.Alerts\n"}
TEAM = """team:
  name: Product data
  members:
    - {username: anna@example.org, role: owner}
    - {username: ben@example.org, dateOut: "2024-01-01"}
    - {username: carla}
"""


def contract_with(team: str) -> str:
    text = (DEFS / "products" / "products.odcs.yaml").read_text(encoding="utf-8")
    before, _, after = text.partition("team:\n")
    return before + team + after.partition("\n\n")[2]


def test_the_attribute_comes_first() -> None:
    """`alerts` names who has to be there; an empty list names nobody."""
    feed = FileFeed.model_validate({"contract": "x", "alerts": ["stores", "anna@example.org"]})
    assert feed.alerts == ["stores", "anna@example.org"]
    assert spec_of("sales").route == FeedRoute(["sales_data"])


def test_the_team_of_the_contract(tmp_path: Path) -> None:
    """Without it, the team's name and the members with a mail address who have not left are told where they can be."""
    path = tmp_path / "products.odcs.yaml"
    path.write_text(contract_with(TEAM), encoding="utf-8")
    feed = FileFeed.model_validate({"contract": str(path), "mode": "snapshot"})
    assert feed.spec.route == FeedRoute(["product_data", "anna@example.org"])
    chosen = FileFeed.model_validate({"contract": str(path), "mode": "snapshot", "alerts": []})
    assert chosen.spec.route == FeedRoute((), required=True)


def cause_of(error: BaseException) -> BaseException:
    while not isinstance(error, PlatformError):
        assert error.__cause__
        error = error.__cause__
    return error


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        pytest.param("json://host stores=json://pass-word", "'shops'", id="a name that no URL has"),
        pytest.param("json://host nonsense://pass-word", "'nonsense'", id="an URL that Apprise can't use"),
        pytest.param("pass-word", "entry 1", id="no URL"),
    ],
)
def test_mistakes_show_when_the_definitions_load(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, urls: str, says: str
) -> None:
    """Such an error has the feed's name or the URL's label or number, and no secret."""
    monkeypatch.setenv("ALERT_URLS", urls)
    attributes = "contract: products.odcs.yaml\n  mode: snapshot\n  alerts: [shops]\n"
    files = {
        "defs.yaml": f"type: orchestration_project.components.FileFeed\nattributes:\n  {attributes}",
        "products.odcs.yaml": contract_with(TEAM),
    }
    if "shops" not in says:
        files["defs.yaml"] = files["defs.yaml"].replace("[shops]", "[]")
    with pytest.raises(Exception, match="Error while building") as raised, feeds(products=files, watch=ALERTS):
        pass
    cause = cause_of(raised.value)
    assert isinstance(cause, SettingsError)
    assert says in str(cause)
    assert "pass-word" not in str(cause)
