"""Rows as Parquet files: exactly what was written comes back, or an error that says what is wrong."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger import archive_files
from agent_ledger.archive_files import File, Unreadable

KINDS = {"id": "INTEGER", "request_id": "TEXT", "ts": "TEXT", "cost": "REAL", "batch": "INTEGER"}
TIME = "2026-01-0{}T00:00:00.000Z"
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
ROWS = [
    (1, "a", TIME.format(1), 0.1, 0),
    (2, "b" * 5_000, TIME.format(2), None, 1),
    (3, "𝔘nï🦊\n\"',", TIME.format(3), 1e308, 2),
]


def written(path: Path, rows: list[tuple[Any, ...]]) -> str:
    groups = [rows[start : start + archive_files.GROUP] for start in range(0, len(rows), archive_files.GROUP)]
    return archive_files.write(path, KINDS, iter(groups))


def entry(path: Path, batches: int = 9) -> File:
    return File(path, "ledger", "", "", batches, 0, "", "")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "rows.parquet"  # type: ignore[return-value]


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1), TEXT, st.just(TIME.format(1)),
            st.floats(allow_nan=False) | st.none(), st.just(0),
        )
    )
)  # fmt: skip
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    digest = written(path, rows)
    assert list(archive_files.read(entry(path), KINDS)) == rows
    proof = archive_files.prove(path)
    assert (proof.rows, proof.content_digest) == (len(rows), digest)
    assert (proof.bytes, proof.digest) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_content_digest_is_what_the_documentation_says(path: Path) -> None:
    lines = (
        json.dumps([row[column] for row in ROWS], ensure_ascii=False, separators=(",", ":")) for column in range(5)
    )
    assert written(path, ROWS) == hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def test_only_what_is_asked_for_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_files, "GROUP", 1)
    written(path, ROWS)
    long = "b" * 5_000
    file = entry(path)
    assert list(archive_files.read(file, ("id",), requests={long, "aa", "zz"})) == [(2,)]
    assert list(archive_files.read(file, ("id",), requests={"zz"})) == []
    assert list(archive_files.read(file, ("id",), since=TIME.format(2), until=TIME.format(3))) == [(2,)]
    assert list(archive_files.read(file, ("id",), where={"id": {3}, "request_id": {"a"}})) == [(1,), (3,)]
    assert list(archive_files.read(entry(path, 2), ("id", "cost", "later"))) == [(1, 0.1, None), (2, None, None)]


def test_a_file_is_never_written_over(path: Path) -> None:
    written(path, ROWS)
    with pytest.raises(FileExistsError):
        written(path, ROWS)


def test_damage_is_an_error_that_names_the_file(path: Path) -> None:
    for content in (b"", b"PAR1 is not enough PAR1"):
        path.write_bytes(content)
        with pytest.raises(Unreadable, match=f"{path.name} is damaged"):
            archive_files.prove(path)
    path.unlink()
    with pytest.raises(Unreadable, match=f"{path.name} is not there"):
        list(archive_files.read(entry(path), KINDS))


def test_every_flipped_byte_is_noticed(path: Path) -> None:
    written(path, ROWS * 20)
    digest, content = archive_files.file_digest(path), path.read_bytes()
    for place in range(0, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert archive_files.file_digest(path) != digest


def test_without_pyarrow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(path, ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for work in (
        archive_files.needs,
        lambda: archive_files.prove(path),
        lambda: list(archive_files.read(entry(path), KINDS)),
    ):
        with pytest.raises(Unreadable, match=r"pip install 'agent-cost-ledger\[parquet\]'"):
            work()
