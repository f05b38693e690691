from __future__ import annotations

import pytest
from support import call, found_by, price, query, raw

from agent_ledger import Ledger

pytestmark = pytest.mark.usefixtures("no_sources")


@pytest.fixture
def priced(ledger: Ledger) -> Ledger:
    ledger.record_call(**call())
    cut = "2026-01-01T00:00:00.000Z"
    ledger.set_prices(
        [
            price(input=1, output=1, effective_to=cut),
            price(input=2, output=2, effective_from=cut),
            price(input=3, output=3, effective_from=cut, above_tokens=10),
            price(input=4, output=4, effective_from=cut, time_from="22:00", time_to="08:00"),
        ]
    )
    return ledger


def test_a_sound_ledger_has_none(priced: Ledger) -> None:
    assert len(query(priced, "select * from rate")) == 5
    assert found_by(priced, "overlapping_rates") == []


@pytest.mark.parametrize(
    ("column", "value", "condition"),
    [
        ("valid_to", "2026-01-01T00:00:00.001Z", "input = 1"),
        ("time_from", "07:59", "input = 2"),
        ("max_tokens", 12, "input = 2"),
    ],
)
def test_two_prices_at_once(priced: Ledger, column: str, value: object, condition: str) -> None:
    with raw(priced) as connection:
        connection.execute(f"update rate set {column} = ? where {condition}", [value])
    found = found_by(priced, "overlapping_rates")
    assert found
    assert set(found) == {
        ("m of no provider", "two prices hold at 2026-01-01T00:00:00.000Z: run agent-ledger prices LEDGER sync")
    }
