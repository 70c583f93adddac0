"""What an interpreter has installed, read from disk without running it: distributions, their content, odd parts.

Called by `experiments.environment`. A distribution is what its `RECORD` says and whatever of it differs from that, so
one that was edited or put in again from another archive is another one, although its version is the same.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from experiments.fingerprints import Fingerprints, State, state_of, total, walk

INFORMATION = (".dist-info", ".egg-info")
COMPILED = "__pycache__"
"""Written by interpreters beside their sources, and made again from them."""
MOST_DISTRIBUTIONS = 5_000
LONGEST_RECORD = 64 << 20
LONGEST_NAME = 200
READ_WHOLE = 256 << 20
"""Files that no distribution owns are hashed up to this many bytes together; beyond, their sizes and times count."""
LONGEST_ORIGIN = 300


@dataclass(slots=True)
class Installed:
    """What stands beside an interpreter."""

    packages: set[tuple[str, str]] = field(default_factory=set)
    """(distribution, version)."""
    contents: dict[str, str] = field(default_factory=dict)
    """Distribution, or another part, → SHA-256 over its files."""
    origins: dict[str, str] = field(default_factory=dict)
    """Distribution → where it was installed from, where that is no index: an editable folder, a file, a repository."""


def folders(prefix: Path, home: Path | None) -> tuple[Path, ...]:
    """Folders that the interpreter under `prefix` imports packages from; `home` is a base whose packages it sees."""
    bases = [prefix, *([home, home / "local"] if home is not None else [])]
    found = (
        place
        for base in bases
        for kind in ("site-packages", "dist-packages")
        for place in (*sorted(base.glob(f"lib*/python3*/{kind}")), *sorted(base.glob(f"lib/python3/{kind}")))
    )
    return tuple({os.path.realpath(place): place for place in found if place.is_dir()}.values())


def modules(python: Path) -> frozenset[str]:
    """Top-level modules and packages that are installed for an interpreter, by the names they are imported under."""
    found: set[str] = set()
    for place in folders(python.parent.parent, None):
        for entry in place.iterdir():
            name = entry.name.split(".")[0]
            if name.isidentifier() and (entry.suffix in {"", ".py", ".so"}) and not name.startswith("__"):
                found.add(name)
    return frozenset(found)


def outline(places: tuple[Path, ...]) -> tuple[tuple[str, State], ...]:
    """States of what every installer touches: the folders, each distribution's folder and its RECORD, loose files."""
    found: list[tuple[str, State]] = []
    for place in places:
        found.append((str(place), state_of(place.stat())))
        with os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.name.endswith(INFORMATION) and entry.is_dir():
                    found.append((entry.path, state_of(entry.stat())))
                    for name in ("RECORD", "direct_url.json"):
                        found += _state(f"{entry.path}/{name}")
                elif entry.name.endswith((".pth", ".egg-link", "customize.py")):
                    found += _state(entry.path)
    return tuple(found)


def everything(places: tuple[Path, ...]) -> str:
    """One digest over the state of every file."""
    digest = hashlib.blake2b()
    for place in places:
        lines = sorted(f"{name}\0{state}" for name, state in walk(str(place), skip=COMPILED, follow=False))
        digest.update(os.fsencode(f"{place}\0" + "\n".join(lines)))
    return digest.hexdigest()


def read(prefix: Path, places: tuple[Path, ...], known: Fingerprints) -> Installed:
    """All of it; OSError where a file goes while it is read."""
    found = Installed()
    for place in places:
        states = dict(walk(str(place), skip=COMPILED, follow=False))
        owned: set[str] = set()
        for folder in sorted(place.iterdir()):
            if folder.name.endswith(INFORMATION) and len(found.packages) < MOST_DISTRIBUTIONS:
                _distribution(found, place, folder, states, owned, known)
        loose = {name: state for name, state in states.items() if name not in owned}
        if loose:
            found.contents[f"({place.name}: files of no distribution)"] = _loose(place, loose, known)
    for description in sorted(prefix.glob("conda-meta/*.json")):
        if description.is_symlink() or not description.is_file():
            continue
        name, version, build = [*description.name.removesuffix(".json").rsplit("-", 2), "", ""][:3]
        found.packages.add((f"conda:{name}", f"{version}-{build}"))
        found.contents[f"conda:{name}"] = known.file(str(description))
    return found


