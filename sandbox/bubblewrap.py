"""The default backend: bubblewrap (`bwrap`), a fresh sandbox for every run.

Implements `sandbox.contract.Sandbox`; made by `sandbox.backends.choose`.
"""

from __future__ import annotations

from sandbox.contract import Isolation
from sandbox.hosts import Host, examine
from sandbox.supervised import Supervised


class Bubblewrap(Supervised):
    """Runs commands in bubblewrap; `state` is a folder for the markers of its runs."""

    name = "bwrap"
    isolation: Isolation = "full"

    builds = True

    def examine(self) -> Host:
        """Look for bwrap and start the smallest sandbox."""
        return examine()
