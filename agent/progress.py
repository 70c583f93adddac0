"""What a person sees while a night runs: what is running, for how long, what is next, what is left of the budget.

Nodes call these methods and nothing else; where the lines go is decided once, on start. Text from outside
(candidates' logs, papers, boards) is stripped and escaped before it is shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from agent.state import State

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

NEXT: dict[str, str] = {
    "monitor": "read papers",
    "read_papers": "extract techniques",
    "extract": "propose hypotheses",
    "hypothesise": "rank the queue",
    "queue": "write a patch",
    "defend": "write a patch",
    "patch": "validate on one seed",
    "validate": "measure against production",
    "experiment": "ask the gate",
    "judge": "more seeds, or a verdict",
    "promote": "report",
    "archive": "report",
    "park": "report",
    "report": "the next cycle",
}


class Progress(Protocol):
    """Where the night's lines go."""

    def node(self, name: str, state: State) -> None:
        """A node begins."""
        ...

    def runs(self, running: list[str], done: int, total: int) -> None:
        """Runs in flight, and how far this look is."""
        ...

    def say(self, line: str) -> None:
        """A line worth keeping on the screen."""
        ...

    def budget(self, text: str) -> None:
        """What is left of the night's budget."""
        ...


MAX_LINE = 4000


def shown(line: str) -> str:
    """A line as it may reach a screen: names and titles in it are strangers', and none of them acts on a terminal."""
    from sandbox.outputs import plain_text

    return plain_text(line, MAX_LINE)


class Silent:
    """No lines at all (`--json`, tests)."""

    def node(self, name: str, state: State) -> None:
        del name, state

    def runs(self, running: list[str], done: int, total: int) -> None:
        del running, done, total

    def say(self, line: str) -> None:
        del line

    def budget(self, text: str) -> None:
        del text


class Lines(Silent):
    """Plain lines for a pipe, a log file or CI: only what is worth keeping."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def say(self, line: str) -> None:
        self._write(shown(line))


class Live:
    """Lines that stay above a status that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live as RichLive

        self._console = console
        self._started = time.monotonic()
        self._node_started = self._started
        self._node = "starting"
        self._hypothesis = ""
        self._runs = ""
        self._budget = ""
        self._lock = threading.Lock()
        self._live = RichLive(get_renderable=self._status, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Live:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def node(self, name: str, state: State) -> None:
        with self._lock:
            self._node, self._node_started = name, time.monotonic()
            self._hypothesis = state.get("hypothesis", "")
            self._runs = ""

    def runs(self, running: list[str], done: int, total: int) -> None:
        with self._lock:
            self._runs = f"{done}/{total} runs" + (f", running {', '.join(running)}" if running else "")

    def say(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text(shown(line)), soft_wrap=True)

    def budget(self, text: str) -> None:
        with self._lock:
            self._budget = text

    def _status(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        with self._lock:
            what = f"{self._node} {self._hypothesis}".strip()
            rows = [
                ("now", f"{what} ({_clock(now - self._node_started)})" + (f" · {self._runs}" if self._runs else "")),
                ("next", NEXT.get(self._node, "the first cycle")),
                ("night", f"{_clock(now - self._started)} elapsed" + (f" · {self._budget}" if self._budget else "")),
            ]
        table = Table.grid(padding=(0, 1))
        for name, text in rows:
            table.add_row(Text(name, style="dim"), Text(text))
        return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
