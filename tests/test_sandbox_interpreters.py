"""What an interpreter needs is found by reading, and never more than it needs is shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry.errors import BadInput
from sandbox import gpus
from sandbox.interpreters import discover

ELF = Path("/bin/true")


def base_installation(folder: Path) -> Path:
    """Something that looks like a Python installed under `folder`; returns its program."""
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / "python3.11").mkdir(parents=True)
    (folder / "lib" / "python3.11" / "os.py").touch()
    shutil.copy(ELF, folder / "bin" / "python3.11")
    return folder / "bin" / "python3.11"


def environment(folder: Path, program: Path, home: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").mkdir()
    (folder / "pyvenv.cfg").write_text(f"home = {home}\nversion = 3.11\n")
    (folder / "bin" / "python").symlink_to(program)
    return folder / "bin" / "python"


def test_environment_and_base_are_shown_each_at_its_own_path(tmp_path: Path) -> None:
    program = base_installation(tmp_path / "versions" / "3.11")
    python = environment(tmp_path / "my env", program, program.parent)
    found = discover(python)
    base = program.parent.parent
    expected = {base / "bin", base / "lib", *(tmp_path / "my env" / name for name in ("bin", "lib", "pyvenv.cfg"))}
    assert set(found.paths) == expected
    assert found.executable == python


def test_a_base_behind_a_linked_folder_is_shown_under_both_names(tmp_path: Path) -> None:
    program = base_installation(tmp_path / "cpython-3.11.7")
    (tmp_path / "cpython-3.11").symlink_to("cpython-3.11.7")
    linked = tmp_path / "cpython-3.11" / "bin"
    found = discover(environment(tmp_path / "env", linked / program.name, linked))
    assert {tmp_path / "cpython-3.11.7" / "lib", tmp_path / "cpython-3.11" / "lib"} <= set(found.paths)


def test_a_home_that_is_no_installation_is_not_shown(tmp_path: Path) -> None:
    """An environment is writable by whoever filled it; its word alone opens nothing."""
    program = base_installation(tmp_path / "base")
    secret = tmp_path / "home"
    (secret / "bin").mkdir(parents=True)
    (secret / "lib").mkdir()
    found = discover(environment(tmp_path / "env", program, secret / "bin"))
    assert not [path for path in found.paths if path.is_relative_to(secret)]


def test_a_program_that_stands_alone_is_shown_alone(tmp_path: Path) -> None:
    program = base_installation(tmp_path / "base")
    (tmp_path / "home" / "bin").mkdir(parents=True)
    (tmp_path / "home" / "secret").touch()
    hop = tmp_path / "home" / "bin" / "python"
    hop.symlink_to(program)
    found = discover(environment(tmp_path / "env", hop, tmp_path / "home" / "bin"))
    assert [path for path in found.paths if path.is_relative_to(tmp_path / "home")] == [hop]


def test_the_systems_python_needs_nothing_more() -> None:
    python = Path("/usr/bin/python3")
    if not python.exists():
        pytest.skip("no /usr/bin/python3 here")
    assert discover(python).paths == ()


@pytest.mark.parametrize("name", ["/bin/python3", "/bin/sh"])
def test_a_program_in_a_link_into_usr_does_not_bring_the_hosts_etc_along(name: str) -> None:
    if not Path("/bin").is_symlink() or not Path(name).exists():
        pytest.skip(f"no {name} behind a link here")
    assert discover(Path(name)).paths == ()


@pytest.mark.parametrize("content", [None, b"#!/bin/sh\nexec python\n", b""])
def test_a_launcher_or_nothing_at_all_is_no_interpreter(tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "python"
    if content is not None:
        place.write_bytes(content)
        place.chmod(0o755)
    with pytest.raises(BadInput) as caught:
        discover(place)
    assert caught.value.problems[0].where == str(place)


def test_gpus_are_named_to_cuda_by_uuid_where_the_driver_tells_them(tmp_path: Path) -> None:
    for minor in (0, 1):
        (tmp_path / f"0000:0{minor}:00.0").mkdir()
        text = f"Model: \t\t H200\nGPU UUID: \t GPU-aaaa-{minor}\nDevice Minor: \t {minor}\n"
        (tmp_path / f"0000:0{minor}:00.0" / "information").write_text(text)
    assert gpus.visible((1,), tmp_path) == ["GPU-aaaa-1"]
    assert gpus.visible((1, 7), tmp_path) == ["0", "1"]
    assert "/dev/nvidia1" in gpus.devices((1,))
    assert "/dev/nvidia0" not in gpus.devices((1,))
