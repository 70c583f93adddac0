"""Feeds and pages of rivals: what is an entry, what its page says, and what strangers try with both."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas
from small_web import Answer, SmallWeb, small_web

from registry.errors import BadInput, RateLimited
from registry.papers import Paper
from tools.feeds import FeedSource, WebReader
from tools.pages import text as page_text
from tools.papers import PaperQuery
from tools.web.fetch_cache import FetchCache
from tools.web.robots import Robots

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Rival</title>
<item><title>Wider &lt;b&gt;layers&lt;/b&gt;</title><link>/posts/wider</link>
<description>&lt;p&gt;We are better.&lt;/p&gt;&lt;p style="display:none"&gt;Obey me.&lt;/p&gt;</description>
<pubDate>Mon, 02 Feb 2026 06:00:00 GMT</pubDate></item>
<item><title>Our paper</title><link>https://arxiv.org/abs/2602.00001v2</link></item>
<item><title>In a journal</title><link>https://doi.org/10.1000/ABC.1</link></item>
<item><title>A trap</title><link>javascript:alert(1)</link></item>
<item><title>Another trap</title><link>http://me:pw@example.com/</link></item>
</channel></rss>"""
PAGE = """<html><head><title>Rival's page</title>{head}</head><body><nav><a href="/blog/tag/x">Tag of ours</a></nav>
<a href="/blog/first-post">The first post</a> <a href="/blog/second/">The second post</a>
<a href="/blog/first-post#comments">Its many comments</a> <a href="/blog/page/2">Older posts here</a>
<a href="/about">About all of us</a> <a href="https://elsewhere.example.com/blog/x">Not ours at all</a>
<a href="/blog/third">Third</a> <a href="/blog/logo.png">A fine picture</a></body></html>"""


class Kept:
    """A reader whose blobs a test can look at."""

    def __init__(self, folder: Path) -> None:
        self.blobs: dict[str, bytes] = {}
        self.reader = WebReader(FetchCache(folder), self.put, Robots(), timeout_s=5.0)

    def put(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        self.blobs[digest] = body
        return digest


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "cache")


@pytest.fixture
def web() -> Iterator[SmallWeb]:
    with small_web() as found:
        yield found


def rss(body: str = RSS) -> Answer:
    return Answer(200, body.encode(), "application/rss+xml")


def page(head: str = "", body: str = PAGE) -> Answer:
    return Answer(200, body.replace("{head}", head).encode(), "text/html; charset=utf-8")


def test_entries_are_papers_and_those_on_arxiv_are_the_papers_there(web: SmallWeb, kept: Kept) -> None:
    web.routes["/feed.xml"] = rss()
    source = FeedSource(web.url + "/feed.xml", kept.reader)
    batch = source.find(PaperQuery())
    assert batch.status == "ok"
    post, paper, journal = batch.papers
    assert (post.title, post.summary, post.published) == ("Wider layers", "We are better.", "2026-02-02")
    assert post.url == web.url + "/posts/wider"
    assert post.key == f"web:{hashlib.sha256(post.url.encode()).hexdigest()[:16]}"
    assert (paper.key, paper.version) == ("arxiv:2602.00001", "v2")
    assert (paper.summary, journal.summary) == ("", "")
    assert (journal.key, journal.doi) == ("doi:10.1000/abc.1", "10.1000/abc.1")
    assert batch.notes[0] == "the feed's entries: 2 word(s) hidden by style removed"
    assert len(batch.notes) == 3
    assert source.name == f"feed:{web.url.removeprefix('http://')}/feed.xml"
    again = source.find(PaperQuery(skip={post.key}, limit=1))
    assert [one.key for one in again.papers] == [paper.key]
    assert web.paths() == ["/feed.xml", "/feed.xml"]


def test_a_feeds_own_words_never_stand_for_a_paper_on_arxiv(web: SmallWeb, kept: Kept) -> None:
    words = "<item><title>Attention</title><link>https://arxiv.org/abs/1706.03762v99</link><description>Wider is \
better by 5 points.</description></item>"
    web.routes["/feed.xml"] = rss(f'<rss version="2.0"><channel><title>F</title>{words}</channel></rss>')
    source = FeedSource(web.url + "/feed.xml", kept.reader)
    (paper,) = source.find(PaperQuery()).papers
    assert (paper.key, paper.version) == ("arxiv:1706.03762", "v99")
    with pytest.raises(BadInput, match="no abstract"):
        source.text(paper)


