"""Links from assets to what defines them: their code, their feed's `defs.yaml` and contract.

They lead to the files of this checkout, which is what a developer wants to open, or into the code's repository on the
web, where `SOURCE_URL` tells its address.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import dagster as dg
from dagster_shared.record import replace

KEY = "dagster/code_references"
Reference = dg.LocalFileCodeReference | dg.UrlCodeReference


def link_to(path: Path, label: str) -> dict[str, dg.CodeReferencesMetadataValue]:
    """The metadata of an asset that a file defines."""
    with _beta():
        return _references([dg.LocalFileCodeReference(file_path=str(path), label=label)])


def _references(found: Iterable[Reference]) -> dict[str, dg.CodeReferencesMetadataValue]:
    return {KEY: dg.CodeReferencesMetadataValue(code_references=list(found))}


@contextmanager
def _beta() -> Iterator[None]:
    """The whole of Dagster's interface for code references is beta, and warns of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


def with_source_links(definitions: dg.Definitions, root: Path, url: str | None) -> dg.Definitions:
    """The definitions, each asset with links to its code besides those that it has.

    Args:
        definitions: assets of any kind.
        root: the folder that `url` shows; what lies outside keeps its local link.
        url: address of the files on the web, such as `https://github.com/me/shop/tree/main`; None for local links.
    """
    with _beta():
        linked = dg.with_source_code_references(list(definitions.assets or ()))
        return replace(definitions, assets=[_on_the_web(asset, root, url) if url else asset for asset in linked])


def _on_the_web(asset: object, root: Path, url: str) -> object:
    def moved(spec: dg.AssetSpec) -> dg.AssetSpec:
        local = spec.metadata.get(KEY)
        if not isinstance(local, dg.CodeReferencesMetadataValue):
            return spec
        web = _references(_web(reference, root, url) for reference in local.code_references)
        return spec.replace_attributes(metadata={**spec.metadata, **web})

    if isinstance(asset, dg.AssetSpec):
        return moved(asset)
    return asset.map_asset_specs(moved) if isinstance(asset, dg.AssetsDefinition) else asset


def _web(reference: Reference, root: Path, url: str) -> Reference:
    # Code of an installed package is not in the project's repository, so a link there would lead nowhere.
    if not isinstance(reference, dg.LocalFileCodeReference) or not Path(reference.file_path).is_relative_to(root):
        return reference
    path = quote(Path(reference.file_path).relative_to(root).as_posix())
    line = f"#L{reference.line_number}" if reference.line_number else ""
    return dg.UrlCodeReference(url=f"{url.rstrip('/')}/{path}{line}", label=reference.label)
