"""What a patch may touch: protected wins, names that run unasked are refused, and what is accepted parses."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput, Problem
from tools.globs import covers, matches
from tools.patches import Boundary, Edit, check_edit, check_edits, imported_modules

EXISTING = frozenset({"train.py", "evaluate.py", "configs/production.yaml", "data/dev/labels", "src/pkg/layers.py"})


def parse_yaml(text: str) -> object:
    if "[" in text:
        raise ValueError("flow sequence is not closed")
    return text


BOUNDARY = Boundary(
    editable=("*.py", "src/**", "configs/**", "notes/**", "**/*.lock", "requirements.txt"),
    protected=("evaluate.py", "data/**", "src/secret"),
    existing_paths=EXISTING,
    modules_used=frozenset({"numpy", "torch", "layers"}),
    parse_yaml=parse_yaml,
    builds=("requirements.txt",),
)


def refusals(path: str, new: bytes | None = b"x = 1\n", old: bytes | None = None) -> str:
    return "\n".join(map(str, check_edit(Edit(path, old, new), BOUNDARY)))


@pytest.mark.parametrize(
    "path", ["train.py", "src/a/b/c.txt", "configs/new.yaml", "src/pkg/blocks.py", "requirements.txt", "notes/a b.md"]
)
def test_ordinary_edits_pass(path: str) -> None:
    assert refusals(path) == ""


@pytest.mark.parametrize("path", ["requirements.txt", "pyproject.toml", "sub/uv.lock", "setup.py", "pins.in"])
def test_what_decides_which_packages_are_there_is_edited_only_where_something_is_built_from_it(path: str) -> None:
    named = dataclasses.replace(BOUNDARY, editable=("train.py", path), builds=(), locks=("pins.in",))
    (problem,) = check_edit(Edit(path, None, b""), named)
    assert "environment.build.files" in problem.expected
    assert check_edit(Edit(path, None, b""), dataclasses.replace(named, builds=("requirements/**", path))) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("evaluate.py", "protected"),
        ("data/new.csv", "protected"),
        ("src/secret/x.py", "protected"),
        ("Evaluate.py", "protected"),
        ("src/SECRET", "protected"),
        ("other/file.txt", "not editable"),
        ("../train.py", "part"),
        ("src/../../x.py", "part"),
        ("src//x.py", "part"),
        ("./train.py", "part"),
        ("/etc/passwd", "absolute"),
        ("~/x.py", "absolute"),
        ("C:/x.py", "absolute"),
        ("src\\x.py", "backslash"),
        ("src/x\n.py", "invisible"),
        ("src/.g\u200cit/config", "invisible"),
        ("src/\u202egpj.py", "invisible"),
        ("src/a /x.py", "space"),
        ("src/x.py.", "dot"),
        ("", "empty"),
        ("src/" + "a" * 300, "too long"),
        ("src/.git/config", "git gives"),
        ("src/.gitattributes", "git gives"),
        ("src/.GitModules", "git gives"),
        ("src/git~1/x", "git gives"),
        ("Train.py", "spelling"),
        ("SRC/pkg/x.py", "not editable"),
        ("src/PKG/x.py", "spelling"),
        ("src/pkg/layers.py/x", "under the file"),
        ("src/pkg", "folder"),
        ("sitecustomize.py", "imports unasked"),
        ("src/usercustomize.py", "imports unasked"),
        ("src/x.pth", "imports unasked"),
        ("src/conftest.py", "imports unasked"),
        ("src/a.dist-info/RECORD", "imports unasked"),
        ("src/fast.so", "compiled"),
        ("src/requirements-dev.txt", "dependency"),
        ("src/uv.lock", "dependency"),
        ("setup.py", "dependency"),
        ("src/Makefile", "dependency"),
        ("src/Dockerfile.gpu", "dependency"),
        ("src/.cargo/config.toml", "build file"),
        ("src/.Cargo/config", "build file"),
        ("src/rust-toolchain.toml", "build file"),
        ("src/CMakeLists.txt", "build file"),
        ("src/flags.cmake", "build file"),
        ("src/configure", "build file"),
        ("src/BUILD.bazel", "build file"),
        ("src/build.gradle.kts", "build file"),
        ("src/SConstruct", "build file"),
        ("src/build.ninja", "build file"),
        ("src/go.work", "build file"),
        ("json.py", "hides Python's own"),
        ("src/random/__init__.py", "hides Python's own"),
        ("numpy.py", "hides the module numpy"),
        ("src/torch/__init__.py", "hides the module torch"),
        ("layers.py", "hides the module layers"),
    ],
)
def test_paths_outside_the_boundary_are_refused_with_the_reason(path: str, reason: str) -> None:
    assert reason in refusals(path)


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("train.py", b"def f(:\n", "syntax error"),
        ("train.py", b"x = 1\0\n", "NUL"),
        ("train.py", b"\xff\xfe", "UTF-8"),
        ("train.py", b"(" * 100_000, "parses"),
        ("src/a.txt", b"x" * ((1 << 20) + 1), "at most"),
        ("src/a.json", b'{"a": 1,}', "parses"),
        ("src/a.json", b'{"a": 1, "a": 2}', "twice"),
        ("src/a.json", b"[" * 100_000, "parses"),
        ("src/a.toml", b"a = \n", "parses"),
        ("configs/a.yaml", b"a: [1\n", "not closed"),
        ("configs/a.YML", b"a: [1\n", "not closed"),
    ],
)
def test_content_that_does_not_parse_is_refused(path: str, content: bytes, reason: str) -> None:
    assert reason in refusals(path, content)


def test_a_syntax_error_names_its_line() -> None:
    (problem,) = check_edit(Edit("train.py", b"", b"a = 1\nb = = 2\n"), BOUNDARY)
    assert (problem.where, problem.line) == ("train.py", 2)


def test_a_document_that_does_not_parse_is_named_by_its_path() -> None:
    def parse(_: str) -> object:
        raise BadInput(Problem("configuration", "the end of the file", "a value", line=2))

    strict = dataclasses.replace(BOUNDARY, parse_yaml=parse)
    (problem,) = check_edit(Edit("configs/new.yaml", None, b"a: ["), strict)
    assert (problem.where, problem.line) == ("configs/new.yaml", 2)


def test_yaml_without_a_parser_is_refused_and_not_waved_through() -> None:
    without = dataclasses.replace(BOUNDARY, parse_yaml=None)
    assert "no YAML parser" in str(check_edit(Edit("configs/production.yaml", b"a: 1", b"a: 2"), without)[0])


@pytest.mark.parametrize("mode", ["120000", "160000", "100755", "040000"])
def test_links_submodules_and_mode_bits_are_refused(mode: str) -> None:
    assert check_edit(Edit("train.py", b"a = 1\n", b"a = 2\n", new_mode=mode), BOUNDARY)
    assert check_edit(Edit("src/new", None, b"a", new_mode=mode), BOUNDARY)


def test_an_executable_file_may_be_edited_when_its_mode_stays() -> None:
    assert check_edit(Edit("train.py", b"a = 1\n", b"a = 2\n", "100755", "100755"), BOUNDARY) == []


def test_a_file_may_be_deleted_where_it_may_be_edited() -> None:
    assert refusals("train.py", None, b"x = 1\n") == ""
    assert "protected" in refusals("evaluate.py", None, b"x = 1\n")
    assert "neither" in refusals("src/never.txt", None, None)


def test_new_files_of_one_patch_may_not_collide_with_each_other() -> None:
    pair = [Edit("src/Deep.txt", None, b"1"), Edit("src/deep.txt", None, b"2")]
    assert "spelling" in str(check_edits(pair, BOUNDARY)[0])
    assert "two edits" in str(check_edits([pair[0], pair[0]], BOUNDARY)[0])
    assert check_edits([pair[0], Edit("src/other.txt", None, b"2")], BOUNDARY) == []


def test_imports_are_found_in_any_form_and_broken_sources_import_nothing() -> None:
    sources = [
        "import numpy.linalg as la, os",
        "def f():\n    from torch.nn import functional",
        "from . import own",
        "a b",
    ]
    assert imported_modules(sources) == {"numpy", "os", "torch"}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.py", "a.py", True),
        ("*.py", "src/a.py", False),
        ("**/*.py", "a.py", True),
        ("**/*.py", "a/b/c.py", True),
        ("src/**", "src/a/b", True),
        ("src/**", "src", False),
        ("src/**", "srcs/a", False),
        ("src/", "src/a", True),
        ("src/**/x.py", "src/x.py", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.py", "aXpy", False),
        ("a***b", "aXb", True),
        ("**", "any/thing", True),
        (".", "any/thing", True),
        ("./a", "a", True),
        ("[a].py", "a.py", False),
    ],
)
def test_globs_stay_within_a_folder_unless_doubled(pattern: str, path: str, expected: bool) -> None:
    assert matches(path, [pattern]) is expected


PARTS = st.text(alphabet="abAB._*?é", min_size=1, max_size=4).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
RAW = st.one_of(PATHS, st.text(max_size=30), PATHS.map(lambda path: "src/" + path))


@given(path=RAW, editable=st.lists(PATHS, max_size=3), protected=st.lists(PATHS, max_size=3))
def test_whatever_passes_is_editable_unprotected_and_inside(
    path: str, editable: list[str], protected: list[str]
) -> None:
    boundary = Boundary((*editable, "src/**"), tuple(protected), EXISTING)
    if check_edit(Edit(path, None, b"text"), boundary):
        return
    assert matches(path, boundary.editable)
    assert not covers(path, protected)
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert ".git" not in path.casefold().split("/")


@given(path=PATHS, below=PATHS, data=st.data())
def test_what_is_protected_stays_so_below_it_and_in_any_capitals(path: str, below: str, data: st.DataObject) -> None:
    literal = path.replace("*", "x").replace("?", "x")
    swapped = "".join(data.draw(st.sampled_from([c, c.upper(), c.lower()])) for c in literal)
    assert covers(f"{swapped}/{below}", [literal])
    boundary = Boundary(("**",), (literal,), frozenset())
    assert check_edit(Edit(f"{swapped}/{below}", None, b""), boundary)


@given(path=st.lists(st.sampled_from(["a", "b", "cc"]), min_size=1, max_size=5).map("/".join), cut=st.integers(0, 4))
def test_two_stars_bridge_any_number_of_folders_and_one_star_none(path: str, cut: int) -> None:
    parts = path.split("/")
    assert matches(path, ["/".join([*parts[:cut], "**"])]) is (cut < len(parts))
    assert matches(path, ["*"]) is (len(parts) == 1)
