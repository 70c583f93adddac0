"""What a stranger left is read without following, blocking or believing it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput
from sandbox.outputs import plain_text, read_output, remove_tree, strict_json
from sandbox.trees import collect

ROOT = Path(__file__).resolve().parent.parent


def test_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "metrics.json").write_bytes(b"{}")
    assert read_output(tmp_path, "sub/metrics.json", 2) == b"{}"


def plant(out: Path, kind: str) -> None:
    place = out / "metrics.json"
    (out / "other").write_text("{}")
    match kind:
        case "missing":
            pass
        case "symbolic link":
            place.symlink_to(out / "other")
        case "dangling link":
            place.symlink_to("/nowhere")
        case "hard link":
            place.hardlink_to(out / "other")
        case "fifo":
            os.mkfifo(place)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                folder = os.open(out, os.O_RDONLY)
                listener.bind(f"/proc/self/fd/{folder}/metrics.json")
                os.close(folder)
        case "folder":
            place.mkdir()
        case "too large":
            place.write_bytes(bytes(101))


KINDS = ("missing", "symbolic link", "dangling link", "hard link", "fifo", "socket", "folder", "too large")


@pytest.mark.parametrize("kind", KINDS)
def test_anything_but_a_regular_file_of_its_own_is_refused(tmp_path: Path, kind: str) -> None:
    plant(tmp_path, kind)
    with pytest.raises(BadInput) as caught:
        read_output(tmp_path, "metrics.json", 100)
    assert "metrics.json" in caught.value.problems[0].where


def test_a_linked_folder_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("x")
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput):
        read_output(tmp_path / "out", "sub/file", 100)
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput):
        read_output(tmp_path / "link", "file", 100)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", ".", "a/../../secret", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "out" / "a").mkdir(parents=True)
    with pytest.raises(BadInput):
        read_output(tmp_path / "out", name, 100)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**200), 10**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_honest_json_comes_through_unchanged(value: object) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert strict_json(text.encode(), "m.json") == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_value_or_bad_input(data: bytes) -> None:
    complaints = []
    try:
        strict_json(data, "m.json")
    except BadInput as error:
        complaints = list(error.problems)
    assert [problem.where for problem in complaints] in ([], ["m.json"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e999", "1e999"),
        (b"-1e999", "-1e999"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "twice"),
        (b"[" * 33 + b"]" * 33, "nesting"),
        (b"[" * 100_000, "nesting"),
        (b'{"a":' * 100_000, "nesting"),
        (b"9" * 301, "digits"),
        (b"-" + b"9" * 301, "digits"),
        (b"0." + b"1" * 5000, "characters"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"", "expecting value"),
        (b"{} {}", "extra data"),
        (b"{'a': 1}", "expecting property name"),
    ],
)
def test_json_that_readers_disagree_on_is_refused(text: bytes, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        strict_json(text, "m.json")
    assert found.lower() in caught.value.problems[0].found.lower()


def test_json_at_the_bounds_is_accepted() -> None:
    assert strict_json(b"[" * 32 + b"]" * 32, "m.json")
    assert strict_json(b"9" * 300, "m.json") == int("9" * 300)
    assert strict_json(json.dumps("[" * 99 + '\\"' + "[" * 99).encode(), "m.json")
    assert strict_json(b'"\\ud83d\\ude00"', "m.json") == "\U0001f600"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
        ("\x9b31mred", "red"),
        ("\x1bcreset", "reset"),
        ("\x1b(Bplain", "plain"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("\u2066a\u2069\u200b\u200d\ufeffb\u00adc", "abc"),
        ("a\x00\x08\x7fb", "ab"),
        ("50%\r100%\r\nend", "50%\n100%\nend"),
        ("tab\tline\n", "tab\tline\n"),
        ("tag\U000e0041\U000e0001s", "tags"),
        ("äöü \U0001f600 日本", "äöü \U0001f600 日本"),
        ("\ud800lone", "lone"),
    ],
)
def test_text_that_acts_or_hides_is_made_plain(text: str, plain: str) -> None:
    assert plain_text(text, 100) == plain


@given(st.text(), st.integers(0, 50))
def test_plain_text_is_short_visible_and_stays_as_it_is(text: str, length: int) -> None:
    plain = plain_text(text, length)
    assert len(plain) <= length
    assert all(character in "\n\t" or unicodedata.category(character)[0] != "C" for character in plain)
    assert plain_text(plain, length) == plain


def test_the_manifest_holds_regular_files_only_and_stays_within_its_bounds(tmp_path: Path) -> None:
    plant(tmp_path, "fifo")
    (tmp_path / "a\nb").write_text("odd")
    (tmp_path / "link").symlink_to("/etc")
    found = collect(tmp_path, 10, 100)
    assert [file.path for file in found.files] == ["other"]
    assert len(found.ignored) == 3
    for number in range(5):
        (tmp_path / f"f{number}").write_bytes(bytes(30))
    assert [file.path for file in collect(tmp_path, 2, 1000).files] == ["f0", "f1"]
    assert sum(file.bytes for file in collect(tmp_path, 10, 100).files) <= 100


def test_a_removed_tree_is_gone_and_nothing_outside_is_touched(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    tree = tmp_path / "a tree"
    for number in range(50):
        (tree / f"d{number % 7}" / f"e{number}").mkdir(parents=True)
        (tree / f"d{number % 7}" / f"e{number}" / "file").write_text("x")
    (tree / ".gone-0").mkdir()
    (tree / ".gone-1").write_text("a name in the way")
    (tree / "link").symlink_to(outside)
    (tree / "d1" / "link").symlink_to(outside)
    os.mkfifo(tree / "d2" / "queue")
    (tree / "bytes").mkdir()
    Path(os.fsdecode(os.fsencode(tree / "bytes") + b"/\xff\xfe")).write_text("x")
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "kept").read_text() == "x"
    remove_tree(tree)


def test_a_tree_of_depth_1500_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "deep"
    dig = "import os\nfor _ in range(1500):\n    os.mkdir('d' * 20); os.chdir('d' * 20)\nopen('f', 'w').close()"
    tree.mkdir()
    subprocess.run([sys.executable, "-c", dig], cwd=tree, check=True)
    remove_tree(tree)
    assert not tree.exists()


CLOSED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sandbox.outputs import remove_tree
tree = Path(sys.argv[2])
(tree / "a" / "b").mkdir(parents=True)
(tree / "a" / "b" / "f").write_text("x")
for place in (tree / "a" / "b" / "f", tree / "a" / "b", tree / "a", tree):
    place.chmod(0)
remove_tree(tree)
raise SystemExit(tree.exists())
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that an ordinary user can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_tree_closed_to_its_owner_is_removed(open_folder: Path) -> None:
    tree = open_folder / "tree"
    command = [sys.executable]
    root = ROOT
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3"]
        root = open_folder / "program"
        for name in ("sandbox", "registry"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        os.chown(open_folder, 65534, 65534)
    done = subprocess.run([*command, "-c", CLOSED, root, tree], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_root_removes_what_another_user_owns(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "f").write_text("x")
    for place in (tree / "a" / "f", tree / "a", tree):
        os.chown(place, 1_900_000_007, 1_900_000_007)
        place.chmod(0)
    remove_tree(tree)
    assert not tree.exists()


def test_removing_a_link_or_a_file_as_a_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("x")
    for name in ("link", "file"):
        with pytest.raises(BadInput):
            remove_tree(tmp_path / name)
    assert stat.S_ISDIR((tmp_path / "real").stat().st_mode)
