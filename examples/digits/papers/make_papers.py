"""Render the three short papers that the demonstration's reading nodes read, from text and measured figures.

    python papers/make_papers.py [FOLDER]    # writes *.pdf, byte for byte the same each time

Needs reportlab (a development dependency); the PDFs are committed. The texts are the *.txt beside this file: a title,
then headings (`# `) and paragraphs, with a `$name` for every number, which comes from figures.json, which
papers/measure.py wrote from real runs. Each page says that it is ours and no publication.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate

HERE = Path(__file__).resolve().parent
NOTICE = "Written by the auto-benchmark authors for its demonstration; not a publication."
AUTHORS = "The auto-benchmark authors"
HEADING = "# "


def numbers(path: Path) -> dict[str, str]:
    """Every measured mean by name, its deviation as `<name>_deviation`, and the number of seeds."""
    figures = json.loads(path.read_text(encoding="utf-8"))
    means = {name: f"{figure['mean']:.3f}" for name, figure in figures.items()}
    deviations = {f"{name}_deviation": f"{figure['deviation']:.3f}" for name, figure in figures.items()}
    (seeds,) = {figure["seeds"] for figure in figures.values()}
    return {**means, **deviations, "seeds": str(seeds)}


def story(blocks: list[str]) -> list[Flowable]:
    """Title, authors and notice, then each block as a heading or a paragraph."""
    styles = getSampleStyleSheet()
    body = ParagraphStyle("body", parent=styles["BodyText"], fontSize=10.5, leading=14.5, spaceAfter=5)
    title, *rest = blocks
    flow: list[Flowable] = [
        Paragraph(escape(title), styles["Title"]),
        Paragraph(AUTHORS, body),
        Paragraph(NOTICE, body),
    ]
    for block in rest:
        text = escape(" ".join(block.removeprefix(HEADING).split()))
        flow.append(Paragraph(text, styles["Heading2"] if block.startswith(HEADING) else body))
    return flow


def _on_each_page(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont("Helvetica-Oblique", 8)
    canvas.drawString(document.leftMargin, 1.2 * cm, NOTICE)
    canvas.restoreState()


def render(source: Path, folder: Path, values: dict[str, str]) -> Path:
    """One PDF; `invariant` leaves out times and random ids."""
    blocks = Template(source.read_text(encoding="utf-8")).substitute(values).strip().split("\n\n")
    path = folder / f"{source.stem}.pdf"
    document = SimpleDocTemplate(
        str(path), pagesize=A4, invariant=True, title=blocks[0], author=AUTHORS, subject=NOTICE
    )
    document.build(story(blocks), onFirstPage=_on_each_page, onLaterPages=_on_each_page)
    return path


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    values = numbers(HERE / "figures.json")
    for source in sorted(HERE.glob("*.txt")):
        print(render(source, folder, values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
