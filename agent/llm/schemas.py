"""A record's JSON schema as servers take it: closed, everything required, bounded; and once more without the bounds.

Called by `agent.llm.rungs`. Strict servers want `additionalProperties: false` and every property required; some refuse
keywords such as `maxLength`, which is what the bare form is for. What comes back is checked by pydantic anyway.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_DROPPED = frozenset({"title", "default", "examples", "$defs", "discriminator"})
_BOUNDS = frozenset(
    {
        "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "propertyNames",
    }
)  # fmt: skip
_DEEPEST = 30


def strict(schema: type[BaseModel]) -> dict[str, Any]:
    """The schema with references written out. ValueError where it is recursive or holds text or lists without end."""
    document = schema.model_json_schema()
    made: dict[str, Any] = _made(document, document.get("$defs", {}), 0)
    if endless := sorted(unbounded(made)):
        raise ValueError(f"{schema.__name__}: no maxLength or maxItems at {', '.join(endless)}")
    return made


def bare(schema: Any) -> Any:
    """The same without the keywords that some servers refuse."""
    return _without(schema, _BOUNDS)


def unbounded(schema: Any, at: str = "") -> set[str]:
    """Places of strings and lists that have no upper bound."""
    found: set[str] = set()
    if not isinstance(schema, dict):
        return found
    kind = schema.get("type")
    if kind == "string" and not schema.keys() & {"maxLength", "enum", "const", "format"}:
        found.add(at or "the top")
    if kind == "array" and "maxItems" not in schema:
        found.add(at or "the top")
    for name, inner in schema.get("properties", {}).items():
        found |= unbounded(inner, f"{at}.{name}".lstrip("."))
    for part in ("items", "additionalProperties"):
        found |= unbounded(schema.get(part), f"{at}[]")
    for choice in schema.get("anyOf", []):
        found |= unbounded(choice, at)
    for item in schema.get("prefixItems", []):
        found |= unbounded(item, f"{at}[]")
    return found


def _made(node: Any, known: dict[str, Any], depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("a schema that refers to itself cannot be written out")
    if isinstance(node, list):
        return [_made(item, known, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        referred = known[str(node["$ref"]).rpartition("/")[2]]
        return _made({**referred, **{name: value for name, value in node.items() if name != "$ref"}}, known, depth + 1)
    made: dict[str, Any] = {}
    for name, value in node.items():
        if name == "properties":
            made[name] = {field: _made(inner, known, depth + 1) for field, inner in value.items()}
        elif name == "oneOf":
            made["anyOf"] = _made(value, known, depth + 1)
        elif name == "const":
            made["enum"] = [value]
        elif name not in _DROPPED:
            made[name] = _made(value, known, depth + 1)
    if made.get("type") == "object":
        made.setdefault("properties", {})
        made.setdefault("additionalProperties", False)
        made["required"] = list(made["properties"])
    return made


def _without(node: Any, names: frozenset[str]) -> Any:
    if isinstance(node, list):
        return [_without(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: {field: _without(inner, names) for field, inner in value.items()}
        if name == "properties"
        else _without(value, names)
        for name, value in node.items()
        if name not in names
    }
