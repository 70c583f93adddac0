"""The texts: one Markdown file a prompt or brief, loaded by name, with its hash.

A prompt for a model has two parts, what it is told about its task and the question, around the line
`<!-- question -->`. `text(name).fill(...)` puts values in place of `{{name}}`; a value that is missing or not asked
for is an error, so that a text and the code that fills it cannot drift apart. Imports none of the other packages.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
QUESTION = "<!-- question -->"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True, slots=True)
class Text:
    """One text with `{{slots}}`."""

    name: str
    template: str
    sha256: str
    """Of the file, for the record of whatever was made from it."""

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(_SLOT.findall(self.template))

    def fill(self, **values: str) -> str:
        """The text with every slot filled; ValueError names slots without a value and values without a slot."""
        missing, extra = sorted(self.slots - values.keys()), sorted(values.keys() - self.slots)
        if missing or extra:
            raise ValueError(f"{self.name}: no value for {missing}, no slot for {extra}")
        return _SLOT.sub(lambda match: values[match[1]], self.template)


def text(name: str) -> Text:
    """Load a text by name; KeyError where there is none of that name."""
    path = _FOLDER / f"{name}.md"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise KeyError(f"no text called {name!r}; known: {', '.join(names())}")
    content = path.read_bytes()
    return Text(name, content.decode(), hashlib.sha256(content).hexdigest())


def names() -> list[str]:
    """Every text there is."""
    return sorted(path.stem for path in _FOLDER.glob("*.md"))


def parts(filled: str) -> tuple[str, str]:
    """System message and question of a filled prompt; ValueError where the line between them is missing."""
    system, mark, question = filled.partition(f"\n{QUESTION}\n")
    if not mark:
        raise ValueError(f"no line {QUESTION}")
    return system.strip(), question.strip()
