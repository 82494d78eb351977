"""Links from assets to the files that define them."""

import warnings
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.components.source_links import KEY, with_source_links
from orchestration_project_tests.components.workbench import REPOSITORY, project

WEB = "https://example.org/me/shop/tree/main/"
Reference = dg.LocalFileCodeReference | dg.UrlCodeReference


def links(definitions: dg.Definitions, asset: str) -> list[Reference]:
    (spec,) = [spec for spec in definitions.resolve_all_asset_specs() if spec.key == dg.AssetKey(asset)]
    return list(spec.metadata[KEY].code_references)


def paths(definitions: dg.Definitions, asset: str) -> list[str]:
    """The files of the repository that an asset refers to, all of which exist."""
    found = [reference for reference in links(definitions, asset) if isinstance(reference, dg.LocalFileCodeReference)]
    assert all(Path(reference.file_path).is_file() for reference in found)
    return [Path(reference.file_path).relative_to(REPOSITORY).as_posix() for reference in found]


@pytest.mark.parametrize("table", ["raw_sales", "cleaned_sales", "rejected_sales"])
def test_a_table_of_a_feed_leads_to_contract_component_and_code(table: str) -> None:
    """Whoever looks at a table finds the contract, the feed's settings and the code that loads it."""
    assert paths(project(), table) == [
        "orchestration_project/defs/sales/sales.odcs.yaml",
        "orchestration_project/defs/sales/defs.yaml",
        "orchestration_project/components/feed_assets.py",
    ]
    assert [reference.label for reference in links(project(), table)] == ["contract", None, None]


def test_a_drop_folder_leads_to_its_contract() -> None:
    """The files of the feed are described by the contract."""
    assert paths(project(), "landing_sales")[0] == "orchestration_project/defs/sales/sales.odcs.yaml"


def test_every_asset_leads_to_what_defines_it() -> None:
    """No asset is without links."""
    assert [spec.key for spec in project().resolve_all_asset_specs() if KEY not in spec.metadata] == []


def test_links_lead_to_the_web_when_it_has_the_checkout() -> None:
    """With an address links lead there, line and label included; files from elsewhere keep their local link."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        elsewhere = dg.LocalFileCodeReference(file_path="/elsewhere/a.yaml")
        inside = dg.LocalFileCodeReference(file_path=f"{REPOSITORY}/docs/a page.md", line_number=3, label="page")
        metadata = {KEY: dg.CodeReferencesMetadataValue(code_references=[inside, elsewhere])}
    external = dg.AssetSpec("external", metadata=metadata)

    @dg.asset
    def made() -> None: ...

    found = with_source_links(dg.Definitions(assets=[external, made]), REPOSITORY, WEB)
    page, other = links(found, "external")
    assert (page.source, page.label) == (f"{WEB}docs/a%20page.md#L3", "page")
    assert other == elsewhere
    (code,) = links(found, "made")
    assert code.source.startswith(f"{WEB}{Path(__file__).relative_to(REPOSITORY).as_posix()}#L")