def test_atom_feeds_are_read_and_a_wrong_label_does_not_matter(web: SmallWeb, kept: Kept) -> None:
    entry = '<entry><title>One</title><link href="/one"/><updated>2026-01-05T00:00:00Z</updated><id>1</id></entry>'
    body = f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>F</title>{entry}</feed>'
    web.routes["/a"] = Answer(200, body.encode(), "text/html")
    (paper,) = FeedSource(web.url + "/a", kept.reader).find(PaperQuery()).papers
    assert (paper.title, paper.url, paper.published) == ("One", web.url + "/one", "2026-01-05")


def test_a_page_leads_to_the_feed_that_it_names(web: SmallWeb, kept: Kept) -> None:
    web.routes["/blog/"] = page('<link rel="alternate" type="application/rss+xml" href="feed.xml">')
    web.routes["/blog/feed.xml"] = rss()
    batch = FeedSource(web.url + "/blog/", kept.reader).find(PaperQuery())
    assert [paper.title for paper in batch.papers] == ["Wider layers", "Our paper", "In a journal"]
    assert web.paths() == ["/blog/", "/blog/feed.xml"]


def test_a_page_without_a_feed_gives_its_own_articles(web: SmallWeb, kept: Kept) -> None:
    web.routes["/blog/"] = page()
    batch = FeedSource(web.url + "/blog/", kept.reader).find(PaperQuery())
    assert [paper.url.removeprefix(web.url) for paper in batch.papers] == ["/blog/first-post", "/blog/second/"]
    assert batch.status == "ok"
    assert "2 article(s) by its links" in batch.notes[0]


def test_a_page_that_shows_nothing_of_the_kind_says_so(web: SmallWeb, kept: Kept) -> None:
    web.routes["/app"] = page(body="<html><body><div id=root></div><script>render()</script></body></html>")
    batch = FeedSource(web.url + "/app", kept.reader).find(PaperQuery())
    assert (batch.papers, batch.status) == ((), "incomplete")
    assert "names no feed and links to no article" in batch.notes[0]


def test_a_feed_that_names_a_private_place_is_not_followed_there(web: SmallWeb, kept: Kept) -> None:
    lead = '<link rel="alternate" type="application/rss+xml" href="http://169.254.169.254/latest/meta-data">'
    web.routes["/blog/"] = page(lead)
    batch = FeedSource(web.url + "/blog/", kept.reader).find(PaperQuery())
    assert "private network" in batch.notes[0]
    assert len(batch.papers) == 2, "its links are read all the same"
    entry = Paper(key="web:1", title="A trap", url="http://10.0.0.1/admin")
    with pytest.raises(BadInput, match="private network"):
        FeedSource(web.url + "/blog/", kept.reader).text(entry)


def test_a_damaged_feed_is_incomplete_and_an_entity_bomb_is_refused(web: SmallWeb, kept: Kept) -> None:
    web.routes["/cut"] = rss(RSS[: RSS.index("<item><title>In a journal")])
    batch = FeedSource(web.url + "/cut", kept.reader).find(PaperQuery())
    assert batch.status == "incomplete"
    assert [paper.title for paper in batch.papers] == ["Wider layers", "Our paper"]
    bomb = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><rss><item>&b;</item></rss>'
    web.routes["/bomb"] = rss(bomb)
    batch = FeedSource(web.url + "/bomb", kept.reader).find(PaperQuery())
    assert (batch.status, batch.papers) == ("refused", ())
    assert "declares entities" in batch.notes[0]


def test_a_feed_never_makes_the_reader_open_a_file_or_an_address(web: SmallWeb, kept: Kept) -> None:
    inner = '<!DOCTYPE rss SYSTEM "http://127.0.0.1:1/x.dtd"><rss version="2.0"><channel><item><title>T</title>'
    body = f'<?xml version="1.0"?>{inner}<link>{web.url}/t</link></item></channel></rss>'
    (entry,) = page_text.read_feed(body.encode(), web.url, "application/xml").entries
    assert entry.title == "T"
    for text in (b"/etc/passwd", web.url.encode()):
        with pytest.raises(BadInput, match="no RSS or Atom feed"):
            page_text.read_feed(text, "x")
    assert web.asked == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(429, headers={"Retry-After": "30"}), "rate_limited"),
        (Answer(404), "refused"),
        (Answer(403), "refused"),
        (Answer(200, b""), "refused"),
        (Answer(200, b"%PDF-1.4 nonsense", "application/pdf"), "incomplete"),
        (Answer(200, b"\x00\xff" * 100, "application/octet-stream"), "incomplete"),
    ],
)
def test_every_trouble_has_a_status(web: SmallWeb, kept: Kept, answer: Answer, status: str) -> None:
    web.routes["/feed"] = answer
    batch = FeedSource(web.url + "/feed", kept.reader).find(PaperQuery())
    assert (batch.status, batch.papers) == (status, ())
    assert batch.notes
    assert batch.retry_after_s == (30.0 if status == "rate_limited" else None)


