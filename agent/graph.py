"""The loop as a graph: nodes and edges, nothing else.

Called by `agent.night`, which runs one cycle a thread. The fingerprint of nodes and edges is part of every thread's
id, so that a cycle begun under another shape of the graph is never resumed under this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agent.nodes import (
    archive,
    defend,
    experiment,
    extract,
    hypothesise,
    judge,
    monitor,
    park,
    patch,
    promote,
    queue,
    read_papers,
    report,
    validate,
)
from agent.services import Services
from agent.state import State

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

Node = Callable[[Services, State], State]

NODES: dict[str, Node] = {
    "monitor": monitor.run,
    "read_papers": read_papers.run,
    "extract": extract.run,
    "hypothesise": hypothesise.run,
    "queue": queue.run,
    "defend": defend.run,
    "patch": patch.run,
    "validate": validate.run,
    "experiment": experiment.run,
    "judge": judge.run,
    "promote": promote.run,
    "archive": archive.run,
    "park": park.run,
    "report": report.run,
}


def after_monitor(state: State) -> str:
    """Rank lost: straight to the queue. Otherwise read first."""
    return "queue" if state.get("urgent") else "read_papers"


def after_queue(state: State) -> str:
    """A hypothesis to try, a position to defend, or nothing to do."""
    if state.get("defend"):
        return "defend"
    return "patch" if state.get("hypothesis") else "report"


def after_defend(state: State) -> str:
    return "patch" if state.get("hypothesis") else "report"


def after_patch(state: State) -> str:
    """Postponed: nothing speaks against it, and it is queued again."""
    return {"committed": "validate", "postponed": "report"}.get(state.get("patch", ""), "archive")


def after_validate(state: State) -> str:
    return "experiment" if state.get("validation") == "passed" else "archive"


def after_judge(state: State) -> str:
    """`extend` asks for more runs; every other outcome has a node of its own."""
    return {"extend": "experiment", "promote": "promote", "park": "park"}.get(state.get("outcome", ""), "archive")


EDGES: list[tuple[str, str]] = [
    ("__start__", "monitor"),
    ("read_papers", "extract"),
    ("extract", "hypothesise"),
    ("hypothesise", "queue"),
    ("experiment", "judge"),
    ("promote", "report"),
    ("archive", "report"),
    ("park", "report"),
    ("report", "__end__"),
]
CHOICES: list[tuple[str, Callable[[State], str], list[str]]] = [
    ("monitor", after_monitor, ["read_papers", "queue"]),
    ("queue", after_queue, ["patch", "defend", "report"]),
    ("defend", after_defend, ["patch", "report"]),
    ("patch", after_patch, ["validate", "archive", "report"]),
    ("validate", after_validate, ["experiment", "archive"]),
    ("judge", after_judge, ["experiment", "promote", "archive", "park"]),
]


def fingerprint() -> str:
    """Short digest of nodes and edges."""
    shape = [sorted(NODES), EDGES, [[name, targets] for name, _, targets in CHOICES]]
    return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:8]


def build(services: Services, checkpointer: BaseCheckpointSaver[Any]) -> CompiledStateGraph[State, None, State, State]:
    """Compile the graph over one set of services."""
    from langchain_core.runnables import RunnableLambda
    from langgraph.graph import StateGraph

    graph: StateGraph[State, None, State, State] = StateGraph(State)
    for name, node in NODES.items():
        graph.add_node(name, RunnableLambda(_bound(name, node, services), name=name))
    for start, end in EDGES:
        graph.add_edge(start, end)
    for name, choose, targets in CHOICES:
        graph.add_conditional_edges(name, choose, targets)
    return graph.compile(checkpointer=checkpointer)


def _bound(name: str, node: Node, services: Services) -> Callable[[State], State]:
    def run(state: State) -> State:
        services.progress.node(name, state)
        return node(services, state)

    return run


def mermaid() -> str:
    """The graph as a Mermaid flowchart, for ARCHITECTURE.md (checked by `make test`)."""
    lines = ["flowchart LR"]
    lines += [f"    {_label(start)} --> {_label(end)}" for start, end in EDGES]
    lines += [f"    {name} -.-> {target}" for name, _, targets in CHOICES for target in targets]
    return "\n".join(lines) + "\n"


def _label(name: str) -> str:
    return {"__start__": "start([start])", "__end__": "end_([end])"}.get(name, name)
