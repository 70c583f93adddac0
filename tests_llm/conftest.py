"""A real server, built from llama.cpp's source, with a model of random weights. Started by `make test-llm`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

PATIENCE_S = 60.0


@contextmanager
def server(folder: Path, *flags: str) -> Iterator[str]:
    """`llama-server` on loopback with the model of noise; the address that `models.yaml` names."""
    program, model = os.environ.get("LLAMA_SERVER", ""), os.environ.get("NOISE_MODEL", "")
    if not (Path(program).is_file() and Path(model).is_file()):
        pytest.fail("LLAMA_SERVER and NOISE_MODEL name no files; start these tests by `make test-llm`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # --no-jinja: with its templates this server parses what the model says once more, and answers noise with 500.
    fixed = ["--seed", "7", "--ctx-size", "65536", "--parallel", "1", "--threads", "1", "--threads-http", "2"]
    fixed += ["--offline", "--no-ui", "--no-warmup", "--chat-template", "chatml", "--host", "127.0.0.1"]
    with (folder / "llama-server.log").open("wb") as log:
        process = subprocess.Popen([program, "-m", model, "--port", str(port), *fixed, *flags], stdout=log, stderr=log)
        try:
            _wait_until_it_answers(process, port, folder)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail("llama-server does not answer: " + (folder / "llama-server.log").read_text(errors="replace")[-2000:])


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server whose model says nothing but noise, in whatever form its grammar is given."""
    with server(tmp_path_factory.mktemp("server"), "--no-jinja") as address:
        yield address


@pytest.fixture(scope="session")
def unruly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same server with its parser of templates, which answers half of the noise with an error of its own."""
    with server(tmp_path_factory.mktemp("unruly")) as address:
        yield address


@pytest.fixture(scope="session")
def deaf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same server where it takes every form that is asked for and keeps to none."""
    with server(tmp_path_factory.mktemp("deaf"), "--skip-chat-parsing") as address:
        yield address
