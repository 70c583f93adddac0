"""Imports modules one by one, each in a process of its own, and writes down how each ended.

Started inside the sandbox by `experiments.import_check` as `import_probe.py OUT SECONDS ROOT PATHS...`, under the
solution's own interpreter. Standard library alone. What it writes is a stranger's word: the modules run in it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

LONGEST = 600


def main(out: str, seconds: str, root: str, *paths: str) -> None:
    """Write `[{path, ok, kind, message, line}]` to the file OUT; a path that is not there has `ok` null."""
    found = [_apart(float(seconds), root, path) for path in paths]
    Path(out).write_text(json.dumps(found))


def _apart(seconds: float, root: str, path: str) -> dict[str, object]:
    if not Path(root, path).is_file():
        return {"path": path, "ok": None, "kind": "", "message": "", "line": 0}
    ends, says = os.pipe()
    words = [sys.executable, str(Path(__file__).resolve()), "--one", str(says), root, path]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    try:
        done = subprocess.run(words, pass_fds=(says,), timeout=seconds, check=False, **quiet)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired:
        return {"path": path, "ok": False, "kind": "Timeout", "message": f"{seconds:g} s", "line": 0}
    finally:
        os.close(says)
        with os.fdopen(ends, "rb", buffering=0) as stream:
            os.set_blocking(ends, False)
            said = stream.read(1 << 16) or b""
    try:
        return {"path": path, **json.loads(said)}
    except ValueError:
        status = f"the process ended with status {done.returncode}"
        return {"path": path, "ok": False, "kind": "SystemExit", "message": status, "line": 0}


def _one(says: int, root: str, path: str) -> None:
    """Import one file under the name that it has from its top-level folder."""
    parts = path.split("/")
    if parts[-1] == "__init__.py" and len(parts) > 1:
        parts.pop()
    top = len(parts) - 1
    while top > 0 and Path(root, *parts[:top], "__init__.py").is_file():
        top -= 1
    names = [*parts[top:-1], parts[-1].removesuffix(".py")]
    sys.path[0:1] = [str(Path(root, *parts[:top])), root]
    file = str(Path(root, path))
    sys.argv = [file]
    answer: dict[str, object] = {"ok": True, "kind": "", "message": "", "line": 0}
    try:
        if all(name.isidentifier() for name in names):
            importlib.import_module(".".join(names))
        elif (spec := importlib.util.spec_from_file_location("probed", file)) is not None and spec.loader is not None:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except BaseException as error:  # noqa: BLE001 - whatever it raises is the answer
        answer = {"ok": False, "kind": _kind(error), "message": str(error)[:LONGEST], "line": _line(error, file)}
    os.write(says, json.dumps(answer).encode())
    os._exit(0)


def _kind(error: BaseException) -> str:
    """The name of the error, or of the built-in one that it is a case of."""
    for known in (SyntaxError, ImportError, NameError, AttributeError, OSError, SystemExit):
        if isinstance(error, known):
            return known.__name__
    return type(error).__name__[:80]


def _line(error: BaseException, file: str) -> int:
    """Line of the file itself where it stopped; 0 where that is elsewhere."""
    own = os.path.realpath(file)
    if isinstance(error, SyntaxError) and error.filename and os.path.realpath(error.filename) == own:
        return error.lineno or 0
    line, trace = 0, error.__traceback__
    while trace is not None:
        if os.path.realpath(trace.tb_frame.f_code.co_filename) == own:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        _one(int(sys.argv[2]), *sys.argv[3:])
    else:
        main(*sys.argv[1:])
