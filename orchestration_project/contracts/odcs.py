"""From a file to a document of the Open Data Contract Standard that is known to follow the standard's JSON schema.

Belongs here: what the standard itself says. Does not belong here: what this platform makes of it (`build.py`). The
schema is the one that `open-data-contract-standard` ships: version 3.2.0, which also holds everything of 3.1 and 3.0.
jsonschema (150 ms) and the package's model (300 ms) are imported when the first contract is read, so that importing
this package stays cheap.
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import Place, did_you_mean, listed
from orchestration_project.contracts.schema_errors import report
from orchestration_project.contracts.yaml_text import read_yaml

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from open_data_contract_standard.model import OpenDataContractStandard

API_VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0")
METRIC_OF_RULE = {"duplicateCount": "duplicateValues", "validValues": "invalidValues"}
"""What `rule` was called in 3.0 where the name differs from the `metric` that replaced it."""


def read_document(path: Path, place: Place) -> "OpenDataContractStandard | None":
    """The contract in a file; None after something was reported to `place`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        place.problem(f"can't be read: {error.strerror or error}")
        return None
    except UnicodeDecodeError as error:
        place.problem(f"not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}")
        return None
    data = read_yaml(text, place)
    return None if place.problems else parse_document(data, place)


def parse_document(data: Any, place: Place) -> "OpenDataContractStandard | None":
    """The contract in plain data (as `read_yaml` returns it); None after something was reported to `place`."""
    import pydantic
    from open_data_contract_standard.model import OpenDataContractStandard

    if not isinstance(data, dict):
        place.problem(
            f"a contract is a mapping with apiVersion, kind, id, version and schema; found {type(data).__name__}"
        )
        return None
    version = data.get("apiVersion")
    if isinstance(version, str) and version not in API_VERSIONS:
        place.key("apiVersion").problem(
            f"{version!r} is not supported; allowed: {listed(API_VERSIONS)}{did_you_mean(version, API_VERSIONS)}"
        )
        return None
    document = _with_metrics(data)
    try:
        report(_validator().iter_errors(document), document, _validator().schema, place)
        return None if place.problems else OpenDataContractStandard.model_validate(document)
    except pydantic.ValidationError as error:
        for detail in error.errors():
            place.key(*(str(part) for part in detail["loc"])).problem(detail["msg"])
    return None


@cache
def _validator() -> "Validator":
    """The standard's schema, with one mistake of it mended.

    Its `if: {properties: {logicalType: {const: map}}}` also holds when `logicalType` is absent, so that every
    property without it would have to be a map. Each such condition also requires the field that it looks at.
    """
    from jsonschema import Draft201909Validator

    text = resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    for branch in schema["$defs"]["SchemaBaseProperty"]["allOf"]:
        if "if" in branch:
            branch["if"] = {"allOf": [branch["if"]], "required": ["logicalType"]}
    return Draft201909Validator(schema)


def _with_metrics(node: Any) -> Any:
    """A copy in which each quality rule names its `metric`; up to 3.0 the field was called `rule`."""
    if isinstance(node, list):
        return [_with_metrics(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _with_metrics(value) for key, value in node.items()}
    if isinstance(copy.get("quality"), list):
        copy["quality"] = [dict(_renamed(rule)) if isinstance(rule, dict) else rule for rule in copy["quality"]]
    return copy


def _renamed(rule: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    old_name = rule.get("rule")
    for key, value in rule.items():
        if key == "rule" and isinstance(old_name, str) and rule.get("metric") in (None, old_name):
            yield "metric", METRIC_OF_RULE.get(old_name, old_name)
        elif key != "metric" or "rule" not in rule or value != old_name:
            yield key, value