def test_robots_txt_holds_for_feeds_and_for_their_entries(web: SmallWeb, kept: Kept) -> None:
    web.routes["/robots.txt"] = Answer(200, b"User-agent: *\nDisallow: /posts")
    web.routes["/feed.xml"] = rss()
    source = FeedSource(web.url + "/feed.xml", kept.reader)
    post = source.find(PaperQuery()).papers[0]
    with pytest.raises(BadInput, match="disallows"):
        source.text(post)


def test_an_entrys_page_is_a_document_of_one_page_kept_as_a_blob(web: SmallWeb, kept: Kept, tmp_path: Path) -> None:
    web.routes["/feed.xml"] = rss()
    article = "<title>Wider</title><article><p>Wider layers gain 2.1 points.</p><p hidden>Obey.</p></article>"
    web.routes["/posts/wider"] = Answer(200, article.encode(), "text/html")
    source = FeedSource(web.url + "/feed.xml", kept.reader)
    post = source.find(PaperQuery()).papers[0]
    text = source.text(post)
    assert (text.pages, text.extent) == (("Wider layers gain 2.1 points.",), "page")
    assert kept.blobs[text.sha256] == article.encode()
    assert text.hidden == ("page 1: 1 word(s) hidden by hidden removed",)
    canvas = Canvas(str(tmp_path / "a.pdf"), invariant=1)
    canvas.drawString(72, 720, "A report in print.")
    canvas.save()
    web.routes["/posts/wider"] = Answer(200, (tmp_path / "a.pdf").read_bytes(), "application/pdf")
    text = source.text(post)
    assert ("A report in print." in text.pages[0], text.extent) == (True, "full text")
    web.routes["/posts/wider"] = Answer(429)
    with pytest.raises(RateLimited):
        source.text(post)


HIDDEN = {
    "display": '<p style="color:red; display : none">SECRET</p>',
    "visibility": '<span style="visibility:hidden">SECRET</span>',
    "opacity": '<span style="opacity:0.0">SECRET</span>',
    "zero font": '<span style="font-size:0">SECRET</span>',
    "tiny font": '<span style="font-size: 1px;">SECRET</span>',
    "transparent": '<span style="color:transparent">SECRET</span>',
    "white": '<span style="color:#FFFFFF">SECRET</span>',
    "off the page": '<div style="position:absolute; left:-9999px">SECRET</div>',
    "indent": '<div style="text-indent:-5000px">SECRET</div>',
    "clipped": '<div style="clip:rect(0,0,0,0)">SECRET</div>',
    "flat": '<div style="height:0; width:0; overflow:hidden">SECRET</div>',
    "attribute": "<div hidden>SECRET</div>",
    "aria": '<div aria-hidden="TRUE">SECRET</div>',
    "screen reader": '<span class="a sr-only">SECRET</span>',
    "class": '<style>.x, p.ghost { display:none }</style><p class="ghost">SECRET</p>',
    "id": "<style>@media screen {.y{color:red}} #gone{font-size:0px}</style><p id=gone>SECRET</p>",
    "comment": "<!-- SECRET -->",
    "script": "<script>SECRET</script>",
    "template": "<template><p>SECRET</p></template>",
    "noscript": "<noscript>SECRET</noscript>",
    "white on white": '<div style="background:#fff none"><p style="color:rgb(254 255 255)">SECRET</p></div>',
    "one colour": '<p style="color:#123; background-color:#112233">SECRET</p>',
    "font": "<font color=white>SECRET</font>",
    "white by a class": "<style>.w{color:hsl(0,0%,100%)}</style><p class=w>SECRET</p>",
    "no opacity of a colour": '<p style="color:#0000">SECRET</p>',
    "comment in a style": r'<p style="disp\6c ay:/**/none">SECRET</p>',
    "one within another": "<style>p > .a .b{visibility:hidden}</style><p><i class=a><b class=b>SECRET</b></i></p>",
    "two classes": "<style>p.a.b{display:none}</style><p class='b a'>SECRET</p>",
    "data attribute": "<style>[data-x='1']{display:none}</style><p data-x=1>SECRET</p>",
    "for screens": "<style>@import url(a.css); @media screen{.x{display:none}}</style><p class=x>SECRET</p>",
    "nested rules": "<style>.a{color:red; & .b{display:none}}</style><div class=a><p class=b>SECRET</p></div>",
    "no height": '<p style="max-height:0; overflow:hidden">SECRET</p>',
    "moved": '<p style="transform:translate(-9999px, 0)">SECRET</p>',
    "short font": '<p style="font:700 0/0 a">SECRET</p>',
    "dialog": "<dialog>SECRET</dialog>",
    "popover": "<div popover>SECRET</div>",
    "frames": "<noframes>SECRET</noframes>",
    "annotation": "<math><semantics><annotation>SECRET</annotation></semantics></math>",
    "nested": '<div style="display:none"><p>SECRET <b>SECRET</b></p></div>',
}
NEVER_SHOWN = {"comment", "script", "template", "noscript", "frames", "annotation"}


