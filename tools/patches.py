"""The boundary of what a patch may do to the solution: paths and hashes, whoever wrote the patch.

Called by the researchers before they commit (`tools.branches.create_candidate`) and by anything that takes a patch
from a stranger. Pure: contents and paths in, problems out; it reads no file and runs nothing. It does not say
whether a change is good, and it is one of two walls: `train` and `predict` also never get the protected paths.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from registry.dependency_files import DEPENDENCY_FILES
from registry.errors import BadInput, Problem
from tools.globs import covers, fold, is_literal, matches

REGULAR_MODES = frozenset({"100644", "100755"})
MAX_FILE_BYTES = 1 << 20
MAX_PATH_LENGTH = 240
IMPORT_HOOKS = ("sitecustomize.py", "usercustomize.py", "conftest.py", "*.pth", "*.egg-link", "pyvenv.cfg")
"""Files that Python or pytest runs or obeys without anybody naming them."""
COMPILED = (
    *("*.pyc", "*.pyo", "*.pyd", "*.so", "*.so.*", "*.dylib", "*.dll", "*.o", "*.obj", "*.a", "*.lib", "*.exe"),
    *("*.rlib", "*.rmeta", "*.class", "*.jar", "*.wasm", "*.whl", "*.egg"),
)
BUILD_FILES = (
    *DEPENDENCY_FILES,
    *("tox.ini", "noxfile.py", "pytest.ini", "makefile", "makefile.*", "gnumakefile", "*.mk", "*.mak"),
    *("dockerfile*", "containerfile*", "*.dockerfile", ".dockerignore"),
    *("cmakelists.txt", "*.cmake", "cmakepresets.json", "meson.build", "meson_options.txt", "meson.options"),
    *("build.rs", "rust-toolchain", "rust-toolchain.toml", "build.ninja", "*.ninja", "sconstruct", "sconscript"),
    *("configure", "configure.ac", "configure.in", "makefile.am", "wscript", "conanfile.*", "vcpkg.json"),
    *("build", "build.bazel", "workspace.bazel", "module.bazel", ".bazelrc", "*.bzl"),
    *("build.gradle*", "settings.gradle*", "gradle.properties", "pom.xml", "build.xml", "build.sbt"),
    *("go.work", "go.work.sum", "build.zig", "build.zig.zon", "tsconfig.json", "package.swift"),
    *("justfile", ".justfile", "taskfile.yml", "taskfile.yaml", ".pre-commit-config.yaml"),
)
"""What decides which code is installed or built; a patch may touch one only where `editable` names it literally."""
BUILD_FOLDERS = frozenset({".cargo", ".mvn", ".cmake"})
"""Folders whose files a build obeys unasked, such as `.cargo/config.toml` with its compiler wrapper."""

Parser = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Boundary:
    """What the target allows: globs, every path there is, and the modules that the solution imports today."""

    editable: tuple[str, ...]
    protected: tuple[str, ...]
    existing_paths: frozenset[str]
    modules_used: frozenset[str] = frozenset()
    importable: frozenset[str] = frozenset()
    """Top-level modules that are installed where the solution runs, used or not."""
    builds: tuple[str, ...] = ()
    """Globs of the files that an environment is built from (`environment.build.files`)."""
    locks: tuple[str, ...] = ()
    """Lock files by any other name (`environment.lock`)."""
    parse_yaml: Parser | None = None
    """Parses a YAML document or raises ValueError or BadInput; without one, YAML cannot be edited."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One file before and after; None where it does not exist. Modes are git's."""

    path: str
    old: bytes | None
    new: bytes | None
    old_mode: str = "100644"
    new_mode: str = "100644"


@dataclass(frozen=True, slots=True)
class FileChange:
    """Lines that one file gained and lost; None for both in a binary file."""

    path: str
    added: int | None
    removed: int | None


