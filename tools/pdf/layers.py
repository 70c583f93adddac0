"""Optional content of a PDF: which of its layers a reader does not see. Used by `tools.pdf.visibility`.

The document's default configuration decides, as a viewer shows it when it is opened.
"""

from __future__ import annotations

from typing import Any

from tools.pdf.colours import resolved

_DEEP = 8


class Layers:
    """Layers (`OCG`) that are off, and what follows for memberships (`OCMD`)."""

    def __init__(self, catalogue: Any) -> None:
        properties: Any = resolved(catalogue.get("/OCProperties")) if hasattr(catalogue, "get") else None
        self._off: set[int] = set()
        if not hasattr(properties, "get"):
            return
        default: Any = resolved(properties.get("/D"))
        default = default if hasattr(default, "get") else {}
        if str(default.get("/BaseState", "")) == "/OFF":
            self._off = {_identity(each) for each in _list(properties.get("/OCGs"))}
            self._off -= {_identity(each) for each in _list(default.get("/ON"))}
        self._off |= {_identity(each) for each in _list(default.get("/OFF"))}

    def hides(self, content: Any, depth: int = 0) -> bool:
        """Whether content marked with this group or membership (a reference or the object) is not shown."""
        if not self._off or content is None or depth > _DEEP:
            return False
        if _identity(content) in self._off:
            return True
        group = resolved(content)
        if not hasattr(group, "get") or str(group.get("/Type")) != "/OCMD":
            return False
        raw = group.get_raw("/OCGs") if hasattr(group, "get_raw") and "/OCGs" in group else group.get("/OCGs")
        members = _list(raw) if isinstance(resolved(raw), list) else [raw] if raw is not None else []
        off = [self.hides(member, depth + 1) for member in members]
        if not off:
            return False
        policy = str(group.get("/P", "/AnyOn"))
        return {"/AllOn": any(off), "/AnyOff": not any(off), "/AllOff": not all(off)}.get(policy, all(off))


def _list(value: Any) -> list[Any]:
    """Members as they are, references unresolved, since a layer is known by its reference."""
    found = resolved(value)
    return list.copy(found) if isinstance(found, list) else []


def _identity(value: Any) -> int:
    number = getattr(value, "idnum", None)
    if number is None:
        reference = getattr(value, "indirect_reference", None)
        number = getattr(reference, "idnum", None)
    return int(number) if number is not None else -id(value)
