"""The environment of a process that reads a stranger's file: what an interpreter needs to start, and no key of ours.

Used by `tools.pdf.text` and `tools.pages.text`.
"""

from __future__ import annotations

import os

_NEEDED = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


def clean_environment() -> dict[str, str]:
    """The few variables that are handed on."""
    return {name: os.environ[name] for name in _NEEDED if name in os.environ}
