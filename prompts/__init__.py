"""The texts: one Markdown file a prompt or brief, loaded by name, with its hash.

A prompt for a model has two parts, what it is told about its task and the question, around the line
`<!-- question -->`. `text(name).fill(...)` puts values in place of `{{name}}`; a value that is missing or not asked
for is an error, so that a text and the code that fills it cannot drift apart. A slot written `{{untrusted name}}` takes
strangers' text: its value has to be fenced (`agent.llm.untrusted.fenced`), or one of `NOTHING`, which is checked here
and nowhere else. Imports none of the other packages.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
QUESTION = "<!-- question -->"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SLOT = re.compile(r"\{\{(untrusted )?([a-z_]+)\}\}")
NO_QUESTION = "<!- - question - ->"
NOTHING = frozenset({"", "None.", "None yet.", "Nothing.", "Nothing yet.", "Nothing is known.", "Unknown."})
"""What a slot for strangers' text may hold where there is no such text."""
_FENCED = re.compile(r"\[untrusted ([0-9a-f]{16}): [^\[\]\n]*\]\n(.*?)\n\[end of untrusted \1\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Text:
    """One text with `{{slots}}`."""

    name: str
    template: str
    sha256: str
    """Of the file, for the record of whatever was made from it."""

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(name for _, name in _SLOT.findall(self.template))

    @property
    def untrusted(self) -> frozenset[str]:
        """Slots whose values are strangers' text."""
        return frozenset(name for mark, name in _SLOT.findall(self.template) if mark)

    def fill(self, **values: str) -> str:
        """The text with every slot filled.

        ValueError names slots without a value, values without a slot, and strangers' text that is not fenced.
        """
        missing, extra = sorted(self.slots - values.keys()), sorted(values.keys() - self.slots)
        if missing or extra:
            raise ValueError(f"{self.name}: no value for {missing}, no slot for {extra}")
        if loose := sorted(name for name in self.untrusted if not is_fenced(values[name])):
            raise ValueError(f"{self.name}: strangers' text without a fence for {loose}")
        # Values are put in once and not searched for slots; a line that parts the prompt is ours alone.
        return _SLOT.sub(lambda match: values[match[2]].replace(QUESTION, NO_QUESTION), self.template)


def digest(content: str) -> str:
    """What the marks around a stranger's text hold."""
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:16]


def is_fenced(value: str) -> bool:
    """Whether a value is fenced text and nothing else, or says that there is none."""
    rest = _FENCED.sub(lambda match: "" if digest(match[2]) == match[1] else match[0], value)
    return rest.strip() in NOTHING


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
