"""Sources of papers: a folder of PDFs, recorded arXiv answers, and an arXiv on loopback that misbehaves."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from registry.errors import BadInput, RateLimited
from registry.papers import Paper
from tools import arxiv_api
from tools.arxiv_api import API, FILES, LiveArxiv, RecordedArxiv, identifier
from tools.papers import FolderSource, PaperQuery, PaperSource, abstract_text, merged
from tools.web.courtesy import pause_for, site

ENTRY = """<entry><id>http://arxiv.org/abs/{id}</id><title>{title}</title>
<updated>2026-02-10T00:00:00Z</updated><published>2026-02-01T00:00:00Z</published>
<summary>An abstract.</summary><author><name>A. Author</name></author></entry>"""


def feed(*entries: str, total: int | None = None) -> bytes:
    count = len(entries) if total is None else total
    head = (
        '<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns="http://www.w3.org/2005/Atom">'
        f"<opensearch:totalResults>{count}</opensearch:totalResults>"
    )
    return (head + "".join(entries) + "</feed>").encode()


def pdf(path: Path, text: str, title: str = "A title") -> Path:
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle(title)
    canvas.drawString(72, 720, text)
    canvas.save()
    return path


@contextmanager
def served(*answers: tuple[int, bytes], drip_s: float = 0.0) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server on loopback that gives these answers in turn, the last one again and again."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            self.send_response(status)
            if status in {429, 503}:
                self.send_header("Retry-After", "17")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                for byte in [body[place : place + 1] for place in range(len(body))] if drip_s else [body]:
                    time.sleep(drip_s)
                    self.wfile.write(byte)
            except OSError:
                return  # the client lost patience, as it should

        def log_message(self, *words: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def live(url: str, **options: float) -> LiveArxiv:
    return LiveArxiv(
        api=f"{url}/api/query",
        files=f"{url}/pdf/",
        **{"pause_s": 0, "timeout_s": 5, "retries": 0, "backoff_s": 0.01, **options},
    )


def test_a_folder_gives_each_readable_pdf_once_and_says_what_it_left_out(tmp_path: Path) -> None:
    pdf(tmp_path / "a.pdf", "Shifted copies raise accuracy.")
    shutil.copy(tmp_path / "a.pdf", tmp_path / "b.pdf")
    pdf(tmp_path / "c.PDF", "Wider layers.", title="")
    (tmp_path / "broken.pdf").write_bytes(b"not a paper")
    (tmp_path / "notes.txt").write_text("not looked at")
    source: PaperSource = FolderSource(tmp_path)
    batch = source.find(PaperQuery())
    assert [paper.url for paper in batch.papers] == ["a.pdf", "c.PDF"]
    assert batch.status == "incomplete"
    assert batch.notes == ("b.pdf: the same file as a.pdf",)
    (broken,) = batch.unreadable
    assert broken.name == "broken.pdf"
    assert "not a paper" in broken.why
    first = batch.papers[0]
    assert first.key == f"file:{first.file_sha256[:16]}"
    assert first.title == "A title"
    assert "Shifted copies" in source.text(first).pages[0]
    assert "Shifted copies" in FolderSource(tmp_path).text(first).pages[0]


def test_a_folder_with_more_papers_than_a_cycle_takes_is_read_to_its_end_over_the_cycles(tmp_path: Path) -> None:
    for number in range(5):
        pdf(tmp_path / f"{number}.pdf", f"Paper number {number}.", title=f"P{number}")
    known: set[str] = set()
    titles = []
    for _ in range(3):
        batch = FolderSource(tmp_path).find(PaperQuery(limit=2, skip=frozenset(known)))
        titles.append([paper.title for paper in batch.papers])
        known |= {paper.key for paper in batch.papers}
        left = 5 - len(known)
        assert batch.notes == ((f"{left} file(s) left for the next asking: a cycle takes 2",) if left else ())
    assert titles == [["P0", "P1"], ["P2", "P3"], ["P4"]]
    assert FolderSource(tmp_path).find(PaperQuery(limit=2, skip=frozenset(known))).papers == ()


def test_a_file_that_was_renamed_after_it_was_listed_is_read_and_one_that_was_changed_is_not(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", "Words.")
    (paper,) = FolderSource(tmp_path).find(PaperQuery()).papers
    path.rename(tmp_path / "b.pdf")
    assert "Words" in FolderSource(tmp_path).text(paper).pages[0]
    pdf(tmp_path / "b.pdf", "Other words.")
    with pytest.raises(BadInput, match="no file with the content of"):
        FolderSource(tmp_path).text(paper)


def test_a_paper_whose_program_called_it_untitled_is_called_by_its_first_line(tmp_path: Path) -> None:
    pdf(tmp_path / "a.pdf", "Shifted copies raise accuracy.", title="(Untitled)")
    (paper,) = FolderSource(tmp_path).find(PaperQuery()).papers
    assert paper.title == "Shifted copies raise accuracy."


def test_a_folder_that_is_not_there_is_bad_input_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"No such file.*research_config.yaml"):
        FolderSource(tmp_path / "none").find(PaperQuery())


def test_a_paper_that_left_the_folder_has_no_text(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", "Words.")
    (paper,) = FolderSource(tmp_path).find(PaperQuery()).papers
    path.unlink()
    with pytest.raises(BadInput, match="no file with the content of"):
        FolderSource(tmp_path).text(paper)


def test_versions_of_one_paper_are_merged_and_the_newest_wins() -> None:
    def version(key: str, number: str, title: str) -> Paper:
        return Paper(key=key, version=number, title=title)

    papers = [version("arxiv:1", "v2", "two"), version("arxiv:2", "v1", "other"), version("arxiv:1", "v10", "ten")]
    assert [paper.title for paper in merged([*papers, version("arxiv:1", "v9", "nine")])] == ["ten", "other"]


def test_recorded_pages_are_followed_to_the_limit(shared_data: Path) -> None:
    source: PaperSource = RecordedArxiv(shared_data / "arxiv" / "responses", page_size=10)
    batch = source.find(PaperQuery("testing", limit=60))
    assert batch.status == "ok"
    assert len(batch.papers) == 60
    assert len({paper.key for paper in batch.papers}) == 60
    assert batch.papers[0].key == "arxiv:2202.12139"
    assert all(paper.published and paper.title and paper.summary for paper in batch.papers)


def test_a_page_of_a_hundred_is_read_whole(shared_data: Path) -> None:
    batch = RecordedArxiv(shared_data / "arxiv" / "responses").find(PaperQuery("testing", limit=100))
    assert len(batch.papers) == 100
    assert "arxiv:cs/0503050" in {paper.key for paper in batch.papers}


def test_overlapping_pages_give_each_paper_once(shared_data: Path, tmp_path: Path) -> None:
    names = ["q_testing_s0_m10_*", "q_testing_s10_m10_*", "q_testing_s9_m15_*"]
    folder = shared_data / "arxiv" / "responses"
    results = 0
    for path in (path for name in names for path in folder.glob(name)):
        shutil.copy(path, tmp_path)
        results += json.loads(path.read_text())["body"].count("<entry>")
    batch = RecordedArxiv(tmp_path).find(PaperQuery())
    assert results == 35
    assert len(batch.papers) == 24


def test_all_recorded_answers_together_hold_no_paper_twice(shared_data: Path) -> None:
    batch = RecordedArxiv(shared_data / "arxiv" / "responses").find(PaperQuery(limit=1000))
    keys = [paper.key for paper in batch.papers]
    assert len(keys) == len(set(keys)) == 105
    assert any("incorrect id format for abc" in note for note in batch.notes)


@pytest.mark.parametrize(
    ("identifier", "key", "version"),
    [
        ("quant-ph/0201082v1", "arxiv:quant-ph/0201082", "v1"),
        ("astro-ph/0601001", "arxiv:astro-ph/0601001", "v1"),
        ("1605.08386", "arxiv:1605.08386", "v1"),
    ],
)
def test_old_and_new_style_ids_are_understood(shared_data: Path, identifier: str, key: str, version: str) -> None:
    (paper,) = RecordedArxiv(shared_data / "arxiv" / "responses").find(PaperQuery(ids=(identifier,))).papers
    assert (paper.key, paper.version) == (key, version)
    assert paper.url == f"https://arxiv.org/abs/{key.removeprefix('arxiv:')}{version}"


def test_an_empty_feed_is_no_results_and_the_missing_id_is_named(shared_data: Path) -> None:
    source = RecordedArxiv(shared_data / "arxiv" / "responses")
    nothing = source.find(PaperQuery(ids=("0000.0000",)))
    assert (nothing.papers, nothing.status) == ((), "ok")
    assert nothing.notes == ("arXiv answers nothing for the id 0000.0000",)
    partly = source.find(PaperQuery(ids=("0808.05394", "1707.08567")))
    assert [paper.key for paper in partly.papers] == ["arxiv:1707.08567"]
    assert partly.notes == ("arXiv answers nothing for the id 0808.05394",)


def test_an_error_feed_is_a_refusal_with_arxivs_own_words(shared_data: Path) -> None:
    batch = RecordedArxiv(shared_data / "arxiv" / "responses").find(PaperQuery(ids=("abc",)))
    assert batch.status == "refused"
    assert "incorrect id format for abc" in batch.notes[0]


def test_what_was_never_recorded_is_unreachable_and_not_empty(shared_data: Path) -> None:
    batch = RecordedArxiv(shared_data / "arxiv" / "responses").find(PaperQuery("something else"))
    assert (batch.papers, batch.status) == ((), "unreachable")


def test_a_recording_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no recorded answers"):
        RecordedArxiv(tmp_path)
    (tmp_path / "x.json").write_text('{"url": 3}')
    with pytest.raises(BadInput, match=r"x\.json"):
        RecordedArxiv(tmp_path)


def test_an_abstract_is_a_document_with_a_hash(shared_data: Path) -> None:
    source = RecordedArxiv(shared_data / "arxiv" / "responses")
    (paper,) = source.find(PaperQuery(ids=("2104.12255v1",))).papers
    assert source.text(paper).pages[0].startswith("What is the funniest number in cryptography?")
    with pytest.raises(BadInput, match="no abstract"):
        abstract_text(paper.model_copy(update={"summary": " "}))


@pytest.mark.parametrize("status", [429, 503])
def test_a_rate_limit_is_a_soft_status_and_keeps_what_came_before(status: int) -> None:
    page = feed(ENTRY.format(id="2602.00001v1", title="One"), total=2)
    with served((200, page), (status, b"slow down")) as (url, asked):
        batch = live(url, page_size=1).find(PaperQuery("digits"))
    assert (batch.status, batch.retry_after_s) == ("rate_limited", 17.0)
    assert [paper.title for paper in batch.papers] == ["One"]
    assert len(asked) == 2


def test_a_server_error_is_tried_again_and_then_a_soft_status() -> None:
    page = feed(ENTRY.format(id="2602.00001v1", title="One"))
    with served((500, b""), (200, page)) as (url, _):
        assert live(url, retries=1).find(PaperQuery("digits")).status == "ok"
    with served((500, b"")) as (url, asked):
        assert live(url, retries=1).find(PaperQuery("digits")).status == "unreachable"
        assert len(asked) == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>Sign in to this network\x1b[2J</html>", "no Atom feed"),
        (b"", "no Atom feed"),
        (feed(ENTRY.format(id="2602.00001v1", title="One"))[:-60], "breaks off"),
        (feed(ENTRY.format(id="2602.00001v1", title="One").replace("2026-02-10T", "yesterday")), "cannot be read"),
    ],
)
def test_an_answer_that_is_no_whole_feed_is_never_no_results(body: bytes, says: str) -> None:
    with served((200, body)) as (url, _):
        batch = live(url).find(PaperQuery("digits"))
    assert batch.status == "unreachable"
    assert says in batch.notes[-1]
    assert "\x1b" not in batch.notes[-1]


def test_entries_of_strangers_are_bounded_and_stripped() -> None:
    hostile = ENTRY.format(id="2602.00001v1", title="\u202eevil\n title " + "x" * 5000)
    nameless = ENTRY.format(id="http://elsewhere/1", title="No id")
    with served((200, feed(hostile, nameless))) as (url, _):
        batch = live(url).find(PaperQuery("digits"))
    (paper,) = batch.papers
    assert paper.title.startswith("evil title xxx")
    assert len(paper.title) == 300
    assert any("without an arXiv id" in note for note in batch.notes)


@pytest.mark.parametrize("drip_s", [0.5, 0.02])
def test_a_server_that_stalls_or_drips_is_left(drip_s: float) -> None:
    page = feed(ENTRY.format(id="2602.00001v1", title="One"))
    with served((200, page), drip_s=drip_s) as (url, _):
        batch = live(url, timeout_s=0.3).find(PaperQuery("digits"))
    assert batch.status == "unreachable"
    assert "no whole answer within 0.3 s" in batch.notes[-1]


def test_requests_keep_their_distance() -> None:
    page = feed(ENTRY.format(id="2602.00001v1", title="One"), total=2)
    last = feed(ENTRY.format(id="2602.00002v1", title="Two"), total=2)
    started = time.monotonic()
    with served((200, page), (200, last)) as (url, asked):
        assert len(live(url, page_size=1, pause_s=0.3).find(PaperQuery("digits")).papers) == 2
    assert len(asked) == 2
    assert time.monotonic() - started >= 0.3


def test_all_searches_and_files_of_the_process_share_one_pace() -> None:
    page = feed(ENTRY.format(id="2602.00001v1", title="One"))
    with served((200, page)) as (url, asked):
        started = time.monotonic()
        one, other = live(url, pause_s=0.2), live(url, pause_s=0.2)
        threads = [threading.Thread(target=source.find, args=(PaperQuery("digits"),)) for source in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pytest.raises(BadInput):
            one.text(Paper(key="arxiv:2602.00001", version="v1", title="One"))
        assert len(asked) == 3
        assert time.monotonic() - started >= 0.4
    assert one._client is other._client


def test_every_host_of_arxiv_is_one_site_with_three_seconds() -> None:
    assert {site(url) for url in (API, FILES, "http://arxiv.org/abs/1", "https://www.arxiv.org./x")} == {"arxiv.org"}
    assert pause_for(API) == 3.0
    assert pause_for("https://notarxiv.org/") == 1.0
    assert site("https://arxiv.org.example.com/") == "arxiv.org.example.com:https"


def test_a_site_that_asked_for_patience_is_not_asked_by_anybody_until_then() -> None:
    page = feed(ENTRY.format(id="2602.00001v1", title="One"))
    with served((429, b""), (200, page)) as (url, asked):
        assert live(url).find(PaperQuery("digits")).status == "rate_limited"
        again = live(url, page_size=50).find(PaperQuery("others"))
        assert (again.status, len(asked)) == ("rate_limited", 1)
        assert again.retry_after_s is not None
        assert 10 < again.retry_after_s <= 17
        with pytest.raises(RateLimited):
            live(url).text(Paper(key="arxiv:2602.00001", title="One"))
        assert len(asked) == 1


def test_an_answer_that_stopped_early_says_where_and_the_next_one_begins_there() -> None:
    pages = [feed(ENTRY.format(id=f"2602.0000{number}v1", title=f"P{number}"), total=3) for number in (1, 2, 3)]
    with served((200, pages[0]), (500, b"")) as (url, _):
        batch = live(url, page_size=1).find(PaperQuery("digits"))
    assert (batch.status, batch.next_offset) == ("unreachable", 1)
    with served((200, pages[1]), (200, pages[2])) as (url, asked):
        batch = live(url, page_size=1).find(PaperQuery("digits", offset=1, skip={"arxiv:2602.00002"}))
    assert [paper.title for paper in batch.papers] == ["P3"]
    assert batch.next_offset == 0
    assert ["start=1" in asked[0], "start=2" in asked[1]] == [True, True]


def test_a_page_that_is_empty_and_should_not_be_is_asked_for_again() -> None:
    first = feed(ENTRY.format(id="2602.00001v1", title="One"), total=2)
    second = feed(ENTRY.format(id="2602.00002v1", title="Two"), total=2)
    with served((200, first), (200, feed(total=2)), (200, second)) as (url, asked):
        batch = live(url, page_size=1, retries=1).find(PaperQuery("digits"))
    assert ([paper.title for paper in batch.papers], len(asked)) == (["One", "Two"], 3)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("2602.00001v3", ("2602.00001", "v3")),
        ("arXiv:math.GT/0309136", ("math.GT/0309136", "")),
        ("https://arxiv.org/abs/quant-ph/0201082v1", ("quant-ph/0201082", "v1")),
        ("http://export.arxiv.org/pdf/2602.00001v2.pdf#page=2", ("2602.00001", "v2")),
        ("https://arxiv.org.example.com/abs/2602.00001", ("", "")),
        ("https://arxiv.org/abs/../../x", ("", "")),
        ("2602.00001; drop", ("", "")),
    ],
)
def test_an_arxiv_id_is_found_in_ids_and_links(words: str, expected: tuple[str, str]) -> None:
    assert identifier(words) == expected


def test_a_file_that_is_too_large_is_bad_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arxiv_api, "MAX_FILE_BYTES", 1000)
    paper = Paper(key="arxiv:2602.00001", version="v1", title="One")
    with served((200, b"%PDF-" + b"x" * 2000)) as (url, _), pytest.raises(BadInput, match="more than 1000 bytes"):
        live(url).text(paper)


def test_nobody_there_is_a_soft_status() -> None:
    with served((200, feed())) as (url, _):
        pass
    assert live(url).find(PaperQuery("digits")).status == "unreachable"


def test_the_pdf_of_the_version_on_record_is_fetched(tmp_path: Path) -> None:
    body = pdf(tmp_path / "a.pdf", "Wider layers raise accuracy.").read_bytes()
    paper = Paper(key="arxiv:2602.00001", version="v3", title="One")
    with served((200, body), (429, b"")) as (url, asked):
        source = live(url)
        assert "Wider layers" in source.text(paper).pages[0]
        assert asked == ["/pdf/2602.00001v3"]
        with pytest.raises(RateLimited):
            source.text(paper)
        with pytest.raises(BadInput, match="no arXiv id"):
            source.text(Paper(key="file:../../etc", title="x"))
