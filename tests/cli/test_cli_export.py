from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
from focus_rules import expected_picos, fill
from support import query

from agent_ledger import Ledger


@pytest.fixture
def path(ledger: Ledger, no_sources: None) -> Path:  # noqa: ARG001
    fill(ledger)
    return ledger.path


def test_focus_to_stdout_and_what_is_missing_to_stderr(run, path: Path) -> None:
    result = run("export", path, "focus")
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(expected_picos_of(path)).scaleb(-12)
    assert result.stderr == (
        "Not in it, because unknown is not zero: 1 call without a price, 1 tool call without a cost, "
        f"1 charge without an exchange rate. See agent-ledger check {path}\n"
    )


def expected_picos_of(path: Path) -> int:
    with Ledger(path) as ledger:
        return expected_picos(ledger)


@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz", "F.PARQUET"])
def test_a_file_of_a_month(run, path: Path, tmp_path: Path, name: str) -> None:
    if name.endswith("PARQUET"):
        pytest.importorskip("pyarrow")
    result = run("export", path, "focus", "--month", "2026-02", "-o", tmp_path / name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"wrote 2 rows, 0.0003500 USD in all, to {tmp_path / name}\n"
    assert (tmp_path / name).stat().st_size > 0


def test_days(run, path: Path) -> None:
    def days(*options: str) -> set[str]:
        rows = csv.DictReader(io.StringIO(run("export", path, "focus", *options).stdout))
        return {row["ChargePeriodStart"][:10] for row in rows}

    assert days() == {"2026-01-15", "2026-01-31", "2026-02-01"}
    assert days("--since", "2026-01-31") == {"2026-01-31", "2026-02-01"}
    assert days("--until", "2026-01-31") == {"2026-01-15", "2026-01-31"}
    assert days("--since", "2026-01-31", "--until", "2026-01-31") == {"2026-01-31"}
    assert days("--until", "9999-12-31") == days()


def test_views_and_tables_as_csv_and_parquet(run, path: Path, tmp_path: Path) -> None:
    result = run("export", path, "csv", "cost_by_agent")
    assert result.stdout == run("rows", path, "cost_by_agent", "--csv").stdout
    for form, name in (("csv", "a.csv"), ("csv", "a.gz"), ("csv", "a.txt"), ("parquet", "a.parquet")):
        if form == "parquet":
            pytest.importorskip("pyarrow")
        result = run("export", path, form, "ledger", "-o", tmp_path / name)
        [(count,)] = query(path, "select count(*) from ledger")
        assert result.stdout == f"wrote {count} rows to {tmp_path / name}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["focus", "call_cost"], "focus takes no view"),
        (["csv"], "say which view or table to write as csv"),
        (["csv", "ledger", "--month", "2026-01"], "--month, --since and --until are for focus"),
        (["parquet", "ledger"], "say which file to write with -o"),
        (["focus", "-o", "f.xlsx"], "give a file that ends in .csv, .csv.gz or .parquet"),
        (["focus", "--month", "2026-13"], "give a month such as 2026-01"),
        (["focus", "--since", "yesterday"], "give a date such as 2026-01-31"),
        (["focus", "--month", "2026-01", "--since", "2026-01-01"], "give either --month, or --since and --until"),
        (
            ["focus", "--since", "2026-02-01", "--until", "2026-01-01"],
            "--until 2026-01-01 is before --since 2026-02-01",
        ),
        (["xlsx"], "xlsx"),
    ],
)
def test_what_cannot_be_understood(refused, path: Path, arguments: list[str], sentence: str) -> None:
    assert sentence in refused(2, "export", path, *arguments)


def test_the_ledger_is_never_the_output(refused, path: Path) -> None:
    before = path.read_bytes()
    assert "is the ledger itself" in refused(2, "export", path, "csv", "ledger", "-o", path)
    assert path.read_bytes() == before


def test_a_view_that_does_not_exist_leaves_the_old_file(refused, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("good")
    assert "there is no view or table 'nothing'" in refused(1, "export", path, "csv", "nothing", "-o", file)
    assert file.read_text() == "good"
