"""New text of `competitive_registry.yaml` with one score changed; everything else stays byte for byte.

Called where monitoring saw a rival's score and where a promotion moved ours. Pure: the caller writes the text.
"""

from __future__ import annotations

import datetime as dt

from registry.yaml_nodes import NodePath
from registry.yaml_parsing import parse
from registry.yaml_scalars import Value, number_token
from registry.yaml_text import append_item, insert_key, splice

FILE_NAME = "competitive_registry.yaml"
_SCORES: NodePath = ("our_solution", "current_scores")


def with_current_score(text: str, board: str, value: float | None, where: str = FILE_NAME) -> str:
    """The text with our score on a board, in place or as a new line of `current_scores`."""
    return _set(text, _SCORES, board, value, where)


def with_competitor_score(
    text: str, name: str, source: str, score: float | None, date: dt.date, where: str = FILE_NAME
) -> str:
    """The text with a rival's latest score on a board and the day it was seen; an unknown rival is appended."""
    data = parse(text, where).data
    competitors = data.get("competitors")
    day = date.isoformat()
    for index, entry in enumerate(competitors if isinstance(competitors, list) else []):
        if isinstance(entry, dict) and entry.get("name") == name and entry.get("source") == source:
            path = ("competitors", index)
            return _set(_set(text, path, "latest_score", score, where), path, "last_updated", day, where)
    item: dict[str, Value] = {"name": name, "latest_score": score, "source": source, "last_updated": day}
    if "competitors" not in data:
        return insert_key(text, (), "competitors", [item], where)
    return append_item(text, ("competitors",), item, where)


def _set(text: str, path: NodePath, key: str, value: Value, where: str) -> str:
    data = parse(text, where)
    if (*path, key) not in data.nodes:
        return insert_key(text, path, key, value, where)
    old = data.nodes[(*path, key)].value
    if isinstance(old, str) and isinstance(value, (int, float)):
        # A score written in quotes stays written so.
        value = number_token(value, old)
    return splice(text, {(*path, key): value}, where)
