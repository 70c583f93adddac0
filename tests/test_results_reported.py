"""What papers report on our boards is shown beside the gap as a claim, and changes nothing that is decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas
from tiny_solution import BOARD, SPACE, Tiny, build

from agent import boards
from agent.night import Goal
from agent.papers import reported_results
from registry.papers import Reading
from registry.yaml_parsing import read

SENTENCE = f"Our model achieves an accuracy of 95.7% on {BOARD}."


def _paper(path: Path, *lines: str) -> None:
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle("Feathers [for](x) taggers")
    for place, line in enumerate(lines):
        canvas.drawString(72, 720 - 14 * place, line)
    canvas.save()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = build(tmp_path_factory.mktemp("reported"))
    papers = tiny.workspace.root / "papers"
    papers.mkdir()
    _paper(papers / "feathers.pdf", "We tag birds with feathers in this paper.", SENTENCE, "That is all we say.")
    tiny.workspace.research_config.write_text("research_sources: {local_folders: [papers]}\n")
    tiny.target["search_space"] = {"harm": SPACE["harm"]}
    tiny.write_target()
    tiny.night(Goal(cycles=2))
    return tiny


def test_the_reading_on_record_holds_the_result_with_its_place(tiny: Tiny) -> None:
    (event,) = tiny.events("paper_read")
    (result,) = Reading.model_validate(event.data["reading"]).results
    assert (result.dataset, result.metric, result.score, result.whose) == (BOARD, "accuracy", "95.7", "own")
    assert (result.quote.page, result.quote.text, result.quote.verified) == (1, SENTENCE, True)


def test_the_claim_stands_in_the_note_of_a_rejection_and_not_in_its_gap(tiny: Tiny) -> None:
    (noted, *_) = tiny.events("gap_noted")
    reported = noted.data["reported"]
    assert (reported["score"], reported["papers"], reported["page"]) == ("95.7", 1, 1)
    assert reported["ahead_of_first"] is True
    lines = list(read(tiny.workspace.hypothesis(noted.subject, "archived")).data["gap_analysis"])
    (line,) = [line for line in lines if "unverified by us" in line]
    assert line.startswith(
        f"1 paper reports on {BOARD}: best own claim accuracy 95.7 (“Feathers [for](x) taggers”, p. 1)"
    )
    assert noted.data["board"]["leader_score"] == 0.9
    standing = tiny.events("standing", BOARD)[-1]
    assert standing.data["gap"] == pytest.approx(standing.data["score"] - 0.9)


def test_papers_show_the_digest_and_the_research_log_tell_it_as_a_claim(tiny: Tiny) -> None:
    shown = tiny.agent("papers", "show", "feathers")
    assert "reports accuracy 95.7 on Tiny (p. 1, quote verified, not measured by us)" in shown.stdout
    (told,) = json.loads(tiny.agent("papers", "show", "feathers", "--json").stdout)
    assert told["reading"]["results"][0]["score"] == "95.7"
    digest = tiny.agent("report", "digest")
    assert "unverified by us" in digest.stdout
    assert "[for](x)" not in digest.stdout
    log = tiny.workspace.research_log.read_text()
    assert "**Reported result:** accuracy 95.7 on Tiny (p. 1, quote verified; not measured here)" in log


def test_a_claim_whose_quote_does_not_stand_and_one_of_others_count_for_nothing(tiny: Tiny) -> None:
    with tiny.services() as services:
        (key,) = services.history.readings
        reading = services.history.readings[key]
        (result,) = reading.results
        for changed in (
            {"quote": result.quote.model_copy(update={"verified": False})},
            {"whose": "other"},
            {"dataset": "another board"},
        ):
            other = reading.model_copy(update={"results": [result.model_copy(update=changed)]})
            services.history.readings[key] = other
            assert reported_results.facts(services.history, BOARD, "accuracy", 0.8, higher_is_better=True) is None
        assert boards.snapshot_of(services, BOARD) is not None


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (0.95, "0.70 points ahead of our score"),
        (0.957, "as good as our score"),
        (0.97, "1.30 points behind our score"),
        (None, "and we have no score there yet"),
        (95.0, "0.7 ahead of our score"),
    ],
)
def test_a_claim_in_per_cent_is_set_against_a_score_in_its_own_unit(tiny: Tiny, ours: float | None, says: str) -> None:
    with tiny.services() as services:
        found = reported_results.facts(services.history, BOARD, "accuracy", ours, higher_is_better=True)
    assert says in reported_results.told(found)
