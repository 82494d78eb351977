"""JSON-schema errors in words: where, what was found, what is allowed."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import Place, did_you_mean, listed

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_LONGEST = 60
_CHOICE_FIELDS = {"properties", "required"}
_TYPE_NAMES = {
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
}
_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "minItems": "length at least",
    "maxItems": "length at most",
}


def report(errors: Iterable["ValidationError"], document: Any, root: Any, place: Place) -> None:
    """Report every error at its place below `place`; of the branches of a choice only the one that was meant."""
    leaves = [leaf for error in errors for leaf in _leaves(error)]
    places = [tuple(leaf.absolute_path) for leaf in leaves]
    for leaf, path in zip(leaves, places, strict=True):
        where = _place(path, document, place)
        if leaf.validator in ("additionalProperties", "unevaluatedProperties"):
            told = _unexpected(leaf, root)
            # The properties of a branch that failed count as unevaluated: an echo of the failure, not one more problem.
            if not told and not any(
                other is not leaf and at[: len(path)] == path for other, at in zip(leaves, places, strict=True)
            ):
                told = [
                    leaf.message.replace(
                        "Unevaluated properties are not allowed", "fields that do not go with the others here"
                    )
                ]
        else:
            told = [_told(leaf)]
        for message in told:
            where.problem(message)


def _leaves(error: "ValidationError") -> Iterator["ValidationError"]:
    """The errors that tell a reader what to change: a choice is followed into the branch that fits best."""
    if error.validator not in ("oneOf", "anyOf") or not error.context or _required_choice(error) or _types(error):
        yield error
        return
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [inner for inner in branches.values() if not any(e.validator == "type" and not e.path for e in inner)]
    for inner in min(
        fitting or branches.values(), key=lambda branch: (any(e.validator == "required" for e in branch), len(branch))
    ):
        yield from _leaves(inner)


def _place(path: tuple[str | int, ...], document: Any, place: Place) -> Place:
    node, container = document, ""
    for part in path:
        node = node[part]
        if isinstance(part, int):
            place = place.item(part)
            if container == "properties" and isinstance(node, dict) and isinstance(node.get("name"), str):
                place = place.about(f"column {node['name']!r}")
        else:
            place, container = place.key(part), part
    return place


def _told(error: "ValidationError") -> str:
    """One error in words."""
    allowed: Any = error.validator_value
    found: Any = error.instance
    if error.validator == "required":
        names = [name for name in allowed if name not in found]
        return f"{listed(names)} {'is' if len(names) == 1 else 'are'} missing"
    if error.validator == "enum":
        hint = did_you_mean(found, map(str, allowed)) if isinstance(found, str) else ""
        return f"found {shown(found)}; allowed: {listed(allowed)}{hint}"
    if error.validator == "type":
        return f"found {shown(found)}; allowed: {_type_name(allowed)}{_quote_hint(found, allowed)}"
    if choice := _required_choice(error):
        present = listed(name for name in choice if name in found)
        return f"needs exactly one of {listed(choice)}; found {present or 'none'}"
    if types := _types(error):
        return f"found {shown(found)}; allowed: {' or '.join(map(_type_name, types))}"
    if error.validator in _LIMITS:
        return f"found {shown(found)}; allowed: {_LIMITS[error.validator]} {allowed}"
    return f"found {shown(found)}, which breaks the standard's {error.validator}: {shown(allowed)}"


def _branches(error: "ValidationError") -> list[dict[str, Any]]:
    value: Any = error.validator_value
    return list(value) if error.validator in ("oneOf", "anyOf") else []


def _required_choice(error: "ValidationError") -> list[str]:
    """The fields of a choice whose branches each require one field, unless just one is there (its value is wrong)."""
    branches, found = _branches(error), error.instance
    names = [branch["required"][0] for branch in branches if "required" in branch and set(branch) <= _CHOICE_FIELDS]
    if not names or len(names) != len(branches) or not isinstance(found, dict):
        return []
    return names if sum(name in found for name in names) != 1 else []


def _types(error: "ValidationError") -> list[Any]:
    """The types of a choice between plain types."""
    branches = _branches(error)
    types = [branch.get("type") for branch in branches if set(branch) <= {"type", "description", "title"}]
    return types if len(types) == len(branches) else []


def _unexpected(error: "ValidationError", root: Any) -> list[str]:
    """A message for each field that the schema does not know at all at this place."""
    allowed = sorted(_known_fields(error.schema, root))
    found: Any = error.instance
    return [
        f"{name!r} is not a field of the standard here{did_you_mean(name, allowed) or f'; allowed: {listed(allowed)}'}"
        for name in found
        if name not in allowed
    ]


def _known_fields(schema: Any, root: Any) -> set[str]:
    """Every field that a schema names, in whichever of its branches."""
    fields = set(schema.get("properties", {}))
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        fields |= _known_fields(target, root)
    branches = [
        *schema.get("allOf", []),
        *schema.get("oneOf", []),
        *schema.get("anyOf", []),
        *([schema["then"]] if "then" in schema else []),
    ]
    for inner in branches:
        fields |= _known_fields(inner, root)
    return fields


def _type_name(name: Any) -> str:
    return " or ".join(map(_type_name, name)) if isinstance(name, list) else _TYPE_NAMES.get(name, str(name))


def _quote_hint(value: Any, allowed: Any) -> str:
    plain = not isinstance(value, dict | list) and value is not None
    return " (put it in quotes)" if allowed == "string" and plain else ""


def shown(value: Any) -> str:
    """A value as a contract's author wrote it, shortened."""
    if isinstance(value, dict | list):
        text = json.dumps(value, default=str, ensure_ascii=False)
    elif isinstance(value, bool | None):
        text = {True: "true", False: "false", None: "nothing"}[value]
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
