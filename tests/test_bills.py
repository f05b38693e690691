"""Deliveries: what comes again is the same, what is corrected counts instead, and no line is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support import NOON, query, tool_call

from agent_ledger import Defaults, ImportFailed, Ledger
from agent_ledger.records import Charge, Fact, ProviderUsage, Refused

pytestmark = pytest.mark.usefixtures("no_sources")

END = "2026-01-15T13:00:00.000Z"
COUNTED = "select charge_id, cost from billed_charge order by id"


def charge(charge_id: str, cost: str = "1", **values: Any) -> Charge:
    given: dict[str, Any] = {"bill": "aws 1", "billing_period": "2026-01", "provider": "aws"} | values
    return Charge(period_start=NOON, period_end=END, charge_id=charge_id, cost=Decimal(cost), **given)


def usage(requests: int) -> ProviderUsage:
    return ProviderUsage(
        bill="openai 1", billing_period="2026-01-15", period_start=NOON, period_end=END, provider="openai",
        usage_id="u", requests=requests,
    )  # fmt: skip


class Bill:
    """An importer that reads the facts it was told of each file."""

    name = "told"
    summary = "told"

    def __init__(self) -> None:
        self.facts: dict[Path, Sequence[Fact]] = {}
        self.measures: list[str | None] = []

    def file(self, path: Path, *facts: Fact) -> Path:
        path.write_text(repr(facts))
        self.facts[path] = facts
        return path

    def files(self, path: Path) -> Sequence[Path]:
        return [path]

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:  # noqa: ARG002
        self.measures.append(defaults.cost_measure)
        yield from self.facts[file]


@pytest.fixture
def bill() -> Bill:
    return Bill()


def test_the_same_file_again_is_the_same_delivery(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    file = bill.file(tmp_path / "a", charge("1"), charge("2"), usage(3))
    assert ledger.import_file(bill, file).added == 3
    again = ledger.import_file(bill, bill.file(tmp_path / "copy", *bill.facts[file]))
    assert (again.added, again.already_there) == (0, 3)
    assert query(ledger, COUNTED) == [("1", "1"), ("2", "1")]
    assert query(ledger, "select requests from provider_usage") == [(3,)]
    assert query(ledger, "select bill, content from delivery") == [("aws 1", "charges"), ("openai 1", "usage")]


def test_a_later_delivery_counts_and_the_earlier_stays(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    first, second = bill.file(tmp_path / "a", charge("1")), bill.file(tmp_path / "b", charge("1", "2"))
    for file in (first, second, first):  # the first again changes nothing
        ledger.import_file(bill, file)
    assert query(ledger, COUNTED) == [("1", "2")]
    assert query(ledger, "select count(*) from charge") == [(2,)]


def test_bills_and_months_are_deliveries_of_their_own(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    both = bill.file(
        tmp_path / "a", charge("1"), charge("1", "2", billing_period="2026-02"), charge("1", "3", bill="aws 2")
    )
    ledger.import_file(bill, both)
    ledger.import_file(bill, bill.file(tmp_path / "b", charge("1", "9")))
    assert sorted(query(ledger, COUNTED)) == [("1", "2"), ("1", "3"), ("1", "9")]


def test_parts_are_one_delivery_and_lose_no_line(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    parts = [
        bill.file(tmp_path / "1", charge("1"), charge("x", "2")),
        bill.file(tmp_path / "2", charge("1"), charge("x", "3")),
        bill.file(tmp_path / "3", charge("x", "4"), charge("y", "5")),
    ]
    done = ledger.import_files(bill, parts)
    assert [each.added for each in done] == [2, 2, 2]
    lines = [("1", "1"), ("x", "2"), ("1-2", "1"), ("x-2", "3"), ("x-3", "4"), ("y", "5")]
    assert query(ledger, COUNTED) == lines
    again = ledger.import_files(bill, parts[::-1])
    assert [(each.added, each.already_there) for each in again] == [(0, 2)] * 3
    assert query(ledger, COUNTED) == lines


def test_a_part_that_fails_takes_the_others_with_it(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    good = bill.file(tmp_path / "1", charge("1"))
    ledger.import_file(bill, good)
    bad = bill.file(tmp_path / "2", charge("2", str(10**7)))
    with pytest.raises(ImportFailed, match=r"the line 2 costs 10000000 USD, which is too much for a ledger"):
        ledger.import_files(bill, [bill.file(tmp_path / "3", charge("3")), bad])
    assert query(ledger, COUNTED) == [("1", "1")]


def test_a_named_delivery_grows(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    named = Defaults(delivery="January")
    one, two = bill.file(tmp_path / "1", charge("1"), charge("x", "2")), bill.file(tmp_path / "2", charge("x", "3"))
    for file, added in ((one, 2), (two, 1), (one, 0), (two, 0)):
        assert ledger.import_file(bill, file, named).added == added
    assert query(ledger, COUNTED) == [("1", "1"), ("x", "2"), ("x-2", "3")]
    assert query(ledger, "select distinct name from delivery") == [("January",)]


def test_amounts_are_kept_exactly(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    tags = {"b": "1", "a": "2"}
    facts = charge("1", "1.5E-11", quantity=Decimal("2E+3"), tags=tags), charge("2", "7.123", currency="EUR")
    ledger.import_file(bill, bill.file(tmp_path / "a", *facts))
    found = query(ledger, "select cost, cost_picos, quantity, tags, currency from charge")
    assert found == [
        ("0.000000000015", 15, "2000", '{"a": "2", "b": "1"}', "USD"),
        ("7.123", None, None, None, "EUR"),
    ]


def test_one_cost_measure_per_ledger(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    file = bill.file(tmp_path / "a", charge("1"))
    ledger.import_file(bill, file, Defaults(cost_measure="effective"))
    ledger.import_file(bill, file)
    assert bill.measures == ["effective", "effective"]
    with pytest.raises(ImportFailed, match=r"have the cost measure effective: unblended can't be added to it"):
        ledger.import_file(bill, file, Defaults(cost_measure="unblended"))


def test_billed_and_unblended_are_one_measure(ledger: Ledger, bill: Bill, tmp_path: Path) -> None:
    refused = bill.file(tmp_path / "a", Refused(1, "no"))
    ledger.import_file(bill, refused, Defaults(cost_measure="effective"))  # nothing came in, so nothing is chosen
    file = bill.file(tmp_path / "b", charge("1"))
    for measure in (None, "unblended", "billed", None):
        ledger.import_file(bill, file, Defaults(cost_measure=measure))
    assert query(ledger, "select value from ledger_meta where key = 'cost_measure'") == [("billed",)]


def test_a_bill_is_allocated_in_the_same_transaction(
    ledger: Ledger, bill: Bill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record_tool_call(**tool_call(resource_id="b"))
    ledger.import_file(bill, bill.file(tmp_path / "a", charge("1", resource_id="b")))
    assert query(ledger, "select cost_usd, cost_source from tool_cost") == [(1.0, "allocated")]

    def broken(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agent_ledger.importing.allocate", broken)
    with pytest.raises(KeyboardInterrupt):
        ledger.import_file(bill, bill.file(tmp_path / "b", charge("1", "2", resource_id="b")))
    assert query(ledger, COUNTED) == [("1", "1")]
