"""Files for other tools: exact, whole, and valid by the machine rules of FOCUS."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from focus_rules import CHECKS, Model, Row, expected_picos, fill
from support import SAMPLES, add_prices, call, price, query

from agent_ledger import Ledger, LedgerError, exporting
from agent_ledger.importers.focus import Focus
from agent_ledger.ledger import reading

pytestmark = pytest.mark.usefixtures("no_sources")
FOCUS = SAMPLES / "focus"
MODEL = FOCUS / "model-1.2.json"
sampled = pytest.mark.skipif(not MODEL.exists(), reason="the machine rules of FOCUS are not here")

# What our export is able to say, in the words of the rules.
SUPPORTED = [
    f"{what}_SUPPORTED"
    for what in (
        *(
            "ACCOUNT_NAMING",
            "SUB_ACCOUNT",
            "USAGE_MEASUREMENT",
            "UNIT_PRICING",
            "PUBLIC_PRICE_LIST",
            "NEGOTIATED_PRICING",
        ),
        *("MULTIPLE_PRICING_CATEGORIES", "REGION", "TAGGING"),
    )
]


@pytest.fixture
def full(ledger: Ledger) -> Ledger:
    fill(ledger)
    return ledger


def focus_csv(ledger: Ledger, since: str | None = None, until: str | None = None) -> list[Row]:
    file = io.BytesIO()
    with reading(ledger.path) as connection:
        count = exporting.write_csv(exporting.focus(connection, since=since, until=until), file)
    rows = [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(_lines(file))]
    assert len(rows) == count
    return rows


def _lines(file: io.BytesIO) -> Iterator[str]:
    return iter(file.getvalue().decode().splitlines(keepends=True))


def billed(rows: list[Row]) -> Decimal:
    return sum((Decimal(row["BilledCost"] or "?") for row in rows), Decimal(0))


def test_the_sum_of_billed_cost_is_the_total_exactly(full: Ledger) -> None:
    assert billed(focus_csv(full)) == Decimal(expected_picos(full)).scaleb(-12)


def test_a_month_is_the_month_of_the_all_in_view(full: Ledger) -> None:
    january = billed(focus_csv(full, "2026-01-01", "2026-02-01"))
    assert float(january) == dict(query(full, "select month, all_in_usd from all_in_by_month"))["2026-01"]
    february = billed(focus_csv(full, "2026-02-01"))
    assert january + february == billed(focus_csv(full))
    assert february > 0


@sampled
def test_the_export_passes_the_machine_rules(full: Ledger) -> None:
    model, rows = Model(MODEL), focus_csv(full)
    verdict = model.evaluate(rows, rows[0], SUPPORTED)
    sentences = {name: model.rules[name]["ValidationCriteria"]["MustSatisfy"] for name in verdict.failed}
    assert not sentences
    assert not verdict.wished
    assert len(verdict.passed) >= 180


@sampled
def test_what_is_wrong_fails_the_machine_rules(full: Ledger) -> None:
    model, rows = Model(MODEL), focus_csv(full)

    def failed(**changes: str | None) -> list[str]:
        return model.evaluate([*rows[1:], {**rows[0], **changes}], rows[0], SUPPORTED).failed

    assert failed(BilledCost=None) == ["BilledCost-C-003-M"]
    assert failed(BilledCost="1,5") == ["BilledCost-C-001-M", "BilledCost-C-002-M", "BilledCost-C-004-M"]
    assert failed(ChargeCategory="usage")[0] == "ChargeCategory-C-003-M"
    assert "ChargePeriodStart-C-002-M" in failed(ChargePeriodStart="2026-01-15 00:00:00")
    assert failed(ServiceSubcategory="Object Storage") == ["ServiceSubcategory-C-004-M"]
    assert failed(Tags='{"a": {"b": 1}}') == ["Tags-C-001-M"]
    assert "ListCost-C-009-C" in failed(ListUnitPrice="0.1")
    assert "SkuPriceId-C-008-M" in failed(SkuId="another", SkuPriceId=rows[1]["SkuPriceId"])
    assert failed(InvoiceIssuerName="somebody")[0] == "BilledCost-C-005-C"
    missing = model.evaluate(rows, set(rows[0]) - {"ListCost"}, SUPPORTED)
    assert [name for name in missing.failed if name.startswith("CostAndUsage")]


@sampled
def test_every_kind_of_check_of_the_model_is_known_here() -> None:
    model = Model(MODEL)
    text = MODEL.read_text("utf-8")
    elsewhere = {"AND", "OR", "CheckModelRule", "ColumnPresent", "CheckDistinctCount"}
    named = {name for name in [*CHECKS, *elsewhere] if f'"CheckFunction": "{name}"' in text}
    assert named == set(CHECKS) | elsewhere
    assert len(model.readable()) == 420


@sampled
def test_columns_values_and_nulls_are_those_of_the_column_table(full: Ledger) -> None:
    rows = focus_csv(full)
    with (FOCUS / "focus_1.2_columns_from_model.csv").open(encoding="utf-8") as file:
        specified = {row["column"]: row for row in csv.DictReader(file)}
    for name, column in specified.items():
        if column["presence"] == "Mandatory":
            assert name in rows[0]
        for row in rows if name in rows[0] else ():
            assert row[name] is not None or column["nullable"] != "No", name
            if column["allowed_values"] and row[name] is not None:
                assert row[name] in column["allowed_values"].split("|"), name
    ours = set(rows[0]) - set(specified)
    assert {name for name in ours if not name.startswith("x_")} == {"AllocatedMethodId", "AllocatedMethodDetails"}


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_importing_the_export_again_gives_the_same_total(full: Ledger, tmp_path: Path, ending: str) -> None:
    write = {"csv": exporting.write_csv, "csv.gz": exporting.write_gzip, "parquet": exporting.write_parquet}[ending]
    file = tmp_path / f"focus.{ending}"
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    with reading(full.path) as connection, exporting.replacing(file) as binary:
        count = write(exporting.focus(connection), binary)
    with Ledger(tmp_path / "other.db") as other:
        other.import_file(Focus(), file)
    [(rows, total)] = query(tmp_path / "other.db", "select count(*), sum(cost_picos) from charge")
    assert (rows, total) == (count, expected_picos(full))


def test_parquet_has_exact_decimals_and_times(full: Ledger, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with reading(full.path) as connection, exporting.replacing(tmp_path / "f.parquet") as file:
        exporting.write_parquet(exporting.focus(connection), file)
    table = parquet.read_table(tmp_path / "f.parquet")
    assert sum(table["BilledCost"].to_pylist()) == Decimal(expected_picos(full)).scaleb(-12)
    assert table["ChargePeriodStart"].to_pylist()[0].isoformat() == "2026-01-15T00:00:00+00:00"
    assert [str(table.schema.field(name).type) for name in ("BilledCost", "x_AgentId", "x_AuditCalls")] == [
        *("decimal128(38, 12)", "string", "int64"),
    ]


def test_any_view_or_table_as_parquet(full: Ledger, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("call_cost", "ledger", "cost_by_agent", "request_conflicts"):
        with reading(full.path) as connection, exporting.replacing(tmp_path / name) as file:
            assert exporting.write_parquet(exporting.view(connection, name), file) == len(full.rows(name))
        assert parquet.read_table(tmp_path / name).to_pylist() == full.rows(name)


def test_a_name_that_does_not_exist(full: Ledger) -> None:
    with (
        reading(full.path) as connection,
        pytest.raises(LedgerError, match="there is no view or table 'x y': there are "),
    ):
        exporting.view(connection, "x y")


def test_what_is_missing_is_counted(full: Ledger) -> None:
    with reading(full.path) as connection:
        assert exporting.missing(connection) == {
            ("call", "a price"): 1,
            ("tool call", "a cost"): 1,
            ("charge", "an exchange rate"): 1,
        }
        assert set(exporting.missing(connection, since="2026-02-01").values()) == {0}


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra"])
def test_text_cells_are_no_formulas_and_numbers_stay_numbers(ledger: Ledger, text: str) -> None:
    add_prices(ledger, price(input=1, output=1))
    ledger.record_call(**call(customer_id=f"{text}x"))
    file = io.BytesIO()
    with reading(ledger.path) as connection:
        exporting.write_csv(exporting.view(connection, "call_cost"), file)
    [row] = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    assert row["customer_id"] == f"'{text}x"
    assert exporting.harmless(-1.5) == -1.5


def test_amounts_have_all_decimals_and_no_exponent(ledger: Ledger) -> None:
    add_prices(ledger, price(input=1, output=0))
    ledger.record_call(**call(prompt_tokens=3, completion_tokens=10_000_000))
    first, second = focus_csv(ledger)
    assert (first["BilledCost"], first["ListUnitPrice"], first["PricingQuantity"]) == (
        "0.000000000003",
        "0.000000000001",
        "3.0",
    )
    assert (second["BilledCost"], second["PricingQuantity"]) == ("0.0", "10000000.0")


def test_gzip_of_the_same_rows_is_the_same_file(full: Ledger) -> None:
    def packed() -> bytes:
        file = io.BytesIO()
        with reading(full.path) as connection:
            exporting.write_gzip(exporting.focus(connection), file)
        return file.getvalue()

    assert packed() == packed()
    assert gzip.decompress(packed()).startswith(b"BillingPeriodStart,")


def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("good")
    file.chmod(0o640)

    def fails() -> None:
        with exporting.replacing(file) as half:
            half.write(b"half")
            half.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert (file.read_text(), os.listdir(tmp_path)) == ("good", ["out.csv"])
    with exporting.replacing(file) as whole:
        whole.write(b"whole")
        assert file.read_text() == "good"
    assert (file.read_text(), os.listdir(tmp_path), file.stat().st_mode & 0o777) == ("whole", ["out.csv"], 0o640)


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    file, link = tmp_path / "out.csv", tmp_path / "link.csv"
    link.symlink_to(file)
    with _written(link):
        pass
    assert (link.is_symlink(), file.read_text()) == (True, "x")
    with _written(Path(os.devnull)):
        pass


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is a folder"), _written(tmp_path):
        pass
    with pytest.raises(LedgerError, match="there is no folder"), _written(tmp_path / "no" / "out.csv"):
        pass


@contextmanager
def _written(path: Path) -> Iterator[None]:
    with exporting.replacing(path) as file:
        file.write(b"x")
        yield
