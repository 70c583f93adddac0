"""Which host paths a Python interpreter needs, found without running it.

A virtual environment is a folder of links into a base installation that may live anywhere (pyenv, uv, conda, a
distribution's /usr). Running the interpreter to ask it would run code that a candidate may have installed there,
so the links and `pyvenv.cfg` are read instead. Called by `sandbox.bwrap_arguments`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput, Problem

# Of an installation only these are shown: a virtual environment made in a repository's root must not bring the
# repository (with its labels and its .git) along.
_PARTS = ("bin", "lib", "lib64", "lib32", "libexec", "include", "share", "etc", "ssl", "pyvenv.cfg")
_MAX_LINKS = 16
_MAX_CONFIGURATION = 64 << 10


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything to show read-only, each at its own path, so that `executable` starts inside as it does outside."""

    executable: Path
    paths: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...] = ()
    """Symbolic links to recreate: (place, target as written)."""


def discover(python: Path) -> Installation:
    """The paths of the interpreter, its environment and its base; BadInput where it is not an interpreter."""
    executable = Path(os.path.normpath(python.absolute()))
    real = Path(os.path.realpath(executable))
    _refuse_what_is_no_program(executable, real)
    hops = _chain(executable)
    prefixes: list[Path] = []
    loose: list[Path] = []
    for hop in hops:
        prefix = _prefix_of(hop)
        if prefix is None:
            loose.append(hop)
        else:
            prefixes.append(prefix)
            if (home := _home(prefix)) is not None:
                prefixes.append(home.parent)
    spelled = [form for prefix in prefixes for form in (prefix, Path(os.path.realpath(prefix)))]
    paths: dict[Path, None] = {}
    links: dict[Path, str] = {}
    for prefix in dict.fromkeys(spelled):
        for part in _PARTS:
            place = prefix / part
            if place.is_symlink():
                links[place] = str(place.readlink())
            elif place.exists():
                paths[place] = None
    shown = [path for path in paths if not _within_system(path)]
    for hop in loose:
        if not _within_system(hop) and not any(hop.is_relative_to(path) for path in shown):
            shown.append(hop)
    kept = tuple((place, target) for place, target in links.items() if not _within_system(place))
    return Installation(executable, tuple(shown), kept)


def _chain(executable: Path) -> list[Path]:
    """The executable and every link on the way to the real file."""
    hops = [executable]
    while hops[-1].is_symlink() and len(hops) < _MAX_LINKS:
        hops.append(Path(os.path.normpath(hops[-1].parent / hops[-1].readlink())))
    real = Path(os.path.realpath(executable))
    return hops if hops[-1] == real else [*hops, real]


def _prefix_of(hop: Path) -> Path | None:
    """The installation a program stands in, recognised by its marks; None for one that stands alone."""
    if hop.parent.name != "bin":
        return None
    prefix = hop.parent.parent
    if prefix == Path("/"):
        return Path("/usr")  # /bin is a link into it; the host's root is no installation to show the parts of
    if (prefix / "pyvenv.cfg").is_file() or any(prefix.glob("lib*/python3*/os.py")):
        return prefix
    return None


def _home(prefix: Path) -> Path | None:
    """The `home` of a virtual environment: the folder of the base interpreter's program."""
    configuration = prefix / "pyvenv.cfg"
    if not configuration.is_file():
        return None
    with configuration.open(encoding="utf-8", errors="replace") as file:
        text = file.read(_MAX_CONFIGURATION)
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip().lower() == "home" and value.strip():
            home = Path(os.path.normpath(value.strip()))
            # A virtual environment is writable by whoever filled it: its word alone must not show a home folder.
            if home.is_absolute() and home.name == "bin" and any(home.parent.glob("lib*/python3*/os.py")):
                return home
    return None


def _refuse_what_is_no_program(executable: Path, real: Path) -> None:
    expected = "a Python interpreter, such as .venv/bin/python"
    try:
        with real.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        found = error.strerror or "an unreadable file"
        raise BadInput(Problem(str(executable), found.lower(), expected, fix="create the environment first")) from error
    if magic != b"\x7fELF":
        fix = "give the interpreter itself; for pyenv, `pyenv which python` names it"
        raise BadInput(Problem(str(executable), "a script (a launcher or a shim)", expected, fix=fix))
    if not os.access(real, os.X_OK):
        raise BadInput(Problem(str(executable), "a file that cannot be executed", expected))


def _within_system(path: Path) -> bool:
    """/usr is always shown, with the links that lead into it."""
    return path.is_relative_to("/usr") or any(path.is_relative_to(top) for top in ("/bin", "/sbin", "/lib", "/lib64"))
