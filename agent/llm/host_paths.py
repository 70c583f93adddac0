"""Takes paths of this machine out of errors before a model reads them.

Called where a run's or an import's own words go into a prompt: an interpreter stands in a sandbox under the path that
it has on the host, so an ordinary `ImportError` names the home folder of who runs us. Files of the solution are shown
as they are; what stands in them is their owner's.
"""

from __future__ import annotations

import re

INSIDE = (
    *("code", "work", "data", "inputs", "labels", "model", "build", "predictions", "probe", "config", "wheels"),
    *("usr", "lib", "lib64", "bin", "sbin", "etc", "proc", "sys", "dev"),
)
"""Folders at the root that are the same in every sandbox and say nothing of the host."""
HOMES = frozenset({"home", "Users"})
KEPT = 2
"""Names at a path's end that are kept: the file and its folder tell which module it is."""
_PATH = re.compile(rf"(?<![\w./…-])/(?!/|(?:{'|'.join(INSIDE)})(?:/|\b))[^\s'\"`()<>:;,|]+/[^\s'\"`()<>:;,|]+")


def without_host_paths(text: str) -> str:
    """The text with `…/` and the last two names in place of each absolute path that is no sandbox's own."""
    return _PATH.sub(lambda match: _end(match[0]), text)


def _end(path: str) -> str:
    names = path.strip("/").split("/")
    above = 2 if names[0] in HOMES and len(names) > 2 else 1  # the second name is whose home it is
    return "/".join(["…", *names[above:][-KEPT:]])
