"""Nights of the tiny solution whose researcher asks a scripted model over the wire, and a paper for it to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from model_workspaces import document
from reportlab.pdfgen.canvas import Canvas
from scripted_endpoint import Asked, Step
from tiny_solution import Tiny

from agent import night
from agent.night import Goal, NightResult
from agent.wiring import ask_models
from registry.documents import load_models

ROLES = {
    "screen": "You decide whether a paper",
    "extract": "You take techniques from a paper",
    "propose": "You propose experiments",
    "patch": "You write one change",
}
SENTENCE = "Calibrating the outputs improves accuracy by 2.0 points on every task that we tried."
WORTH = '    worth = float(pathlib.Path(data, "knowledge.txt").read_text())'
Answers = Mapping[str, object] | Callable[[str, Asked], object]


def role_of(asked: Asked) -> str:
    """Which role a request is for, by the message that tells the model its task."""
    first = str(asked.messages[0]["content"])
    return next(role for role, beginning in ROLES.items() if first.startswith(beginning))


def by_role(answers: Answers) -> Callable[[Asked], Step | str]:
    """A script that answers each role alike: records become JSON, text and steps go out as they are."""

    def script(asked: Asked) -> Step | str:
        role = role_of(asked)
        answer = answers(role, asked) if callable(answers) else answers[role]
        return answer if isinstance(answer, (Step, str)) else json.dumps(answer)

    return script


def paper(folder: Path, *pages: str, title: str = "Calibration helps") -> Path:
    """A PDF with these pages, each line of them a line of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "paper.pdf"
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle(title)
    for page in pages:
        for number, line in enumerate(page.splitlines()):
            canvas.drawString(72, 720 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return path


def with_papers(tiny: Tiny) -> Path:
    """The folder that the workspace reads papers from."""
    config = {"research_sources": {"local_folders": ["papers"]}, "domain_keywords": ["calibration", "accuracy"]}
    tiny.workspace.research_config.write_text(json.dumps(config))
    return tiny.workspace.root / "papers"


def with_models(tiny: Tiny, base_url: str, **changes: Any) -> None:
    """A `models.yaml` for the endpoint; a short patience, so that its end is noticed at once."""
    made = document(base_url, **changes)
    made["endpoints"]["main"] |= {"retries": 0, "timeout": 10}
    made["models"]["default"] |= {"max_output_tokens": 4000}
    tiny.workspace.models.write_text(json.dumps(made))


def model_night(tiny: Tiny, goal: Goal | None = None) -> NightResult:
    """A night in this process, composed as `agent run` composes it."""
    with tiny.services() as services:
        ask_models(services, load_models(tiny.workspace.models))
        return night.run(services, goal or Goal())


def idea(title: str, **changes: Any) -> dict[str, Any]:
    """An idea as a model gives it; a change of `train.py` where nothing else is said."""
    made: dict[str, Any] = {
        "title": title,
        "reason": "It is what the paper does.",
        "change": f"{title} in the training script",
        "settings": [],
        "files": ["train.py"],
        "area": "calibration",
        "strategy": "refine",
        "effort": "Low",
        "expected_gain": None,
        "rests_on": [],
    }
    return made | changes


def setting_idea(title: str, setting: str, value: str, **changes: Any) -> dict[str, Any]:
    """An idea of one setting."""
    return idea(title, **({"files": [], "settings": [{"setting": setting, "value": value}]} | changes))


def technique(**changes: Any) -> dict[str, Any]:
    """A technique as a model gives it, with the quote of `SENTENCE`."""
    made: dict[str, Any] = {
        "name": "output calibration",
        "change": "Calibrate the outputs before they are stored.",
        "settings": [],
        "files": ["train.py"],
        "effort": "Low",
        "gain": 2.0,
        "gain_unit": "points",
        "page": 1,
        "quote": SENTENCE,
    }
    return made | changes


def patch(search: str, replace: str, path: str = "train.py") -> dict[str, Any]:
    """One search/replace block as a model gives it."""
    block = f"{path}\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"
    return {"note": "one change", "read": [], "patch": block}


READS = {"relevant": True, "why": "It calibrates, as we could.", "boards": ["Tiny", "Elsewhere"]}
