from __future__ import annotations

import gzip
import os
import tracemalloc

import pytest

from agent_ledger.errors import ImportFailed
from agent_ledger.importers import lines
from agent_ledger.records import Refused


def objects(path, data):
    path.write_bytes(data)
    return list(lines.objects(path, lambda _: None))


def test_objects_are_numbered_and_blank_lines_count(tmp_path):
    assert objects(tmp_path / "a", b'{"a": 1}\n\n  \n{"b": 2}') == [(1, {"a": 1}), (4, {"b": 2})]


def test_a_file_of_blank_lines_has_no_facts(tmp_path):
    assert objects(tmp_path / "a", b"\n \r\n\n") == []


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    assert objects(tmp_path / "a", b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n') == [(1, {"a": 1}), (2, {"a": 2})]


@pytest.mark.parametrize("packed", [False, True])
def test_all_bytes_are_announced(tmp_path, packed):
    data = b'{"a": 1}\n' * 300_000
    (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
    seen: list[int] = []
    assert len(list(lines.objects(tmp_path / "a", seen.append))) == 300_000
    assert sum(seen) == (tmp_path / "a").stat().st_size


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]\n", "the line is a list, not a JSON object."),
        (b"null\n", "the line is null, not a JSON object."),
        (b'"x"\n', "the line is text, not a JSON object."),
        (b"{'a': 1}\n", "the line is not JSON: Expecting property name enclosed in double quotes at character 2."),
        (b'{"a": NaN}\n', "the line holds NaN, which is not a number in JSON."),
        (b'{"a": -Infinity}\n', "the line holds -Infinity, which is not a number in JSON."),
        (b'{"a": "\xe9"}\n', "the line is not UTF-8: save the file as UTF-8."),
        (b'{"a": "\0"}\n', "the line holds NUL bytes: it was not written completely, or is not text."),
        (b"[" * 100_000 + b"\n", "the line is nested too deeply."),
        (b'{"a": ' + b"9" * 5000 + b"}\n", "the line holds a number of too many digits."),
        (b'{"a": 1, "b', "the line is cut off: the file ends inside it."),
        (b'{"a": 1} {"b": 2}\n', "the line is not JSON: Extra data at character 10."),
    ],
)
def test_a_bad_line_is_refused_alone(tmp_path, line, reason):
    found = objects(tmp_path / "a", b'{"ok": 1}\n' + line)
    assert found == [(1, {"ok": 1}), Refused(2, reason)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(tmp_path, encoding):
    with pytest.raises(ImportFailed, match=r"a is UTF-16: save it as UTF-8\."):
        objects(tmp_path / "a", '{"a": 1}\n'.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_utf_32_is_named(tmp_path, encoding):
    with pytest.raises(ImportFailed, match=r"a is UTF-32: save it as UTF-8\."):
        objects(tmp_path / "a", '{"a": 1}\n'.encode(encoding))


def test_empty_file(tmp_path):
    with pytest.raises(ImportFailed, match="is empty"):
        objects(tmp_path / "a", b"")
    with pytest.raises(ImportFailed, match="is empty"):
        objects(tmp_path / "a", gzip.compress(b""))


def test_missing_file_folder_and_bad_path(tmp_path):
    for path, said in (
        (tmp_path / "no", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "\0", "can't be read"),
    ):
        with pytest.raises(ImportFailed, match=said):
            list(lines.objects(path, lambda _: None))
    with pytest.raises(ImportFailed, match="does not exist"):
        lines.found(tmp_path / "no", (".jsonl",))
    with pytest.raises(ImportFailed, match=r"holds no \.jsonl file"):
        lines.found(tmp_path, (".jsonl",))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path):
    (tmp_path / "a").write_bytes(b"{}")
    (tmp_path / "a").chmod(0)
    with pytest.raises(ImportFailed, match="may not be read"):
        list(lines.objects(tmp_path / "a", lambda _: None))


def test_forbidden_file_in_words(tmp_path):
    assert "check its permissions" in str(lines.reason_of(PermissionError(13, "Permission denied"), tmp_path))
    assert "Input/output error" in str(lines.reason_of(OSError(5, "Input/output error"), tmp_path))


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:30] + b"\xff" * 30 + data[60:]])
def test_damaged_gzip(tmp_path, damage):
    packed = gzip.compress(b"".join(b'{"a": %d}\n' % number for number in range(1000)))
    with pytest.raises(ImportFailed, match="gzip"):
        objects(tmp_path / "a", damage(packed))


def test_a_line_of_100_mb_is_refused_and_never_held(tmp_path):
    file = tmp_path / "a"
    with file.open("wb") as out:
        out.write(b'{"a": 1}\n{"a": "')
        for _ in range(100):
            out.write(b"x" * 2**20)
        out.write(b'"}\n{"a": 3}\n')
    tracemalloc.start()
    try:
        found = list(lines.objects(file, lambda _: None))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [(1, {"a": 1}), Refused(2, "the line is longer than 64 MB."), (3, {"a": 3})]
    assert peak < 2.2 * lines.LIMIT  # readline joins its pieces once


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path):
    for name in ("b.jsonl", "s/subagents/agent-1.jsonl", "s.jsonl", "a/x.JSONL", "a/x.txt", "._b.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    found = [file.relative_to(tmp_path).as_posix() for file in lines.found(tmp_path, (".jsonl",))]
    assert found == ["a/x.JSONL", "b.jsonl", "s.jsonl", "s/subagents/agent-1.jsonl"]


def test_a_body_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LIMIT", 10)
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(ImportFailed, match="is larger than"):
        lines.whole(tmp_path / "a", lambda _: None)
