"""Reading with a model: pages keep their numbers, long papers are bounded, and what a form holds is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model_nights import READS, SENTENCE, technique
from tiny_solution import target

from agent.llm.contract import Question, Record, Reply, Role
from agent.researcher import llm_reading
from agent.researcher.contract import Brief, CodeFile, Situation
from registry.papers import Paper, Reading
from registry.target import Target
from tools.pdf.text import PdfText


class Scripted:
    """Implements `agent.llm.contract.LanguageModel` with one answer for each role."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[Question[Any]] = []

    def ask(self, question: Question[Record]) -> Reply[Record]:
        self.asked.append(question)
        record = question.schema.model_validate(self.answers[question.role])
        return Reply(record, "", f"call-{len(self.asked)}", self.name(question.role))

    def name(self, role: Role) -> str:
        return f"{role} model"


def read(pages: tuple[str, ...], *found: dict[str, Any]) -> tuple[Reading, Scripted]:
    model = Scripted(screen=READS, extract={"techniques": list(found)})
    described = Target.model_validate(target(Path("solution"), Path("python")))
    situation = Situation(
        target=described,
        boards=["Tiny"],
        production={"model.width": 1, "model.depth": 1},
        production_commit="c",
        gap_points=None,
        trials=[],
        techniques=[],
        seed=1,
        limit=6,
        brief=lambda: Brief(code=(CodeFile("train.py", 100), CodeFile("evaluate.py", 100))),
    )
    paper = Paper(key="arxiv:2602.01234", version="v2", title="A paper", file_sha256="a" * 64)
    return llm_reading.read(model, paper, PdfText("a" * 64, "A paper", pages), situation, ["toys"]), model


def test_a_technique_carries_paper_version_file_page_and_quote() -> None:
    reading, _ = read(("Front.", f"Results. {SENTENCE}"), technique(page=2))
    (found,) = reading.techniques
    quote = found.quote
    assert (quote.document, quote.file_sha256, quote.page) == ("arxiv:2602.01234v2", "a" * 64, 2)
    assert (quote.text, quote.verified, found.claimed_gain) == (SENTENCE, True, 0.02)
    assert (reading.by, reading.calls) == ("screen model", ["call-1", "call-2"])


def test_a_number_that_is_not_in_the_quote_or_a_quote_that_does_not_stand_counts_for_nothing() -> None:
    pages = (f"Results. {SENTENCE}",)
    wrong = [
        technique(name="one", gain=3.0),
        technique(name="two", quote=SENTENCE.replace("2.0", "3.0"), gain=3.0),
        technique(name="three", change="Calibrate with a temperature of 7."),
        technique(name="four", gain=2.0, gain_unit="fraction"),
        technique(name="Width 512", settings=[{"setting": "width", "values": ["2"]}]),
    ]
    reading, _ = read(pages, *wrong)
    assert [(each.quote.verified, bool(each.doubt)) for each in reading.techniques] == [(False, True)] * 5


def test_settings_are_ours_and_new_and_files_are_those_that_may_be_changed() -> None:
    named = [
        {"setting": "width", "values": ["1", "2", "64"]},
        {"setting": "model.depth", "values": ["1"]},
        {"setting": "gate.threshold", "values": ["0"]},
    ]
    reading, _ = read((SENTENCE,), technique(settings=named, files=["evaluate.py", "train.py", "../x", "new.py"]))
    (found,) = reading.techniques
    assert (found.settings, found.files) == ({"model.width": [2]}, ["train.py"])
    nothing, _ = read((SENTENCE,), technique(settings=named[1:], change=" "))
    assert nothing.techniques == []


def test_pages_go_out_under_their_numbers_and_a_long_paper_is_read_as_far_as_the_bound() -> None:
    page = "Sentences about calibration. " * 400
    reading, model = read(("Front.", *[page] * 40), technique())
    extracts = [question.values["pages"] for question in model.asked if question.role == "extract"]
    assert len(extracts) == llm_reading.MOST_CALLS
    assert all(len(pages) < llm_reading.CALL_CHARS + 2_000 for pages in extracts)
    assert "page 1 of the paper" in extracts[0]
    last = reading.why.rpartition("as far as page ")[2].split()[0]
    assert f"page {last} of the paper" in extracts[-1]
    assert f"page {int(last) + 1} of the paper" not in extracts[-1]


def test_the_list_of_references_and_irrelevant_papers_are_not_read() -> None:
    _, model = read(("Front.", "The end.\nReferences\n[1] Another paper.", "[2] Yet another."), technique())
    (extract,) = [question.values["pages"] for question in model.asked if question.role == "extract"]
    assert "page 2" in extract
    assert "page 3" not in extract
    model = Scripted(screen=READS | {"relevant": False})
    described = Target.model_validate(target(Path("solution"), Path("python")))
    situation = Situation(described, ["Tiny"], {}, "c", None, [], [], 1, 6)
    reading = llm_reading.read(model, Paper(key="k", title="t"), PdfText("b" * 64, "t", ("x",)), situation, [])
    assert (reading.relevant, reading.techniques, len(model.asked)) == (False, [], 1)