def check_edits(edits: Iterable[Edit], boundary: Boundary) -> list[Problem]:
    """Every problem of a patch: of each edit alone, and of new files that collide with each other."""
    problems = []
    edits = list(edits)
    paths = set(boundary.existing_paths)
    seen: set[str] = set()
    # Deletions first: a module that becomes a package of its name is no other's shadow.
    for edit in sorted(edits, key=lambda each: each.new is not None):
        if edit.path in seen:
            problems.append(_problem(edit.path, "two edits of one file", "one"))
        seen.add(edit.path)
        within = replace(boundary, existing_paths=frozenset(paths))
        problems += check_edit(edit, within)
        (paths.discard if edit.new is None else paths.add)(edit.path)
    return problems


def check_edit(edit: Edit, boundary: Boundary) -> list[Problem]:
    """Every reason why this edit is refused; an empty list lets it through."""
    if found := _malformed(edit.path):
        return [_problem(edit.path, found, "a plain path inside the repository")]
    problems = [
        *_outside(edit.path, boundary),
        *_special(edit.path, boundary),
        *_collisions(edit.path, boundary.existing_paths),
        *_modes(edit),
    ]
    if edit.path not in boundary.existing_paths:
        problems += _shadows(edit.path, boundary)
    if edit.new is not None:
        problems += check_content(edit.path, edit.new, boundary.parse_yaml)
    elif edit.old is None:
        problems.append(_problem(edit.path, "neither a file before nor one after", "a change"))
    return problems


def check_content(path: str, content: bytes, parse_yaml: Parser | None) -> list[Problem]:
    """Text of bounded length that parses, where its name says what it is."""
    if len(content) > MAX_FILE_BYTES:
        return [_problem(path, f"{len(content)} bytes", f"at most {MAX_FILE_BYTES}")]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return [_problem(path, f"bytes that are no UTF-8 text (at byte {error.start})", "a text file")]
    if "\0" in text:
        return [_problem(path, "a NUL character", "a text file")]
    suffix = path.rsplit("/", 1)[-1].lower().rpartition(".")[2]
    parser = _parser(suffix, parse_yaml)
    if parser is None:
        return []
    try:
        parser(text)
    except BadInput as error:
        return [replace(problem, where=path) for problem in error.problems]
    except SyntaxError as error:
        return [_problem(path, f"a syntax error: {error.msg}", f"{suffix} that parses", line=error.lineno)]
    except (ValueError, RecursionError, MemoryError) as error:
        return [_problem(path, f"{type(error).__name__}: {error}"[:300], f"{suffix} that parses")]
    return []


