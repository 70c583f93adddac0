"""The files of the solution that a patch writer may read: never the evaluator, data, items or labels, never a secret.

Called by `agent.patching` and by whoever shows code to a model. What train and predict may not see, a model may not
see either; nor files in which the check of the evaluator found labels, nor files that hold keys by their name.
"""

from __future__ import annotations

from agent.services import Services
from registry.errors import BadInput, Problem

SECRETS = (
    *(".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "*.gpg", "id_rsa*", "id_ed25519*"),
    *(".netrc", ".npmrc", ".pypirc", ".git-credentials", "credentials*", "secrets*", "*.secret", "*.token"),
)
"""Names, in lower case, of files that are not sent to anybody."""
LARGEST = 1 << 20
MOST = 2000
"""Files that are offered; a solution with more has the first in the order of their paths."""


class ReadableFiles:
    """Names and contents of one commit's files, without what must not be shown."""

    def __init__(self, services: Services, commit: str) -> None:
        from tools.globs import covers, fold, matches

        self._solution, self._commit = services.solution, commit
        self._hidden: dict[str, str] = {}
        protected, data = services.target.solution.protected, services.runner.trees.data_paths()
        leaking = _leaking(services)
        names: list[str] = []
        for path, size in sorted(services.solution.files(commit).items()):
            if covers(path, protected):
                self._hidden[path] = "a protected file"
            elif covers(path, data) or path in leaking:
                self._hidden[path] = "data or labels"
            elif any(matches(part, SECRETS) for part in fold(path).split("/")):
                self._hidden[path] = "a file that may hold keys"
            elif size > LARGEST or len(names) == MOST:
                self._hidden[path] = "a file that is too large to be shown, or beyond the first of them"
            else:
                names.append(path)
        self.names = tuple(names)

    def is_hidden(self, path: str) -> bool:
        """Whether the commit has such a file and it may not be read."""
        return path in self._hidden

    def read(self, path: str) -> bytes:
        """Content of a file that may be read; BadInput for any other path, which says why."""
        if path in self.names:
            return self._solution.read(self._commit, path)
        shown = path if path.isprintable() else ascii(path)
        found = self._hidden.get(path, "no file that can be read")
        raise BadInput(Problem(shown[:240] or "patch", found, "one of the files that are listed"))


def _leaking(services: Services) -> frozenset[str]:
    """Files of the code in which the last check of the evaluator found labels."""
    checked = list(services.history.evaluator_checks.values())
    leaks = checked[-1].get("leaks", []) if checked else []
    return frozenset(str(leak["path"]).removeprefix("/code/") for leak in leaks)