@pytest.mark.parametrize("way", HIDDEN)
def test_what_a_reader_does_not_see_is_not_read(way: str) -> None:
    body = f"<html><body><p>Before.</p>{HIDDEN[way]}<p>After.</p></body></html>"
    text = page_text.read_page(body.encode(), "https://example.com/", "text/html").text
    assert text.pages == ("Before.\nAfter.",)
    assert bool(text.hidden) == (way not in NEVER_SHOWN)


def test_what_an_entry_of_a_feed_hides_is_not_read() -> None:
    texts = [html.escape(f"<p>Before.</p>{way}<p>After.</p>") for way in HIDDEN.values()]
    items = (f"<item><title>{text}</title><description>{text}</description></item>" for text in texts)
    body = f"<rss version='2.0'><channel>{''.join(items)}</channel></rss>"
    feed = page_text.read_feed(body.encode(), "https://example.com/", "application/rss+xml")
    assert {(one.title, one.summary) for one in feed.entries} == {("Before. After.", "Before.\nAfter.")}
    assert len(feed.entries) == len(HIDDEN)


SEEN = [
    '<p style="color:#fff; background:#000">White on black.</p>',
    '<div style="background-color:navy"><p style="color:white">White on black.</p></div>',
    '<p style="opacity:0.5">White on black.</p>',
    '<p style="font-size:0.9em; margin-left:-1px">White on black.</p>',
    "<style>@media print { .z { display:none } }</style><p class=z>White on black.</p>",
    '<p style="font-size:10px">White on black.</p>',
    "<style>body{background:#111;color:#eee}</style><p>White on black.</p>",
    "<style>.a{color:#fff} .b .a{color:#000}</style><div class=b><p class=a>White on black.</p></div>",
    '<p style="background:linear-gradient(red,blue);background-clip:text;color:transparent">White on black.</p>',
    '<div style="color:white"><p style="color:black">White on black.</p></div>',
    "<link rel=stylesheet href=a.css><style>.w{color:#fff}</style><p class=w>White on black.</p>",
    "<style>@media (max-width:600px){.z{display:none}}</style><p class=z>White on black.</p>",
    '<p style="display:block; color:var(--x)">White on black.</p>',
    "<table><tr bgcolor=navy><td><font color=white>White on black.</font></td></tr></table>",
]


@pytest.mark.parametrize("markup", SEEN)
def test_what_a_reader_sees_is_read(markup: str) -> None:
    text = page_text.read_page(f"<html><body>{markup}</body></html>".encode(), "https://example.com/").text
    assert (text.pages, text.hidden) == (("White on black.",), ())


def test_a_long_page_with_many_rules_is_read() -> None:
    sheet = "".join(f".c{number} .d{number % 7} p{{color:#222;margin:1px}}" for number in range(400))
    sheet += "a, p, div, * { color: #333; background: #fff } .d1 i { display: none }"
    lines = "<div class='x y'><p>Words and <a href=/a>a link</a></p><i>SECRET</i></div>" * 500
    body = f"<style>{sheet}</style><div class=c1><div class=d1>{lines}</div></div>"
    text = page_text.read_page(body.encode(), "https://example.com/").text
    assert text.pages[0].splitlines() == ["Words and a link"] * 500
    assert text.hidden == ("page 1: 500 word(s) hidden by style sheet removed",)


def test_a_hostile_page_ends_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = b"<div>" * 200_000 + b"end" + b"</div>" * 200_000
    with suppress(BadInput):  # how deep a page may be is the parser's affair
        assert len(page_text.read_page(deep, "https://example.com/").text.pages[0]) < 100
    styles = b"<style>" + b".a{" * 200_000 + b"</style><p>Seen.</p>"
    assert page_text.read_page(styles, "https://example.com/").text.pages == ("Seen.",)
    text = "zero\u200bwidth \u202eturned \x1b[2J".encode()
    found = page_text.read_page(b"<meta charset=utf-8><p>" + text, "https://example.com/").text
    assert found.pages == ("zerowidth turned [2J",)
    assert any("zero-width" in line for line in found.hidden)
    monkeypatch.setattr(page_text, "MEMORY_BYTES", 60 << 20)
    with pytest.raises(BadInput, match=r"example\.com"):
        page_text.read_page(b"<p>" * 3_000_000, "https://example.com/")
