"""Search/replace blocks and unified diffs: applied exactly, or refused with a reason that helps to write them again."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import BadInput
from tools.diff_parsing import parse_diff
from tools.search_replace import DELETE, MIDDLE, REPLACE, SEARCH, Block, Read, apply_blocks, parse_blocks
from tools.unified_diff import apply_diffs, unified

FILE = b"import os\n\n\ndef f(x):\n    y = x + 1\n    return y\n\n\ndef g(x):\n    y = x + 1\n    return -y\n"
LINES = st.lists(
    st.sampled_from(["a", "b", "", " a", "--- a", "+++ b", "@@ -1 +1 @@", "\f", "é\u2028", "=======", "a\r"]),
    max_size=9,
)
TEXTS = st.builds(
    lambda lines, ends, last: "".join(line + end for line, end in zip(lines, ends, strict=False)) + last,
    LINES,
    st.lists(st.sampled_from(["\n", "\r\n"]), min_size=9, max_size=9),
    st.sampled_from(["", "tail", "\r"]),
).map(str.encode)
UNIFORM = st.builds(
    lambda lines, end, final: end.join(lines) + (end if final and lines else ""),
    LINES.map(lambda lines: [line.replace("\r", "") for line in lines]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
).map(str.encode)


def holding(**files: bytes) -> Read:
    known = {name.replace("_py", ".py"): content for name, content in files.items()}
    return known.get


def block(path: str, search: str, replace: str) -> str:
    return f"{path}\n{SEARCH}\n{search}{MIDDLE}\n{replace}{REPLACE}\n"


def refused(text: str, read: Read) -> str:
    with pytest.raises(BadInput) as caught:
        apply_diffs(parse_diff(text), read) if text.startswith(("---", "diff", "@@")) else apply_blocks(
            parse_blocks(text), read
        )
    return str(caught.value)


# -- blocks -------------------------------------------------------------------------------------------------


def test_a_block_changes_the_lines_it_names_and_no_other_byte() -> None:
    text = "Here it is:\n\n```python\n" + block("a.py", "    y = x + 1\n    return y\n", "    return x + 2\n") + "```\n"
    assert apply_blocks(parse_blocks(text), holding(a_py=FILE)) == {
        "a.py": FILE.replace(b"    y = x + 1\n    return y\n", b"    return x + 2\n", 1)
    }


def test_later_blocks_see_what_earlier_ones_left_and_several_files_go_together() -> None:
    text = block("a.py", "import os\n", "import os, re\n") + block("a.py", "import os, re\n", "import re\n")
    text += block("new/b.py", "", "x = 1\n") + f"c.txt\n{DELETE}\n"
    edits = apply_blocks(parse_blocks(text), holding(a_py=FILE, **{"c.txt": b"old\n"}))
    assert edits == {"a.py": FILE.replace(b"import os\n", b"import re\n"), "new/b.py": b"x = 1\n", "c.txt": None}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (block("a.py", "    y = x + 1\n", "    y = 2\n"), "the same line in several places (lines 5, 10)"),
        (block("a.py", "def f(x):\n    y = x + 3\n", ""), "a.py:5: found no place for the block"),
        (block("a.py", "def f(x):\n    y = x + 3\n", ""), "the file has '    y = x + 1' for '    y = x + 3'"),
        (block("a.py", "    y  = x + 1\n    return y\n", ""), "'    y = x + 1' for '    y  = x + 1'"),
        (block("a.py", "def g( x ):\n", ""), "the nearest to 'def g( x ):' is 'def g(x):'"),
        (block("a.py", "zebra crossing\n", ""), "no line of the file resembles"),
        (block("a.py", "\timport os\n", ""), "'\\timport os'"),
        (block("a.py", "", "x\n"), "a new file where there is one"),
        (block("b.py", "x\n", "y\n"), "does not exist"),
        (block("b.py", "", ""), "an empty block"),
        (f"b.py\n{DELETE}\n", "no file to delete"),
        (f"{SEARCH}\nx\n{MIDDLE}\n{REPLACE}\n", "without a path"),
        (f"a.py\n{SEARCH}\nx\n{MIDDLE}\ny\n", "without >>>>>>> REPLACE"),
        (f"a.py\n{SEARCH}\nx\n{REPLACE}\n", "0 lines ======="),
        (f"a.py\n{SEARCH}\nx\n{MIDDLE}\ny\n{MIDDLE}\n{REPLACE}\n", "2 lines ======="),
        (f"a.py\n{SEARCH}\nx\n{SEARCH}\n{MIDDLE}\n{REPLACE}\n", "without >>>>>>> REPLACE"),
        (f"{MIDDLE}\n", "outside of a block"),
        ("no block at all", "no block"),
        ("x" * 400_001, "at most"),
        ("".join(block("a.py", "x\n", "y\n") for _ in range(61)), "61 blocks"),
        ("".join(block(f"{n}.py", "", "y\n") for n in range(21)), "21 files"),
    ],
)
def test_a_block_that_does_not_fit_is_refused_with_what_helps(text: str, reason: str) -> None:
    assert reason in refused(text, holding(a_py=FILE))


def test_every_block_that_does_not_fit_is_named_at_once_and_in_plain_characters() -> None:
    text = block("a.py", "one\u202e\x1b[31m\n", "") + block("a.py", "x" * 5000 + "\n", "")
    with pytest.raises(BadInput) as caught:
        apply_blocks(parse_blocks(text), holding(a_py=FILE))
    assert len(caught.value.problems) == 2
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert all(len(str(problem)) < 500 for problem in caught.value.problems)


@pytest.mark.parametrize("line", ["a b.py", "### a b.py", "# `a b.py`", "`a b.py`:", "**a b.py**", "  a b.py  "])
def test_a_path_may_be_set_off_as_markdown_does(line: str) -> None:
    text = block("PATH", "    return -y\n", "    return y\n").replace("PATH", line)
    assert list(apply_blocks(parse_blocks(text), {"a b.py": FILE}.get)) == ["a b.py"]


@pytest.mark.parametrize(
    ("there", "meant", "reason"),
    [
        ("        return x", "    return x", "has '        return x' for '    return x'"),
        ("x = 1   ", "x = 1", "has 'x = 1   ' for 'x = 1'"),
        ("\tx = 1", "    x = 1", r"has '\tx = 1' for '    x = 1'"),
        ("a" * 300 + "1", "a" * 300 + "2", f"has '...{'a' * 40}1' for '...{'a' * 40}2'"),
        ("x\u200b = 1", "x = 1", r"has 'x\u200b = 1' for 'x = 1'"),
    ],
)
def test_a_reason_shows_the_two_lines_where_they_differ(there: str, meant: str, reason: str) -> None:
    assert reason in refused(block("a.py", f"first\n{meant}\n", "y\n"), holding(a_py=f"first\n{there}\n".encode()))


def test_a_line_of_the_patch_is_named_as_one_and_a_line_of_the_file_as_one() -> None:
    diff = HEAD + "@@ -4,9 +4,9 @@\n def f(x):\n-    y = x + 1\n+    y = 0\n"
    assert refused(diff, holding(a_py=FILE)).startswith("patch:7: a.py: found a hunk that says 9,9")
    assert refused(f"a.py\n{SEARCH}\nx\n", holding(a_py=FILE)).startswith("patch:2: a.py: found a block without")
    assert refused(block("a.py", "def f(x):\n    z\n", ""), holding(a_py=FILE)).startswith("a.py:5: found no place")


def test_blocks_keep_the_line_ends_of_the_file_and_a_last_line_without_one() -> None:
    windows = b"one\r\ntwo\r\nthree"
    assert apply_blocks([Block("a.py", ("two",), ("2", "2.5"))], holding(a_py=windows)) == {
        "a.py": b"one\r\n2\r\n2.5\r\nthree"
    }
    assert apply_blocks([Block("a.py", ("three",), ("3", "4"))], holding(a_py=windows)) == {
        "a.py": b"one\r\ntwo\r\n3\r\n4"
    }


@given(lines=st.lists(st.sampled_from("abc"), max_size=12), data=st.data(), end=st.sampled_from(["\n", "\r\n"]))
def test_a_block_applies_exactly_where_its_lines_stand_once(lines: list[str], data: st.DataObject, end: str) -> None:
    search = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
    replace = data.draw(st.lists(st.sampled_from("xyz"), max_size=3))
    content = "".join(line + end for line in lines)
    found = [at for at in range(len(lines)) if lines[at : at + len(search)] == search]
    made = [Block("a.py", tuple(search), tuple(replace))]
    if len(found) == 1:
        expected = [*lines[: found[0]], *replace, *lines[found[0] + len(search) :]]
        assert apply_blocks(made, lambda _: content.encode()) == {
            "a.py": "".join(line + end for line in expected).encode()
        }
    else:
        with pytest.raises(BadInput, match="several places" if found else "no place"):
            apply_blocks(made, lambda _: content.encode())


@given(st.text(max_size=300))
def test_any_text_is_applied_or_refused_and_never_breaks_the_parsers(text: str) -> None:
    for begun in (text, f"a.py\n{SEARCH}\n{text}\n{MIDDLE}\n{REPLACE}", f"--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n{text}"):
        for parse, apply in ((parse_blocks, apply_blocks), (parse_diff, apply_diffs)):
            with suppress(BadInput):
                apply(parse(begun), holding(a_py=FILE))  # type: ignore[operator]


# -- diffs --------------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(before=st.one_of(TEXTS, UNIFORM, st.none()), after=st.one_of(TEXTS, UNIFORM, st.none()))
def test_a_diff_applied_to_what_it_was_made_from_gives_what_it_was_made_for(
    before: bytes | None, after: bytes | None
) -> None:
    text = unified({"d/a.py": before}, {"d/a.py": after})
    if before == after:
        assert text == ""
        return
    assert apply_diffs(parse_diff(text), {"d/a.py": before}.get if before is not None else lambda _: None) == {
        "d/a.py": after
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FILE, FILE.replace(b"x + 1", b"x + 2")),
        (b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\n"),
        (b"a\nb", b"a\nb\n"),
        (b"a\nb\n", b"a\nb"),
        (b"a\nb", b"a\nc"),
        (b"", b"a\n"),
        (b"a\n", b""),
        (b"a\n" * 40, b"a\n" * 20 + b"b\n" + b"a\n" * 20),
    ],
)
def test_what_git_writes_is_taken_and_what_is_written_here_git_takes(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    for side, content in (("a", before), ("b", after)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "x.py").write_bytes(content)
    git = ["git", "-c", "core.autocrlf=false", "diff", "--no-index", "--no-prefix", "a/x.py", "b/x.py"]
    made = subprocess.run(git, cwd=tmp_path, capture_output=True)
    assert apply_diffs(parse_diff(made.stdout.decode()), {"x.py": before}.get) == {"x.py": after}
    ours = unified({"x.py": before}, {"x.py": after}).encode()
    apply = ["git", "apply", "--unsafe-paths", "-p1", "--directory", str(tmp_path / "a")]
    subprocess.run(apply, cwd="/", input=ours, check=True)
    assert (tmp_path / "a" / "x.py").read_bytes() == after


HEAD = "--- a/a.py\n+++ b/a.py\n"


def test_a_hunk_is_applied_where_it_says_and_elsewhere_only_where_it_stands_once() -> None:
    said = HEAD + "@@ -10 +10 @@\n-    y = x + 1\n+    y = 0\n"
    assert (
        apply_diffs(parse_diff(said), holding(a_py=FILE))["a.py"]
        == FILE[::-1].replace(b"    y = x + 1"[::-1], b"    y = 0"[::-1], 1)[::-1]
    )
    moved = HEAD + "@@ -77,2 +77,2 @@\n def f(x):\n-    y = x + 1\n+    y = 0\n"
    assert apply_diffs(parse_diff(moved), holding(a_py=FILE))["a.py"] == FILE.replace(b"    y = x + 1", b"    y = 0", 1)
    bare = "```diff\n" + HEAD + "@@ def f @@\n def f(x):\n-    y = x + 1\n+    y = 0\n\n```\n"
    assert apply_diffs(parse_diff(bare), holding(a_py=FILE)) == apply_diffs(parse_diff(moved), holding(a_py=FILE))


def test_a_diff_written_with_newlines_fits_a_file_of_windows() -> None:
    content = FILE.replace(b"\n", b"\r\n")
    said = HEAD + "@@ -4,2 +4,2 @@\n def f(x):\n-    y = x + 1\n+    y = 0\n"
    expected = content.replace(b"    y = x + 1", b"    y = 0", 1)
    assert apply_diffs(parse_diff(said), holding(a_py=content)) == {"a.py": expected}


GIT = "diff --git a/a.py b/a.py\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD + "@@ -9,1 +9,1 @@\n-    y = x + 1\n+    y = 0\n", "several places (lines 5, 10)"),
        (HEAD + "@@ -4,2 +4,1 @@\n def f(x):\n-    y = x + 4\n", "the file has '    y = x + 1'"),
        (HEAD + "@@ -4,3 +4,1 @@\n def f(x):\n-    y = x + 1\n", "says 3,1 lines and has 2,1"),
        (HEAD + "@@ -4,1 +4,1 @@\n def f(x):\n-    y = x + 1\n+    y = 0\n", "says 1,1 lines and has 2,1"),
        (HEAD + "@@ -3,0 +4,1 @@\n+x\n", "without a line of the file"),
        (HEAD + "@@ -1 +1 @@\n*x\n", "begins with '*'"),
        ("@@ -1 +1 @@\n-a\n+b\n", "--- and +++ first"),
        ("--- a/a.py\n+++ b/b.py\n@@ -1 +1 @@\n-a\n+b\n", "a rename"),
        ("--- /dev/null\n+++ b/a.py\n@@ -0,0 +1 @@\n+b\n", "a new file where there is one"),
        ("--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-a\n+b\n", "does not exist"),
        ("--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import os\n", "leaves 10 lines"),
        (GIT + "old mode 100644\nnew mode 100755\n", "a change of mode bits"),
        (GIT + "new file mode 120000\nindex 0000000..1234567\n" + HEAD, "a symlink"),
        (GIT + "new file mode 160000\n", "a submodule"),
        (GIT + "new file mode 100755\n", "a change of mode bits"),
        (GIT + "index 1234567..89abcde 160000\n" + HEAD, "a submodule"),
        (GIT + "index 1234567..89abcde 120000\n" + HEAD, "a symlink"),
        (GIT + "similarity index 90%\nrename from a.py\nrename to b.py\n", "a rename"),
        (GIT + "copy from a.py\ncopy to b.py\n", "a copy"),
        (GIT + "index 1234567..89abcde 100644\nGIT binary patch\nliteral 3\n", "a binary patch"),
        (GIT + "Binary files a/a.py and b/a.py differ\n", "a binary file"),
        ('--- "a/\\303.py"\n+++ "b/\\303.py"\n@@ -1 +1 @@\n-a\n+b\n', "a path in quotes"),
        (HEAD + "@@ -1 +1 @@\n-import os\n+import re\n" + HEAD + "@@ -1 +1 @@\n-import os\n+b\n", "twice"),
        ("--- nothing\n", "no file"),
        ("diff" + "x" * 400_000, "at most"),
    ],
)
def test_a_diff_that_does_not_fit_or_says_more_than_text_is_refused_by_name(text: str, reason: str) -> None:
    assert reason in refused(text, holding(a_py=FILE))
