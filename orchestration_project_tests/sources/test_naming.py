"""Names in landing: which keys are wanted, and what their files are called."""

import pytest

from orchestration_project.errors import SourceError
from orchestration_project.sources.naming import Naming

KEY = "eu/2024/03/sales.csv"


@pytest.mark.parametrize(
    ("pattern", "name", "key", "expected"),
    [
        pytest.param(None, "{name}", KEY, "sales.csv", id="last part"),
        pytest.param(None, "{name}", "sales.csv", "sales.csv", id="no folder"),
        pytest.param(None, "{path}", KEY, "eu_2024_03_sales.csv", id="whole key"),
        pytest.param(r"(?P<shop>\w+)/.*/(?P<what>.+)", "{what}-of-{shop}", KEY, "sales.csv-of-eu", id="groups"),
        pytest.param(r"(?P<day>.*)/(.*)", "{day}-{name}", KEY, "eu_2024_03-sales.csv", id="slash in a group"),
        pytest.param(r"sales", "{name}", KEY, None, id="a part of the key does not match"),
        pytest.param(r".*\.txt", "{name}", KEY, None, id="another ending"),
        pytest.param(None, "{name}", "eu/2024/", None, id="a marker of a folder"),
        pytest.param(None, "{name}", "eu/.hidden.csv", None, id="hidden"),
        pytest.param(None, "{name}", "eu/sales.csv.filepart", None, id="unfinished"),
        pytest.param(None, "{name}", "a\nb.csv", "a\nb.csv", id="line break"),
        pytest.param(None, "daily.csv", KEY, "daily.csv", id="no field"),
    ],
)
def test_names(pattern: str | None, name: str, key: str, expected: str | None) -> None:
    """A key that matches as a whole is named by the template; any other is not wanted."""
    naming = Naming(pattern, name)
    assert naming.problem() is None
    assert naming.name_of(key) == expected


def test_a_group_that_did_not_match() -> None:
    """A field that a key has nothing for costs that key, and is named."""
    naming = Naming(r"(?:(?P<shop>\w+)/)?\w+\.csv", "{shop}-{name}")
    assert naming.name_of("eu/sales.csv") == "eu-sales.csv"
    with pytest.raises(SourceError, match=r"sales\.csv has nothing for \{shop\}"):
        naming.name_of("sales.csv")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        pytest.param("(", "{name}", "no regular expression", id="pattern"),
        pytest.param("(?P<name>.*)", "{name}", "can't be called name", id="group with a taken name"),
        pytest.param(None, "", "no template", id="empty"),
        pytest.param(None, "{name", "no template", id="open brace"),
        pytest.param(None, "{name.__class__}", "no template", id="attribute"),
        pytest.param("(?P<shop>.*)", "{shap}", "name has {shap}, and the fields are {name}, {path}, {shop}", id="typo"),
    ],
)
def test_problems(pattern: str | None, name: str, expected: str) -> None:
    """What can't be used is told before anything is fetched."""
    assert expected in str(Naming(pattern, name).problem())
