"""Busy and slow sources over several cycles: what stops early is gone on with, and what was read is said."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas
from small_web import Answer, SmallWeb, arxiv_entry, arxiv_feed, small_web
from tiny_solution import Tiny, build

from agent.cli.main import main
from agent.nodes import read_papers
from agent.papers import listing, reading
from agent.progress import Silent
from agent.services import Services
from agent.wiring import open_services
from registry.documents import load_research

QUERY = 'abs:"digits"'
NAME = f'arxiv:"{QUERY}"'


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def web() -> Iterator[SmallWeb]:
    with small_web() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


def configure(tiny: Tiny, web: SmallWeb, limit: int = 20, **sources: Any) -> None:
    wanted = {"arxiv_api": web.url + "/api/query", "arxiv_files": web.url + "/pdf", **sources}
    wanted["citations_api"] = web.url + "/graph/v1"
    config = {"research_sources": wanted, "domain_keywords": ["digits"], "max_papers_per_cycle": limit}
    tiny.workspace.research_config.write_text(json.dumps(config))
    assert load_research(tiny.workspace.research_config).max_papers_per_cycle == limit
    registry = tiny.workspace.competitive_registry
    if "research_ingest" not in registry.read_text():
        registry.write_text(registry.read_text() + '\nschedule: {research_ingest: "0 7 1 1 *"}\n')


@contextmanager
def opened(tiny: Tiny, clock: Clock) -> Iterator[Services]:
    """Services as a new process has them."""
    with open_services(tiny.workspace, Silent(), "a test", clock) as services:
        yield services


def listed(tiny: Tiny, clock: Clock) -> str:
    with opened(tiny, clock) as services:
        return str(read_papers.run(services, {"cycle": 1})["papers"])


def last(tiny: Tiny) -> dict[str, Any]:
    return tiny.events("papers_listed")[-1].data


def pdf(path: Path, text: str) -> bytes:
    canvas = Canvas(str(path), invariant=1)
    canvas.drawString(72, 720, text)
    canvas.save()
    return path.read_bytes()


def test_a_rate_limit_ends_the_asking_and_the_next_cycle_goes_on_where_it_stopped(
    tiny: Tiny, web: SmallWeb, clock: Clock
) -> None:
    busy = [True]

    def api(arguments: dict[str, str]) -> Answer:
        start = int(arguments["start"])
        if start == 100 and busy[0]:
            return Answer(429, headers={"Retry-After": "4"})
        entries = [arxiv_entry(f"2602.{number:05d}v1", f"P{number}") for number in range(start + 1, start + 101)]
        return arxiv_feed(*entries, total=1000)

    web.routes["/api/query"] = api
    configure(tiny, web, limit=250, arxiv_queries=[QUERY])
    assert "rate_limited" in listed(tiny, clock)
    state = last(tiny)["sources"][0]
    assert (state["source"], state["status"], state["offset"], state["papers"]) == (NAME, "rate_limited", 100, 100)
    assert listed(tiny, clock) == "not_due", "it asked to be left alone for four seconds"
    assert len(web.asked) == 2
    time.sleep(max(0.0, web.times[-1] + 4.5 - time.monotonic()))
    busy[0] = False
    assert listed(tiny, clock) == "150 new"
    assert [one["start"] for one in web.arguments("/api/query")] == ["0", "100", "100", "200"]
    assert (last(tiny)["sources"][0]["offset"], last(tiny)["slot"]) == (0, tiny.events("papers_listed")[0].data["slot"])
    assert listed(tiny, clock) == "not_due"
    with opened(tiny, clock) as services:
        assert len(services.history.listed_papers) == 250


def test_a_limit_that_lasts_is_kept_over_processes_and_other_queries_are_not_asked_for(
    tiny: Tiny, web: SmallWeb, clock: Clock
) -> None:
    web.routes["/api/query"] = [
        Answer(429, headers={"Retry-After": "3600"}),
        arxiv_feed(arxiv_entry("2602.00001v1", "One")),
    ]
    configure(tiny, web, arxiv_queries=["one", "two"], venues=["ICLR 2026"])
    with opened(tiny, clock) as services:
        listing.list_new(services, "now")
        listing.list_new(services, "again")
    assert len(web.asked) == 1, "the second query is on the same host, and so is the venue"
    states = last(tiny)["sources"]
    assert [(one["source"], one["status"]) for one in states] == [
        ('arxiv:"one"', "rate_limited"),
        ('arxiv:"two"', "rate_limited"),
        ("venue:ICLR 2026", "rate_limited"),
    ]
    assert all(one["retry_at"] > (clock() + timedelta(minutes=50)).isoformat() for one in states)
    assert listed(tiny, clock).startswith("0 new (")
    assert listed(tiny, clock) == "not_due"
    assert len(web.asked) == 1


def test_who_does_not_answer_is_asked_again_after_half_an_hour_and_not_at_the_next_slot(
    tiny: Tiny, web: SmallWeb, clock: Clock
) -> None:
    configure(tiny, web, competitor_blogs=[web.url + "/feed.xml"])
    web.routes["/feed.xml"] = Answer(200, b"<rss", cut=2)
    assert "unreachable" in listed(tiny, clock)
    assert listed(tiny, clock) == "not_due"
    item = f"<item><title>A post</title><link>{web.url}/post</link></item>"
    body = f'<rss version="2.0"><channel><title>T</title>{item}</channel></rss>'
    web.routes["/feed.xml"] = Answer(200, body.encode(), "application/rss+xml")
    clock.ahead = timedelta(minutes=31)
    assert listed(tiny, clock) == "1 new"
    assert listed(tiny, clock) == "not_due"


def test_a_paper_is_fetched_once_in_its_version_and_kept_as_a_blob(
    tiny: Tiny, web: SmallWeb, clock: Clock, tmp_path: Path
) -> None:
    body = pdf(tmp_path / "a.pdf", "On digits: deeper networks raise accuracy.")
    web.routes["/api/query"] = arxiv_feed(arxiv_entry("2602.00001v2", "Digits"))
    web.routes["/pdf/2602.00001v2"] = Answer(200, body, "application/pdf")
    configure(tiny, web, arxiv_queries=[QUERY])
    listed(tiny, clock)
    with opened(tiny, clock) as services:
        assert reading.read_listed(services) == 1
        known = services.history.readings["arxiv:2602.00001"]
        digest = known.paper.file_sha256
        assert (known.extent, known.source, known.paper.pages) == ("full text", NAME, 1)
        assert services.blobs.get(digest) == body
        source = next(one.source for one in listing.sources(services) if one.name == NAME)
        assert source.text(known.paper).sha256 == digest
        assert web.paths().count("/pdf/2602.00001v2") == 1
        services.blobs.path(digest).unlink()
        assert source.text(known.paper).sha256 == digest
        assert web.paths().count("/pdf/2602.00001v2") == 2
    (event,) = tiny.events("paper_read")
    kept = {name: value for name, value in event.data["text"].items() if name != "pages"}
    assert kept == {"extent": "full text", "sha256": digest, "blob": True, "instead": ""}
    assert event.data["text"]["pages"] in services.blobs


def test_a_file_that_stays_late_gives_way_to_the_abstract_and_the_record_says_why(
    tiny: Tiny, web: SmallWeb, clock: Clock
) -> None:
    web.routes["/api/query"] = arxiv_feed(arxiv_entry("2602.00001v1", "Digits", "An abstract on digits."))
    web.routes["/pdf/2602.00001v1"] = Answer(503, headers={"Retry-After": "0"})
    configure(tiny, web, arxiv_queries=[QUERY])
    listed(tiny, clock)
    counts = []
    for _ in range(4):
        with opened(tiny, clock) as services:
            counts.append(reading.read_listed(services))
    assert counts == [0, 0, 1, 0]
    assert [event.data["tries"] for event in tiny.events("paper_waits")] == [1, 2]
    (event,) = tiny.events("paper_read")
    assert event.data["reading"]["extent"] == "abstract"
    assert "HTTP 503" in event.data["text"]["instead"]
    assert event.data["text"]["blob"] is True
    assert "Read of it:** the abstract only" in tiny.workspace.research_log.read_text()


@pytest.mark.parametrize("route", [Answer(404), Answer(200, b"<html>not for robots</html>", "text/html")])
def test_a_file_that_is_none_gives_way_at_once(tiny: Tiny, web: SmallWeb, clock: Clock, route: Answer) -> None:
    web.routes["/api/query"] = arxiv_feed(arxiv_entry("2602.00001v1", "Digits", "An abstract on digits."))
    web.routes["/pdf/2602.00001v1"] = route
    configure(tiny, web, arxiv_queries=[QUERY])
    listed(tiny, clock)
    with opened(tiny, clock) as services:
        assert reading.read_listed(services) == 1
        assert services.history.readings["arxiv:2602.00001"].extent == "abstract"


def test_a_page_without_text_is_tried_once(tiny: Tiny, web: SmallWeb, clock: Clock) -> None:
    item = f"<item><title>A post</title><link>{web.url}/post</link></item>"
    body = f'<rss version="2.0"><channel><title>T</title>{item}</channel></rss>'
    web.routes["/feed.xml"] = Answer(200, body.encode(), "application/rss+xml")
    web.routes["/post"] = Answer(200, b"<html><body><script>render()</script></body></html>", "text/html")
    configure(tiny, web, competitor_blogs=[web.url + "/feed.xml"])
    with opened(tiny, clock) as services:
        for slot in ("a", "b"):
            listing.list_new(services, slot)
            reading.read_listed(services)
        assert services.history.listed_papers == {}
    assert len(tiny.events("paper_unreadable")) == 1
    assert web.paths().count("/post") == 1


def test_all_kinds_of_sources_meet_in_one_list_each_paper_once(
    tiny: Tiny, web: SmallWeb, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doi = "<arxiv:doi>10.1000/ABC</arxiv:doi>"

    def api(arguments: dict[str, str]) -> Answer:
        if arguments.get("id_list"):
            return arxiv_feed(arxiv_entry("2602.00001v2", "Digits, version two"))
        if "co:" in arguments["search_query"]:
            return arxiv_feed(arxiv_entry("2602.00003v1", "Digits at a venue", "On digits. " * 3))
        return arxiv_feed(
            arxiv_entry("2602.00001v1", "Digits"), arxiv_entry("2602.00002v1", "Digits in print", more=doi)
        )

    items = [
        {"title": "Digits", "externalIds": {"ArXiv": "2602.00001"}, "paperId": "a" * 40},
        {"title": "Digits in print", "externalIds": {"DOI": "10.1000/abc"}, "paperId": "b" * 40},
        {"title": "Cites\x1b[2J us", "abstract": "On digits.", "externalIds": {"DOI": "10.1000/xyz"}},
    ]
    cited = json.dumps({"data": [{"citingPaper": item} for item in items]}).encode()
    web.routes["/graph/v1/paper/ARXIV:1706.03762/citations"] = Answer(200, cited)
    web.routes["/api/query"] = api
    item = f"<item><title>A post on digits</title><link>{web.url}/post</link></item>"
    item += "<item><title>The paper</title><link>https://arxiv.org/abs/2602.00003</link></item>"
    feed = f'<rss version="2.0"><channel><title>T</title>{item}</channel></rss>'
    web.routes["/blog/"] = Answer(
        200, b"<link rel=alternate type=application/rss+xml href=/feed.xml><p>Us</p>", "text/html"
    )
    web.routes["/feed.xml"] = Answer(200, feed.encode(), "application/rss+xml")
    web.routes["/post"] = Answer(200, b"<article>Our digits are better.</article>", "text/html")
    for number in (1, 2, 3):
        body = pdf(tmp_path / f"{number}.pdf", f"On digits, part {number}.")
        web.routes[f"/pdf/2602.0000{number}v1"] = Answer(200, body, "application/pdf")
    configure(
        tiny,
        web,
        arxiv_queries=[QUERY],
        venues=['ICLR "2026"'],
        citation_tracking=["1706.03762"],
        competitor_blogs=[web.url + "/blog/"],
    )
    folder = ["--workspace", str(tiny.workspace.root)]
    with pytest.raises(SystemExit) as end:
        main(["papers", "ingest", *folder])
    assert (end.value.code or 0) == 0, capsys.readouterr()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["papers", "list", "--json", *folder])
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    host = web.url.removeprefix("http://")
    assert {key: (row["source"], row["version"], row["extent"]) for key, row in rows.items() if key[:4] != "web:"} == {
        "arxiv:2602.00001": (NAME, "v1", "full text"),
        "arxiv:2602.00002": (NAME, "v1", "full text"),
        "arxiv:2602.00003": ('venue:ICLR "2026"', "v1", "full text"),
        "doi:10.1000/xyz": ("citations:arxiv:1706.03762", "", "abstract"),
    }
    (post,) = [row for key, row in rows.items() if key[:4] == "web:"]
    assert (post["source"], post["extent"], post["status"]) == (f"feed:{host}/blog", "page", "read")
    venue = next(one["search_query"] for one in web.arguments("/api/query") if "co:" in one.get("search_query", ""))
    assert venue == '(co:"ICLR 2026" OR jr:"ICLR 2026") AND (all:"digits")'
    with pytest.raises(SystemExit):
        main(["papers", "show", "doi:10.1000/xyz", *folder])
    shown = capsys.readouterr().out
    assert "from citations:arxiv:1706.03762, abstract read" in shown
    assert "\x1b" not in shown


def test_sources_are_a_list_that_a_key_orders(tiny: Tiny, web: SmallWeb, clock: Clock) -> None:
    (tiny.workspace.root / "papers").mkdir()
    configure(
        tiny,
        web,
        local_folders=["papers"],
        arxiv_queries=[QUERY],
        venues=["ICLR 2026"],
        citation_tracking=["10.1000/ABC"],
        competitor_blogs=["https://blog.example.com/research/"],
        recorded_arxiv=[],
    )
    with opened(tiny, clock) as services:
        names = [one.name for one in listing.sources(services)]
        assert names == [
            "folder:papers",
            NAME,
            "venue:ICLR 2026",
            "citations:doi:10.1000/abc",
            "feed:blog.example.com/research",
        ]
        assert [one.name for one in listing.sources(services, order=lambda one: -names.index(one.name))] == names[::-1]
        clients = {id(one.source._client) for one in listing.sources(services) if hasattr(one.source, "_client")}
        assert len(clients) == 1
