from __future__ import annotations

import gzip
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent_ledger.errors import ImportFailed
from agent_ledger.importers import columns
from agent_ledger.importers.columns import Column


def choice(**kinds):
    """Wants these columns, as far as they are there."""
    return lambda names: [Column(name, kind) if name in names else None for name, kind in kinds.items()]


def table(file, advance=lambda _: None, **kinds):
    with columns.opened(file, choice(**kinds), advance) as rows:
        return [(number, row if isinstance(row, str) else tuple(row)[: len(kinds)]) for number, row in rows]


@pytest.fixture
def written(tmp_path):
    def run(data, name="a.csv"):
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return tmp_path / name

    return run


@pytest.fixture
def parquet(tmp_path):
    def run(**cells):
        pq.write_table(pa.table(cells), tmp_path / "a.parquet", row_group_size=3)
        return tmp_path / "a.parquet"

    return run


CSV = "a,b,c\n1,x,\n2,y,z\n"
WANTED = {"c": "text", "none": "text", "a": "number"}


@pytest.mark.parametrize("data", [CSV, f"\ufeff{CSV}", CSV.replace("\n", "\r\n"), CSV.replace(",", ";"), f"\n \n{CSV}"])
def test_csv_gives_the_wanted_columns_in_the_wanted_order(written, data):
    first = 2 if data.startswith(("a", "\ufeff")) else 4
    assert table(written(data), **WANTED) == [(first, ("", "", "1")), (first + 1, ("z", "", "2"))]


def test_gzip_whatever_its_name(written):
    assert len(table(written(gzip.compress(CSV.encode())), **WANTED)) == 2


def test_progress_adds_up_to_the_size(written, parquet):
    for file in (written(CSV), parquet(a=list(range(10)))):
        seen = []
        assert table(file, seen.append, a="number")
        assert sum(seen) == file.stat().st_size


def test_rows_that_are_none_have_a_number_and_a_reason(written):
    data = b'a,b\n1,"x\ny"\n2\n3,\xe9\n4,\0\n5,"x"y\n6,z\n7,"open\n'
    found = table(written(data), a="number")
    assert [number for number, _ in found] == [2, 4, 5, 6, 7, 8, 9]
    assert [row for _, row in found if not isinstance(row, str)] == [("1",), ("6",)]
    assert [row for _, row in found if isinstance(row, str)] == [
        "the row has 1 cells, the header has 2.",
        "the line is not UTF-8: save the file as UTF-8.",
        "the line holds NUL bytes: it was not written completely, or is not text.",
        "the row is not CSV: ',' expected after '\"'.",
        "a quotation mark opens here and is never closed: the file is cut off, or the mark is too many.",
    ]


def test_lines_across_blocks(written):
    rows = [f'{number},"{"é" * (number % 900)}"' for number in range(2000)]
    found = table(written("a,b\n" + "\n".join(rows)), a="number", b="text")
    assert [(int(a), len(b)) for _, (a, b) in found] == [(number, number % 900) for number in range(2000)]
    assert [number for number, _ in found] == list(range(2, 2002))


def test_a_line_over_the_limit(written, monkeypatch):
    monkeypatch.setattr(columns.lines, "LIMIT", 2**20)
    found = table(written("a,b\n1,x\n2," + "y" * 2**22 + "\n3,z\n"), a="number")
    assert found == [(2, ("1",)), (3, "the line is longer than 1 MB."), (4, ("3",))]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty: there is nothing to import"),
        (b"\n\n", "has no header that can be read: it has no line with text"),
        (b'a,"b\n', "has no header that can be read: a quotation mark opens here"),
        (gzip.compress(CSV.encode() * 1000)[:-20], "is damaged or cut off gzip"),
        (b"PK\x03\x04xxxx", "is a zip archive: unpack it"),
        ("a,b\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (b"PAR1", "is damaged or cut off Parquet"),
    ],
    ids=["empty", "blank", "open header", "cut gzip", "zip", "utf-16", "cut parquet"],
)
def test_what_is_no_table(written, data, reason):
    with pytest.raises(ImportFailed, match=reason):
        table(written(data), **WANTED)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ImportFailed, match="does not exist"):
        table(tmp_path / "none.csv", **WANTED)
    with pytest.raises(ImportFailed, match="is a folder"):
        table(tmp_path, **WANTED)


def test_parquet_gives_the_same_as_csv(parquet):
    file = parquet(a=["1", "2", None, "4"], b=["x"] * 4, c=[None, "z", None, None])
    assert table(file, **WANTED) == [
        (1, (None, None, "1")),
        (2, ("z", None, "2")),
        (3, (None, None, None)),
        (4, (None, None, "4")),
    ]


@pytest.mark.parametrize(
    ("cells", "kind", "found"),
    [
        (pa.array([4.4e-7]), "number", 4.4e-7),
        (pa.array([0.1], pa.float32()), "number", "0.1"),
        (pa.array([Decimal("0.10")], pa.decimal128(20, 2)), "number", Decimal("0.10")),
        (pa.array([7], pa.int64()), "number", 7),
        (pa.array(["7"]), "number", "7"),
        (pa.array([123456789012], pa.int64()), "text", "123456789012"),
        (pa.array([b"AWS"], pa.binary()), "text", "AWS"),
        (pa.array(["AWS"]).dictionary_encode(), "text", "AWS"),
        (pa.array([None], pa.null()), "text", None),
        (
            pa.array([1762477200123456789], pa.timestamp("ns")),
            "time",
            datetime.fromisoformat("2025-11-07T01:00:00.123456"),
        ),
        (pa.array([0], pa.timestamp("ms", "UTC")), "time", datetime(1970, 1, 1, tzinfo=UTC)),
        (pa.array([date(2026, 1, 2)]), "time", date(2026, 1, 2)),
        (pa.array([[("team", "risk")]], pa.map_(pa.string(), pa.string())), "map", [("team", "risk")]),
        (pa.array([{"team": "risk"}]), "map", {"team": "risk"}),
        (pa.array(['{"team": "risk"}']), "map", '{"team": "risk"}'),
    ],
    ids=lambda value: str(getattr(value, "type", value))[:30],
)
def test_types_of_parquet(parquet, cells, kind, found):
    [(_, (value,))] = table(parquet(a=cells), a=kind)
    assert value == found
    assert type(value) is type(found)


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        (pa.array([True]), "number", "has a column a of bool, and numbers belong there"),
        (pa.array([[1.0]]), "number", "has a column a of list<.*>, and numbers belong there"),
        (pa.array([1.5]), "time", "has a column a of double, and times belong there"),
        (pa.array([{"x": 1}]), "text", "has a column a of struct<.*>, and text belong"),
        (pa.array([1]), "map", "has a column a of int64, and keys with values belong there"),
    ],
)
def test_other_types_than_they_should_be(parquet, cells, kind, reason):
    with pytest.raises(ImportFailed, match=reason):
        table(parquet(a=cells), a=kind)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_parquet_that_is_cut_off_or_damaged(parquet, part):
    file = parquet(a=[f"text {number}" for number in range(5000)])
    good = file.read_bytes()
    for bad in (good[: int(len(good) * part)], good[:40] + bytes(len(good) // 2) + good[40 + len(good) // 2 :]):
        file.write_bytes(bad)
        with pytest.raises(ImportFailed, match="is damaged or cut off Parquet") as caught:
            table(file, a="text")
        assert "\n" not in str(caught.value)


def test_parquet_without_pyarrow(parquet, monkeypatch):
    file = parquet(a=[1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportFailed, match=r"which needs pyarrow: pip install 'agent-cost-ledger\[parquet\]'"):
        table(file, a="number")
