"""A night and `agent ask --explain` ask at the same moment: no budget is overdrawn, and no answer is paid twice."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_workspaces import Answer, desk, document, question, write
from scripted_endpoint import Step, serving

from agent.asking import open_model
from agent.llm.contract import BudgetSpent
from registry.errors import AgentError


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each gave or raised, all of them begun together."""
    came: list[Any] = [None] * len(acts)
    begin = threading.Barrier(len(acts))

    def one(place: int, act: Callable[[], Any]) -> None:
        begin.wait(10)
        try:
            came[place] = act()
        except AgentError as error:
            came[place] = error

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return came


@pytest.mark.parametrize("budget", [{"night": {"calls": 1}}, {"hypothesis": {"calls": 1}}])
def test_two_processes_in_the_same_moment_do_not_overdraw_a_budget(tmp_path: Path, budget: dict[str, Any]) -> None:
    with serving(lambda _: Step('{"word": "heron", "sum": 5}', stall_s=0.3)) as server:
        write(tmp_path, document(server.base_url, budget=budget))
        with desk(tmp_path) as at:
            at.night()

        def ask(word: str) -> Callable[[], Answer]:
            def act() -> Answer:
                with desk(tmp_path) as at:
                    return at.model().ask(question(values={"word": word})).record

            return act

        came = at_once(ask("heron"), ask("stork"))
        assert len(server.asked) <= 1
    assert any(isinstance(one, BudgetSpent) for one in came)
    with desk(tmp_path) as at:
        assert at.history.models.of_night("night-1").calls == len(server.asked)
        assert at.history.models.in_flight == {}


def test_the_same_question_of_two_people_at_once_is_asked_once(tmp_path: Path) -> None:
    sums = itertools.count(1)
    with serving(lambda _: Step(f'{{"word": "heron", "sum": {next(sums)}}}', stall_s=0.3)) as server:
        workspace = write(tmp_path, document(server.base_url))

        def act() -> int:
            with open_model(workspace) as model:
                return model.ask(question(role="answer", subject="ask")).record.sum

        assert at_once(act, act) == [1, 1]
        assert len(server.asked) == 1