def _distribution(
    found: Installed, place: Path, folder: Path, states: dict[str, State], owned: set[str], known: Fingerprints
) -> None:
    """One distribution: its name, where it came from, and its files against its RECORD."""
    name, version = _name_and_version(folder.name)
    found.packages.add((name, version))
    if origin := _origin(folder):
        found.origins[name] = origin
    record = folder / "RECORD"
    relative = f"{folder.name}/RECORD"
    if relative not in states or states[relative][2] > LONGEST_RECORD or not stat.S_ISREG(states[relative][0]):
        return  # then its files are files of no distribution
    written = states[relative]
    differing = {relative: known.file(str(record), written)}
    owned.add(relative)
    for path, claimed, size in _rows(record):
        if path not in states:
            if claimed and not path.startswith("..") and f"/{COMPILED}/" not in f"/{path}":
                differing[path] = hashlib.sha256(b"missing").hexdigest()
            continue
        owned.add(path)
        state = states[path]
        # What was not touched since its RECORD was written is what the RECORD says.
        if claimed and str(state[2]) == size and max(state[3], state[4]) <= max(written[3], written[4]):
            continue
        sha256 = known.file(f"{place}/{path}", state)
        if sha256 != claimed and path != relative:
            differing[path] = sha256
    found.contents[name] = total(dict(sorted(differing.items())))


def _rows(record: Path) -> Iterator[tuple[str, str, str]]:
    """(path, SHA-256 in hexadecimal or nothing, size) of every line."""
    with record.open(newline="", encoding="utf-8", errors="surrogateescape") as stream, suppress(csv.Error):
        for row in csv.reader(stream):
            path, claim, size = ([*row, "", "", ""])[:3]
            kind, _, code = claim.partition("=")
            yield path, _hexadecimal(code) if kind == "sha256" else "", size


def _hexadecimal(code: str) -> str:
    try:
        return base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)).hex()
    except ValueError:
        return ""


def _origin(folder: Path) -> str:
    """What `direct_url.json` says (PEP 610), in one line; nothing for what came from an index."""
    path = folder / "direct_url.json"
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            said = json.loads(stream.read(LONGEST_RECORD >> 10))
        editable = said.get("dir_info", {}).get("editable", False) is True
        commit = said.get("vcs_info", {}).get("commit_id", "")
        text = f"{'editable ' if editable else ''}{said.get('url', '')}{f'@{commit}' if commit else ''}"
    except (ValueError, AttributeError, RecursionError):
        text = "a direct_url.json that cannot be read"
    return _plain(text, LONGEST_ORIGIN)


def _plain(text: str, longest: int) -> str:
    """What somebody else has written, for a record: printable and bounded."""
    return "".join(character if character.isprintable() else "?" for character in text)[:longest]


def _loose(place: Path, files: dict[str, State], known: Fingerprints) -> str:
    if sum(state[2] for state in files.values()) > READ_WHOLE:
        text = "\n".join(f"{name} {state[2]} {state[3]}" for name, state in sorted(files.items()))
        return hashlib.sha256(os.fsencode(text)).hexdigest()
    return total({name: known.file(f"{place}/{name}", state) for name, state in sorted(files.items())})


def _name_and_version(folder: str) -> tuple[str, str]:
    stem = folder.removesuffix(".dist-info")
    if folder.endswith(".egg-info"):
        stem = folder.removesuffix(".egg-info").rpartition("-py3")[0] or folder.removesuffix(".egg-info")
    name, _, version = stem.partition("-")
    return _plain(name.lower().replace("_", "-"), LONGEST_NAME), _plain(version, LONGEST_NAME)


def _state(path: str) -> list[tuple[str, State]]:
    try:
        return [(path, state_of(os.stat(path)))]  # noqa: PTH116
    except OSError:
        return []
