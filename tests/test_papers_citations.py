"""Citations of a work: who cites it, once each, newest first, with a key that nobody sees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small_web import Answer, SmallWeb, arxiv_entry, arxiv_feed, small_web

from registry.errors import BadInput
from tools.arxiv_api import LiveArxiv
from tools.citations import KEY, CitationSource, work_id
from tools.papers import PaperQuery

PATH = "/graph/v1/paper/ARXIV:1706.03762/citations"


def citing(title: str, *, date: str | None = "2026-02-01", **ids: str) -> dict[str, Any]:
    return {
        "citingPaper": {
            "paperId": ids.pop("own", "a" * 40),
            "title": title,
            "abstract": f"About {title}.",
            "authors": [{"authorId": "1", "name": "A. Author"}],
            "externalIds": ids,
            "publicationDate": date,
            "year": 2026,
        }
    }


def answer(*items: Any, following: int | None = None) -> Answer:
    body = {"offset": 0, "data": list(items), **({} if following is None else {"next": following})}
    return Answer(200, json.dumps(body).encode(), "application/json")


def source(web: SmallWeb, work: str = "1706.03762", **options: Any) -> CitationSource:
    return CitationSource(work, api=web.url + "/graph/v1", **{"retries": 0, "backoff_s": 0.01, **options})


@pytest.mark.parametrize(
    ("words", "work", "name"),
    [
        ("1706.03762", "ARXIV:1706.03762", "citations:arxiv:1706.03762"),
        ("arXiv:1706.03762v5", "ARXIV:1706.03762", "citations:arxiv:1706.03762"),
        ("https://arxiv.org/pdf/1706.03762v5.pdf", "ARXIV:1706.03762", "citations:arxiv:1706.03762"),
        ("cs/0503050", "ARXIV:cs/0503050", "citations:arxiv:cs/0503050"),
        ("10.48550/arXiv.1706.03762", "ARXIV:1706.03762", "citations:arxiv:1706.03762"),
        ("https://doi.org/10.1000/ABC", "DOI:10.1000/abc", "citations:doi:10.1000/abc"),
        ("CorpusId:13756489", "CorpusId:13756489", "citations:corpusid:13756489"),
        ("a" * 40, "a" * 40, "citations:" + "a" * 40),
    ],
)
def test_a_work_is_known_by_any_of_its_ids(words: str, work: str, name: str) -> None:
    assert work_id(words) == work
    assert CitationSource(words).name == name


@pytest.mark.parametrize("words", ["our core method", "W2741809807", "../../etc", "10.1000/", "1706.037"])
def test_words_are_no_work_and_nobody_is_asked(words: str) -> None:
    with pytest.raises(BadInput, match="an arXiv id, a DOI"):
        work_id(words)
    with small_web() as web:
        batch = source(web, words).find(PaperQuery())
    assert (batch.status, web.asked) == ("refused", [])


def test_citing_papers_come_once_each_newest_first_under_arxivs_key_where_they_are_there() -> None:
    pages = [
        answer(
            citing("Old", date="2024-05-01", DOI="10.1000/OLD"),
            citing("On arXiv", ArXiv="2602.00001", DOI="10.48550/arXiv.2602.00001"),
            following=100,
        ),
        answer(
            citing("On arXiv again", ArXiv="2602.00001"),
            citing("Elsewhere", date=None, own="b" * 40),
            citing("No id", own="../x"),
            {"citingPaper": None},
            {"citingPaper": {"title": 3}},
            "nonsense",
            citing("Only a DOI of arXiv's", date="2026-03-01", DOI="10.48550/ARXIV.2603.00002"),
        ),
    ]
    with small_web() as web:
        web.routes[PATH] = lambda arguments: pages[int(arguments["offset"]) // 100]
        batch = source(web).find(PaperQuery())
        few = source(web).find(PaperQuery(limit=1, skip={"arxiv:2603.00002"}))
    assert batch.status == "ok"
    assert [paper.key for paper in batch.papers] == [
        "arxiv:2603.00002",
        "arxiv:2602.00001",
        "s2:" + "b" * 40,
        "doi:10.1000/old",
    ]
    assert batch.papers[1].title == "On arXiv"
    assert batch.papers[3].url == "https://doi.org/10.1000/old"
    assert batch.papers[3].summary == "About Old."
    assert [paper.key for paper in few.papers] == ["arxiv:2602.00001"]
    asked = web.arguments(PATH)
    assert [one["offset"] for one in asked] == ["0", "100", "0", "100"]
    assert "externalIds" in asked[0]["fields"]


def test_papers_on_arxiv_are_completed_there_in_one_request() -> None:
    with small_web() as web:
        web.routes[PATH] = answer(citing("A", ArXiv="2602.00001"), citing("B", ArXiv="2602.00002"))
        web.routes["/api/query"] = arxiv_feed(arxiv_entry("2602.00001v3", "A, as arXiv has it"))
        arxiv = LiveArxiv(api=web.url + "/api/query", pause_s=0, retries=0)
        batch = CitationSource("1706.03762", arxiv, api=web.url + "/graph/v1").find(PaperQuery())
    assert [(paper.title, paper.version) for paper in batch.papers] == [("A, as arXiv has it", "v3"), ("B", "")]
    (asked,) = web.arguments("/api/query")
    assert asked["id_list"] == "2602.00001,2602.00002"


def test_a_rate_limit_keeps_what_came_and_says_where_to_go_on() -> None:
    with small_web() as web:
        busy = Answer(429, headers={"Retry-After": "7"})
        web.routes[PATH] = [answer(citing("One", ArXiv="2602.00001"), following=100), busy]
        batch = source(web).find(PaperQuery())
        assert (batch.status, batch.retry_after_s, batch.next_offset) == ("rate_limited", 7.0, 100)
        assert [paper.title for paper in batch.papers] == ["One"]
        again = source(web).find(PaperQuery(offset=100))
        assert again.status == "rate_limited"
        assert len(web.asked) == 2, "asked again although told to wait"


def test_a_work_that_thousands_cite_is_gone_through_a_thousand_at_a_time() -> None:
    def page(arguments: dict[str, str]) -> Answer:
        start = int(arguments["offset"])
        return answer(citing(f"P{start}", own=f"{start:040x}"), following=start + 100)

    with small_web() as web:
        web.routes[PATH] = page
        batch = source(web).find(PaperQuery())
        assert (batch.status, batch.next_offset, len(web.asked)) == ("ok", 1000, 10)
        last = source(web).find(PaperQuery(offset=9900))
        assert (last.next_offset, len(last.papers)) == (0, 1)
        assert "no more than the first" in last.notes[0]


@pytest.mark.parametrize(
    ("route", "status", "says"),
    [
        (Answer(404), "refused", "may not know it yet"),
        (Answer(400), "refused", "HTTP 400"),
        (Answer(500), "unreachable", "HTTP 500"),
        (Answer(200, b"<html>sign in</html>"), "unreachable", "no list of citations"),
        (Answer(200, b'{"data": 3}'), "unreachable", "no list of citations"),
        (Answer(200, b"[" * 100_000), "unreachable", "no list of citations"),
        (Answer(200, b'{"data": []}', cut=5), "unreachable", ""),
        (Answer(302, headers={"Location": "http://10.0.0.1/"}), "refused", "private network"),
    ],
)
def test_every_trouble_has_a_status(route: Answer, status: str, says: str) -> None:
    with small_web() as web:
        web.routes[PATH] = route
        batch = source(web).find(PaperQuery())
    assert (batch.status, batch.papers) == (status, ())
    assert says in batch.notes[0]


def test_what_passes_is_tried_again() -> None:
    with small_web() as web:
        web.routes[PATH] = [Answer(502), answer(citing("One", ArXiv="2602.00001"))]
        assert len(source(web, retries=1).find(PaperQuery()).papers) == 1


def test_the_key_goes_to_the_service_alone_and_into_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret-key")
    with small_web() as web, small_web() as other:
        web.routes[PATH] = Answer(302, headers={"Location": other.url.replace("127.0.0.1", "localhost") + "/x"})
        other.routes["/x"] = Answer(403)
        batch = source(web).find(PaperQuery())
    assert web.headers[0]["x-api-key"] == "secret-key"
    assert "x-api-key" not in other.headers[0]
    assert batch.status == "refused"
    assert KEY in batch.notes[0]
    assert "secret-key" not in repr(batch)
    from tools.citations import _credentials

    assert _credentials("http://api.example.com/") == {}
    assert _credentials("https://api.example.com/") == {"x-api-key": "secret-key"}


def test_strangers_fields_are_bounded_and_stripped() -> None:
    item = citing("\u202eevil\n\x1b[2J " + "x" * 5000, ArXiv="2602.00001")
    item["citingPaper"]["publicationDate"] = "2026-02-01; drop"
    item["citingPaper"]["authors"] = [{"name": "y" * 1000}] * 500
    with small_web() as web:
        web.routes[PATH] = answer(item)
        (paper,) = source(web).find(PaperQuery()).papers
    assert paper.title.startswith("evil [2J xxx")
    assert (len(paper.title), len(paper.authors), paper.published) == (300, 100, "2026")
