"""Real virtual environments and wheels for tests, made by hand: nothing is downloaded and nothing is faked."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp


def make_environment(folder: Path) -> Path:
    """An empty virtual environment; returns its interpreter."""
    shutil.copytree(_template(), folder, symlinks=True)  # nothing in it names its own place but `activate`
    folder.chmod(0o755)
    return folder / "bin" / "python"


@lru_cache(maxsize=1)
def _template() -> Path:
    folder = Path(mkdtemp(prefix="real-environment-"))
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def wheel(folder: Path, name: str, version: str, files: dict[str, str], scripts: str = "") -> Path:
    """A wheel of pure Python; `scripts` are the lines of its `console_scripts`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for where, text in _contents(name, version, files, scripts).items():
            archive.writestr(zipfile.ZipInfo(where, (2026, 1, 1, 0, 0, 0)), text)
    path.chmod(0o644)
    return path


def install(python: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """Put a distribution into an environment as an installer does: RECORD last. Returns its site-packages."""
    (site,) = (python.parent.parent / "lib").glob("python3*/site-packages")
    for old in site.glob(f"{name}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    for where, text in _contents(name, version, files, "").items():
        target = site / where
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return site


def _contents(name: str, version: str, files: dict[str, str], scripts: str) -> dict[str, str]:
    information = f"{name}-{version}.dist-info"
    found = dict(files)
    found[f"{information}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    found[f"{information}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if scripts:
        found[f"{information}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    rows = [f"{where},sha256={_code(text)},{len(text.encode())}" for where, text in found.items()]
    found[f"{information}/RECORD"] = "\n".join([*rows, f"{information}/RECORD,,"]) + "\n"
    return found


def _code(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