def imported_modules(sources: Iterable[str]) -> frozenset[str]:
    """Top-level names that Python sources import; a source that does not parse imports nothing."""
    found = set()
    for source in sources:
        try:
            tree = _parse_python(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return frozenset(found)


def _malformed(path: str) -> str:
    parts = path.split("/")
    if not path or len(path.encode(errors="replace")) > MAX_PATH_LENGTH:
        return "a path that is empty or too long"
    if path.startswith(("/", "~")) or (len(path) > 1 and path[1] == ":"):
        return "an absolute path"
    if "\\" in path or any(unicodedata.category(character)[0] in "CZ" and character != " " for character in path):
        return "a path with a backslash or an invisible character"
    if any(part in ("", ".", "..") for part in parts):
        return "a path with an empty part, . or .."
    if any(part != part.strip(" ") or part.endswith(".") for part in parts):
        return "a path part that begins or ends with a space or ends with a dot"
    return ""


def _outside(path: str, boundary: Boundary) -> list[Problem]:
    if covers(path, boundary.protected):
        return [_problem(path, "a protected path", "one that solution.protected does not cover")]
    if not matches(path, boundary.editable):
        return [_problem(path, "a path that is not editable", f"one of {', '.join(boundary.editable) or 'none'}")]
    return []


def _special(path: str, boundary: Boundary) -> list[Problem]:
    parts = fold(path).split("/")
    name = parts[-1]
    if any(part.startswith((".git", "git~")) for part in parts):
        return [_problem(path, "a name that git gives a meaning", "an ordinary file")]
    if matches(name, IMPORT_HOOKS) or any(part.endswith((".dist-info", ".egg-info")) for part in parts):
        return [_problem(path, "a file that runs or steers imports unasked", "an ordinary file")]
    if matches(name, COMPILED):
        return [_problem(path, "a compiled file", "its source")]
    builds = matches(name, BUILD_FILES) or not BUILD_FOLDERS.isdisjoint(parts[:-1])
    if builds and not _named(path, boundary.editable):
        return [_problem(path, "a dependency or build file", "one that solution.editable names without a wildcard")]
    if (matches(name, DEPENDENCY_FILES) or path in boundary.locks) and not covers(path, boundary.builds):
        expected = "one that environment.build.files has: without a build the change would be tried in the old packages"
        return [_problem(path, "a dependency file that nothing is built from", expected)]
    return []


def _named(path: str, editable: Collection[str]) -> bool:
    return any(is_literal(pattern) and pattern == path for pattern in editable)


def _collisions(path: str, existing: Collection[str]) -> list[Problem]:
    """Other spellings of the path or of a folder above it, and files where it needs folders."""
    if path in existing:
        return []
    spelled = {fold(prefix): prefix for other in existing for prefix in _prefixes(other)}
    for prefix in _prefixes(path):
        known = spelled.get(fold(prefix), prefix)
        if known != prefix:
            return [_problem(path, f"a path that differs from {known} only in its spelling", "another name")]
        if prefix != path and prefix in existing:
            return [_problem(path, f"a path under the file {prefix}", "a path under a folder")]
    if fold(path) in spelled:
        return [_problem(path, "a file where there is a folder", "another name")]
    return []


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _modes(edit: Edit) -> list[Problem]:
    kept = {mode for mode, side in ((edit.old_mode, edit.old), (edit.new_mode, edit.new)) if side is not None}
    if not kept <= REGULAR_MODES:
        return [_problem(edit.path, f"mode {', '.join(sorted(kept))}", "regular files: no links, no submodules")]
    if len(kept) > 1 or (edit.old is None and kept == {"100755"}):
        return [_problem(edit.path, "a change of mode bits", "the mode the file has (0644 for a new one)")]
    return []


def _shadows(path: str, boundary: Boundary) -> list[Problem]:
    """A new file that would be imported in place of a module of Python or of an installed package."""
    parts = path.split("/")
    if not parts[-1].endswith(".py"):
        return []
    package = len(parts) > 1 and parts[-1] == "__init__.py"
    module = parts[-2] if package else parts[-1].removesuffix(".py")
    if module in sys.stdlib_module_names:
        return [_problem(path, f"a new file that hides Python's own module {module}", "another name")]
    folder = "/".join(parts[: -2 if package else -1])
    here = f"{folder}/{module}" if folder else module
    rival = f"{here}.py" if package else f"{here}/__init__.py"
    if rival in boundary.existing_paths:
        return [_problem(path, f"a new file beside {rival}, of which only one is imported", "another name")]
    inside = f"{folder}/__init__.py" in boundary.existing_paths  # there it is imported as a part of its package
    if module in boundary.importable and not inside and not _is_there(module, folder, boundary.existing_paths):
        return [_problem(path, f"a new file that hides the installed module {module}", "another name")]
    if module in boundary.modules_used and not _is_there(module, folder, boundary.existing_paths):
        return [_problem(path, f"a new file that hides the module {module}, which is imported", "another name")]
    return []


def _is_there(module: str, folder: str, existing: Collection[str]) -> bool:
    """Whether the folder already answers that import, so that the new file takes nobody's place."""
    here = f"{folder}/{module}" if folder else module
    return any(path == f"{here}.py" or (path.startswith(f"{here}/") and path.endswith(".py")) for path in existing)


def _parser(suffix: str, parse_yaml: Parser | None) -> Parser | None:
    if suffix in ("yaml", "yml"):
        return parse_yaml or _no_yaml
    parsers: Mapping[str, Parser] = {"py": _parse_python, "json": _parse_json, "toml": tomllib.loads}
    return parsers.get(suffix)


def _no_yaml(_: str) -> object:
    raise ValueError("no YAML parser was given, so this file cannot be checked")


def _parse_python(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _parse_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return dict(pairs)


def _problem(path: str, found: str, expected: str, line: int | None = None) -> Problem:
    shown = "".join(character if character.isprintable() else "�" for character in path)[:MAX_PATH_LENGTH]
    return Problem(where=shown or "patch", found=found, expected=expected, line=line)
