"""Blobs come back as they were put, or as an error that says what is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.blobs import BlobDamaged, BlobMissing, Blobs


@given(content=st.binary(max_size=200))
def test_content_comes_back_under_its_digest(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    blobs = Blobs(tmp_path_factory.getbasetemp() / "blobs")
    digest = blobs.put(content)
    assert digest == hashlib.sha256(content).hexdigest()
    assert digest in blobs
    assert blobs.get(digest) == content
    assert blobs.path(digest) == blobs.folder / digest[:2] / digest


def test_content_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    digest = blobs.put(b"page")
    before = blobs.path(digest).stat()
    assert blobs.put(b"page") == digest
    after = blobs.path(digest).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [path.name for path in blobs.folder.rglob("*") if path.is_file()] == [digest]


def test_damaged_content_is_refused_and_mended_by_putting_it_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    digest = blobs.put(b"page")
    blobs.path(digest).write_bytes(b"pagf")
    with pytest.raises(BlobDamaged, match=digest):
        blobs.get(digest)
    assert blobs.put(b"page") == digest
    assert blobs.get(digest) == b"page"


def test_absent_content_and_malformed_digests_are_errors(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    absent = "0" * 64
    assert absent not in blobs
    with pytest.raises(BlobMissing, match=absent):
        blobs.get(absent)
    for malformed in ("", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(ValueError, match="no SHA-256"):
            blobs.path(malformed)
