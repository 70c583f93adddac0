"""An environment is known by its files: what an installer, an editor or a hand changes makes it another one."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_environments import install, make_environment

from experiments.environment import EnvironmentRecord, WatchedEnvironment, describe, lock_text
from experiments.fingerprints import Fingerprints

SOURCE = {"alpha/__init__.py": "VALUE = 1\n", "alpha/part.py": "PART = 1\n"}


@pytest.fixture
def python(tmp_path: Path) -> Path:
    python = make_environment(tmp_path / "environment")
    install(python, "alpha", "1.0", SOURCE)
    return python


def _upgraded(python: Path, site: Path) -> None:
    install(python, "alpha", "1.1", SOURCE)


def _put_in_again_from_another_archive(python: Path, site: Path) -> None:
    install(python, "alpha", "1.0", SOURCE | {"alpha/part.py": "PART = 2\n"})


def _edited_in_place(python: Path, site: Path) -> None:
    with (site / "alpha/part.py").open("r+") as file:
        file.write("PART = 7")


def _a_file_removed(python: Path, site: Path) -> None:
    (site / "alpha/part.py").unlink()


def _another_beside(python: Path, site: Path) -> None:
    install(python, "beta", "0.1", {"beta.py": ""})


def _a_module_without_a_distribution(python: Path, site: Path) -> None:
    (site / "loose.py").write_text("LOOSE = True\n")


def _a_path_file(python: Path, site: Path) -> None:
    (site / "more.pth").write_text("/somewhere/else\n")


def _made_editable(python: Path, site: Path) -> None:
    said = {"url": "file:///home/somebody/alpha", "dir_info": {"editable": True}}
    (site / "alpha-1.0.dist-info/direct_url.json").write_text(json.dumps(said))


def _another_base(python: Path, site: Path) -> None:
    config = python.parent.parent / "pyvenv.cfg"
    config.write_text(config.read_text().replace("version = 3.", "version = 3.9"))


CHANGES = [
    _upgraded,
    _put_in_again_from_another_archive,
    _edited_in_place,
    _a_file_removed,
    _another_beside,
    _a_module_without_a_distribution,
    _a_path_file,
    _made_editable,
    _another_base,
]


def test_an_environment_is_read_once_its_installer_is_done(python: Path) -> None:
    watched = WatchedEnvironment(python)
    before = watched.look()
    install(python, "beta", "0.1", {"beta.py": ""})
    slow = threading.Thread(
        target=lambda: [
            (time.sleep(0.15), install(python, f"beta{number}", "0.1", {f"beta{number}.py": ""})) for number in range(8)
        ]
    )
    slow.start()
    after = watched.look()
    slow.join()
    assert after.sha256 != before.sha256
    assert ("beta7", "0.1") in after.packages
    assert watched.look() is after


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_what_is_installed_makes_another_environment(
    python: Path, change: Callable[[Path, Path], None]
) -> None:
    (site,) = (python.parent.parent / "lib").glob("python3*/site-packages")
    watched = WatchedEnvironment(python)
    before = watched.look()
    assert watched.look() is before
    time.sleep(0.02)  # more than a tick of the file system's clock
    change(python, site)
    _until_every_file_is_looked_at(watched, before)
    assert watched.look().sha256 == describe(python).sha256 != before.sha256


def _until_every_file_is_looked_at(watched: WatchedEnvironment, before: EnvironmentRecord) -> None:
    for _ in range(200):
        if watched.look() is not before:
            return
        time.sleep(0.005)
    raise AssertionError("the change was not noticed within a second")


def test_what_changes_nothing_leaves_the_digest_as_it_is(python: Path) -> None:
    (site,) = (python.parent.parent / "lib").glob("python3*/site-packages")
    before = describe(python)
    (site / "alpha/__pycache__").mkdir()
    (site / "alpha/__pycache__/part.cpython-311.pyc").write_bytes(b"compiled")
    os.utime(site / "alpha/part.py")
    install(python, "alpha", "1.0", SOURCE)
    assert describe(python) == before


def test_an_edited_distribution_that_is_mended_is_the_old_one_again(python: Path) -> None:
    before = describe(python)
    site = install(python, "alpha", "1.0", SOURCE)
    (site / "alpha/part.py").write_text("PART = 9\n")
    assert dict(describe(python).contents)["alpha"] != dict(before.contents)["alpha"]
    (site / "alpha/part.py").write_text(SOURCE["alpha/part.py"])
    assert describe(python).sha256 == before.sha256


def test_the_record_names_packages_editable_ones_and_lock_files(python: Path) -> None:
    (site,) = (python.parent.parent / "lib").glob("python3*/site-packages")
    _made_editable(python, site)
    found = describe(python, {"MODE": "x"}).at({"uv.lock": "ab" * 32})
    assert ("alpha", "1.0") in found.packages
    assert dict(found.origins) == {"alpha": "editable file:///home/somebody/alpha"}
    text = lock_text(found.facts())
    assert "# alpha from editable file:///home/somebody/alpha\n" in text
    assert f"# lock uv.lock {'ab' * 32}\n" in text
    assert f"# environment {found.sha256}\n" in text
    assert text.endswith("\nalpha==1.0\n")


def test_an_environments_files_by_a_stranger_are_read_within_bounds(python: Path) -> None:
    (site,) = (python.parent.parent / "lib").glob("python3*/site-packages")
    information = site / "alpha-1.0.dist-info"
    (information / "RECORD").write_text(f'{"x" * 300_000},sha256=!!!,1\n"unclosed,,\n')
    (information / "direct_url.json").write_text("[" * 50_000)
    odd = site / "odd\x1b[31m-1.0.dist-info"
    odd.mkdir()
    (odd / "RECORD").write_bytes(b"../../../../etc/passwd,sha256=AA,1\n\xff\xfe,,\n")
    os.mkfifo(site / "pipe")
    (site / "zero.py").symlink_to("/dev/zero")
    (site / "core.py").symlink_to("/proc/kcore")
    (site / "beta-1.0.dist-info").mkdir()
    (site / "beta-1.0.dist-info/RECORD").symlink_to("/proc/kcore")
    found = describe(python)
    assert ("odd?[31m", "1.0") in found.packages
    assert dict(found.origins)["alpha"] == "a direct_url.json that cannot be read"
    assert json.dumps(found.facts()).isascii()


def test_looking_again_costs_a_few_milliseconds(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "environment")
    for number in range(60):
        install(python, f"package{number}", "1.0", {f"package{number}/m{k}.py": "" for k in range(20)})
    watched = WatchedEnvironment(python)
    watched.look()
    times = []
    for _ in range(20):
        began = time.perf_counter()
        watched.look()
        times.append(time.perf_counter() - began)
    assert sorted(times)[10] < 0.02


@given(st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e"]), st.binary(max_size=3), min_size=1))
@settings(max_examples=25, deadline=None)
def test_a_folders_hashes_are_those_of_its_contents_however_often_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, bytes]
) -> None:
    folder, known = tmp_path_factory.mktemp("folder"), Fingerprints()
    for contents in (dict.fromkeys(wanted, b"old"), wanted):
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        for _ in range(2):
            assert known.folder(folder) == Fingerprints().folder(folder)
