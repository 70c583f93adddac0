"""What is obviously wrong with a changed Python file and was not wrong before: undefined names and the like.

Called by `agent.attempts` before anything runs. Only findings that would break a run count, and only those that
production's file does not have: a solution's own style is its owner's business. Files that are no Python have none.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter

from registry.errors import Problem
from tools.pdf.text import plain

SERIOUS = frozenset(
    {
        *("UndefinedName", "UndefinedLocal", "UndefinedExport", "DuplicateArgument"),
        *("ReturnOutsideFunction", "YieldOutsideFunction", "ContinueOutsideLoop", "BreakOutsideLoop"),
        *("ContinueInFinally", "LateFutureImport", "FutureFeatureNotDefined", "TwoStarredExpressions"),
        *("TooManyExpressionsInStarredAssignment", "DefaultExceptNotLast", "RaiseNotImplemented"),
        *("ForwardAnnotationSyntaxError", "ImportStarNotPermitted", "StringDotFormatInvalidFormat"),
        *("StringDotFormatMissingArgument", "PercentFormatInvalidFormat", "PercentFormatMissingArgument"),
        *("PercentFormatPositionalCountMismatch", "PercentFormatUnsupportedFormatCharacter"),
    }
)
"""Findings of pyflakes that say that a line cannot work."""
MOST = 8
_LONGEST = 200


def new_findings(path: str, before: bytes | None, after: bytes) -> list[Problem]:
    """Findings in the file after that it did not have before, with their lines; none where it is no Python."""
    if not path.endswith(".py"):
        return []
    known = Counter(what for _, what in _findings(before)) if before is not None else Counter()
    problems = []
    for line, what in _findings(after):
        if known[what] > 0:
            known[what] -= 1
            continue
        problems.append(Problem(path, plain(what, _LONGEST), "code that can run", line=line))
    return problems[:MOST]


def _findings(content: bytes) -> list[tuple[int, str]]:
    """(line, what) of every serious finding; none for a file that does not parse, which others refuse."""
    from pyflakes.checker import Checker

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
            messages = Checker(tree).messages
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = [
        (int(message.lineno), str(message.message % message.message_args))
        for message in messages
        if type(message).__name__ in SERIOUS
    ]
    return sorted(found)
