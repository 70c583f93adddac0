"""Make the text of the character language model and cut it into train, dev and test.

    python make_text.py solution/data                  # 400,000 characters to train on, for a CPU
    python make_text.py solution/data --train 40000000  # for a GPU

Nothing is downloaded: a small grammar writes stories about people who carry things to places, count, and remember.
What comes next depends on the last letters (spelling), on the sentence (grammar) and on the story (who it is about,
what they carry, what the sum is), so a longer memory pays. The same call gives the same bytes on every machine and
every Python: of the random source only `random()` is used.

Train is plain text. Dev and test come from stories of their own: items are windows that do not overlap, each a context
and the one character that follows it, the context in `inputs`, the character in `labels`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ALPHABET = "\n ',.abcdefghijklmnopqrstuvwxyz"
CONTEXT = 64
"""Characters of an item's context."""
TRAIN, HELD_OUT = 400_000, 2_000
SEEDS = {"train": 1, "dev": 2, "test": 3}

NAMES = {
    "she": ("anna", "clara", "edith", "greta", "iris", "mabel"),
    "he": ("boris", "david", "felix", "hugo", "jonas"),
}
THINGS = ("lamp", "basket", "letter", "kettle", "violin", "ladder", "blanket", "mirror", "hammer", "lantern")
LOOKS = ("old", "red", "small", "heavy", "broken", "silver", "wooden", "quiet", "bright", "dusty")
PLACES = ("mill", "harbour", "orchard", "tower", "bridge", "market", "station", "garden", "chapel", "lighthouse")
WEATHER = ("it rained", "the wind rose", "the sun came out", "fog lay on the fields", "snow fell")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
CROPS = ("apples", "candles", "pebbles", "buttons", "herrings", "walnuts")
FEELINGS = ("was glad", "laughed", "said nothing", "went home", "slept well", "began to sing")


def pick(rng: random.Random, choices: Sequence[str]) -> str:
    return choices[int(rng.random() * len(choices))]


def story(rng: random.Random) -> str:
    """One story of five to nine sentences."""
    pronoun = pick(rng, ("she", "he"))
    name, thing, look, place = (pick(rng, words) for words in (NAMES[pronoun], THINGS, LOOKS, PLACES))
    his = {"she": "her", "he": "his"}[pronoun]
    lines = [f"{name} had a {look} {thing}."]
    for _ in range(3 + int(rng.random() * 5)):
        kind = int(rng.random() * 6)
        if kind == 0:
            lines.append(f"in the morning {name} carried the {thing} to the {place}.")
        elif kind == 1:
            first, second = int(rng.random() * 7), int(rng.random() * 6)
            crop = pick(rng, CROPS)
            counted = f"{NUMBERS[first]} {crop} and {NUMBERS[second]} {crop} are {NUMBERS[first + second]} {crop}"
            lines.append(f"{pronoun} counted, {counted}.")
        elif kind == 2:
            lines.append(f"{pick(rng, WEATHER)}, and {name} {pick(rng, FEELINGS)}.")
        elif kind == 3:
            place = pick(rng, PLACES)
            lines.append(f"then {pronoun} walked to the {place}.")
        elif kind == 4:
            lines.append(f"nobody at the {place} had seen {name}'s {look} {thing}.")
        else:
            lines.append(f"{pronoun} put {his} {thing} beside the {pick(rng, LOOKS)} {pick(rng, THINGS)}.")
    lines.append(f"at last {name} left the {place} with the {thing}.")
    return " ".join(lines) + "\n\n"


def text(seed: int, characters: int) -> str:
    """Stories one after another, cut at this many characters."""
    rng = random.Random(seed)
    parts: list[str] = []
    length = 0
    while length < characters:
        parts.append(story(rng))
        length += len(parts[-1])
    return "".join(parts)[:characters]


def items(split: str, count: int) -> Iterator[tuple[str, str, str]]:
    """Id, context and next character, from windows that do not overlap."""
    window = CONTEXT + 1
    whole = text(SEEDS[split], count * window)
    for number in range(count):
        piece = whole[number * window : (number + 1) * window]
        yield f"{split}-{number:05d}", piece[:-1], piece[-1]


def files(train: int = TRAIN, held_out: int = HELD_OUT) -> Iterator[tuple[str, bytes]]:
    """Path under `data/` and content of every file."""
    yield "train/text.txt", text(SEEDS["train"], train).encode("ascii")
    for split in ("dev", "test"):
        found = list(items(split, held_out))
        yield f"{split}/inputs/inputs.jsonl", _lines([{"id": name, "context": context} for name, context, _ in found])
        yield f"{split}/labels/labels.jsonl", _lines([{"id": name, "next": following} for name, _, following in found])


def _lines(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode("ascii")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the text of the character language model.")
    parser.add_argument("data", type=Path, help="folder to write into")
    parser.add_argument("--train", type=int, default=TRAIN, help="characters to train on")
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="items of dev, and of test")
    options = parser.parse_args()
    for path, content in files(options.train, options.held_out):
        file = options.data / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
