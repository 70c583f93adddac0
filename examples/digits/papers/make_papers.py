"""Write the three short papers that the demonstration's reading nodes read, from measured figures.

    python papers/make_papers.py    # writes *.pdf beside this file, byte for byte the same each time

Needs reportlab (a development dependency); the PDFs are committed. Every number in them comes from figures.json,
which papers/measure.py wrote from real runs; each page says that it is ours and no publication.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

HERE = Path(__file__).resolve().parent
NOTICE = "Written by the auto-benchmark authors for its demonstration; not a publication."
AUTHORS = "The auto-benchmark authors"


@dataclass(frozen=True)
class Paper:
    """One paper: its file, its title and sections of (heading, paragraphs)."""

    file: str
    title: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]


class Figures:
    """The measured means by name, as text with three decimals."""

    def __init__(self, path: Path) -> None:
        self._figures: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))

    def mean(self, name: str) -> str:
        return f"{self._figures[name]['mean']:.3f}"

    def change(self, before: str, after: str) -> str:
        """`from 0.921 to 0.946`."""
        return f"from {self.mean(before)} to {self.mean(after)}"

    def deviation(self, name: str) -> str:
        return f"{self._figures[name]['deviation']:.3f}"

    def seeds(self, name: str) -> int:
        return int(self._figures[name]["seeds"])


def setting(figures: Figures) -> str:
    return (
        "All figures are from our own runs on the development split of the Digits leaderboard (small images of "
        "handwritten digits, 8 by 8 pixels, 897 for training) with a multi-layer perceptron; each is a mean over "
        f"{figures.seeds('production')} seeds. The plain network has one hidden layer of 32 units, is trained for 20 "
        f"epochs and reaches an accuracy of {figures.mean('production')} with a standard deviation of "
        f"{figures.deviation('production')} over seeds."
    )


def shifted_copies(figures: Figures) -> Paper:
    return Paper(
        "shifted-copies.pdf",
        "Shifted Copies as Training Data for Small Images of Digits",
        (
            (
                "Abstract",
                (
                    "A digit moved by one pixel is still the same digit. We add shifted copies of each training image "
                    "and measure what this does to the accuracy of a small network on the Digits leaderboard.",
                ),
            ),
            ("Setting", (setting(figures),)),
            (
                "Results",
                (
                    "Adding copies shifted by one pixel raises accuracy "
                    f"{figures.change('wide', 'wide_shifts_1')} on Digits, for a network with 256 "
                    "hidden units trained with momentum 0.9.",
                    "Copies shifted by two pixels do not help more: at 8 by 8 pixels such a move cuts strokes off, and "
                    f"the same network stays at {figures.mean('wide_shifts_2')}.",
                    "A narrow network gains less, since it has to store the moved shapes as well: the plain network "
                    f"goes to {figures.mean('shifts_1')}.",
                ),
            ),
            (
                "Cost",
                (
                    "Four copies of each image make an epoch five times as long. What the trained network needs to "
                    "classify an image does not change.",
                ),
            ),
        ),
    )


def width_and_length(figures: Figures) -> Paper:
    return Paper(
        "width-and-training-length.pdf",
        "Width and Training Length of a One-Layer Perceptron",
        (
            (
                "Abstract",
                (
                    "We ask which of two simple changes, a wider hidden layer or more epochs, does more for a small "
                    "perceptron on the Digits leaderboard.",
                ),
            ),
            ("Setting", (setting(figures),)),
            (
                "Results",
                (
                    "A wider hidden layer of 128 units raises accuracy "
                    f"{figures.change('production', 'hidden_128')} on Digits.",
                    f"A wider hidden layer of 256 units raises accuracy {figures.change('production', 'hidden_256')}.",
                    "Longer training of 40 epochs instead of the usual number improves accuracy "
                    f"{figures.change('production', 'epochs_40')}.",
                ),
            ),
            (
                "Cost",
                (
                    "Reading an image takes longer than multiplying 64 pixels with a hidden layer, so that a wider "
                    "layer is hardly noticed at prediction. A second layer of the same width is noticed.",
                ),
            ),
        ),
    )


def regularisation(figures: Figures) -> Paper:
    return Paper(
        "regularisation.pdf",
        "Dropout and Weight Decay for Perceptrons on Small Images",
        (
            (
                "Abstract",
                (
                    "Dropout and weight decay are the usual means against overfitting. We measure both on a large "
                    "perceptron on the Digits leaderboard.",
                ),
            ),
            (
                "Setting",
                (
                    setting(figures),
                    "The large network of this paper has 256 units in one hidden layer and is trained for 80 epochs on "
                    "shifted copies with momentum and a decaying learning rate. All results below are for it; we did "
                    "not try smaller networks.",
                ),
            ),
            (
                "Results",
                (
                    f"Dropout of 0.5 raises accuracy {figures.change('large', 'large_dropout_05')} on Digits.",
                    "Weight decay of 0.001 raises accuracy "
                    f"{figures.change('large', 'large_weight_decay_0001')} on Digits.",
                    "Both differences are about as large as the standard deviation over seeds "
                    f"({figures.deviation('large')}).",
                ),
            ),
        ),
    )


def _on_each_page(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont("Helvetica-Oblique", 8)
    canvas.drawString(document.leftMargin, 1.2 * cm, NOTICE)
    canvas.restoreState()


def write(paper: Paper, folder: Path) -> Path:
    """The rendered file; `invariant` leaves out times and random ids."""
    styles = getSampleStyleSheet()
    body = ParagraphStyle("body", parent=styles["BodyText"], fontSize=10.5, leading=14.5, spaceAfter=5)
    story = [Paragraph(paper.title, styles["Title"]), Paragraph(AUTHORS, body), Paragraph(f"<i>{NOTICE}</i>", body)]
    for heading, paragraphs in paper.sections:
        story.append(Spacer(1, 4))
        story.append(Paragraph(heading, styles["Heading2"]))
        story += [Paragraph(text, body) for text in paragraphs]
    path = folder / paper.file
    document = SimpleDocTemplate(
        str(path), pagesize=A4, invariant=True, title=paper.title, author=AUTHORS, subject=NOTICE
    )
    document.build(story, onFirstPage=_on_each_page, onLaterPages=_on_each_page)
    return path


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    figures = Figures(HERE / "figures.json")
    for make in (shifted_copies, width_and_length, regularisation):
        print(write(make(figures), folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
