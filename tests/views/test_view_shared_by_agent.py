from __future__ import annotations

from decimal import Decimal

import pytest
from billed import billed
from hypothesis import given, settings
from hypothesis import strategies as st
from support import add_charge, add_delivery, query, raw, temporary_ledger, tool_call

from agent_ledger import Ledger
from agent_ledger.shares import SCALE, split

PICOS_PER_4096TH = 244_140_625
EXACT = f"""
  select agent_id, direct_4096ths * {PICOS_PER_4096TH} + direct_picos, shared_4096ths, shared_picos
  from shared_by_agent where month = '2026-01' order by agent_id
"""


def in_dollars(ledger: Ledger) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    rows = ledger.rows("shared_by_agent")
    return {(row["month"], row["agent_id"]): (row["direct_usd"], row["shared_usd"]) for row in rows}


def shared(ledger: Ledger) -> dict[str, int]:
    """What each agent takes of January, in picos."""
    rows = query(ledger, EXACT)
    assert all(0 <= picos < PICOS_PER_4096TH for *_, picos in rows)
    return {agent: whole * PICOS_PER_4096TH + picos for agent, _, whole, picos in rows}


def spend(ledger: Ledger, rest: str, costs: dict[str, object]) -> None:
    """Agents with a tool call each, and a line of a bill that nobody claims."""
    for agent, cost in costs.items():
        ledger.record_tool_call(**tool_call(agent_id=agent, tool_call_id=agent, cost_usd=cost, ts="2026-01-15T12:00Z"))
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection), "1", rest)


@pytest.mark.usefixtures("no_sources")
def test_given_rows_expected_rows(ledger: Ledger) -> None:
    billed(ledger)
    direct = {
        ("2026-01", "a"): 0.50025,
        ("2026-02", "(unattributed)"): None,
        ("2026-02", "a"): 0.7503,
        ("2026-02", "b"): 0.25,
    }
    nothing = {key: (usd, 0.0) for key, usd in direct.items()}
    assert in_dollars(ledger) == nothing
    ledger.set_sharing("even")
    assert in_dollars(ledger) == {
        ("2026-01", "a"): (0.50025, -0.5),
        ("2026-02", "(unattributed)"): (None, 0.666666666667),
        ("2026-02", "a"): (0.7503, 0.666666666667),
        ("2026-02", "b"): (0.25, 0.666666666666),
    }
    ledger.set_sharing("proportional")
    found = in_dollars(ledger)
    assert {key: usd for key, (usd, _) in found.items()} == direct
    assert found["2026-02", "(unattributed)"] == (None, 0.0)
    assert found["2026-02", "a"][1] == pytest.approx(2 * 0.7503 / 1.0003, abs=1e-8)
    ledger.set_sharing("fixed", {"b": 3, "a": "1", "nobody": 7})
    assert [usd for _, usd in in_dollars(ledger).values()] == [-0.5, 0.0, 0.5, 1.5]
    ledger.set_sharing("fixed", {"nobody": 7})
    assert in_dollars(ledger) == nothing, "nobody of these months has a share"
    ledger.set_sharing("even")
    ledger.set_sharing("none")
    assert in_dollars(ledger) == nothing


def test_a_pico_dollar_goes_to_one_agent(ledger: Ledger) -> None:
    spend(ledger, "-0.000000000001", {"a": 1, "b": 2})
    ledger.set_sharing("proportional")
    assert shared(ledger) == {"a": 0, "b": -1}


def test_a_rest_beyond_64_bits(ledger: Ledger) -> None:
    spend(ledger, "9000000", {"a": 1, "b": 2, "c": 4})
    with raw(ledger) as connection:
        for line in range(2, 100):
            add_charge(connection, 1, str(line), "9000000.000000000001")
    ledger.set_sharing("fixed", {"a": 1, "b": 2, "c": 4})
    [rest] = query(ledger, "select tool_4096ths, tool_picos from daily_all_in where agent_id = '(unallocated)'")
    found = shared(ledger)
    assert sum(found.values()) == rest[0] * PICOS_PER_4096TH + rest[1] > 2**63
    assert found["c"] == pytest.approx(sum(found.values()) * 4 / 7, rel=1e-8)


def test_weights_in_plain_sql_that_make_no_sense_take_nothing(ledger: Ledger) -> None:
    spend(ledger, "3", {"a": 1, "b": 2, "c": 4})
    with raw(ledger) as connection:
        shares = '{"a": -1, "b": "x", "c": 2}'
        connection.execute("insert into sharing_rule (method, shares) values ('fixed', ?)", [shares])
    assert shared(ledger) == {"a": 0, "b": 0, "c": 3 * 10**12}


WEIGHTS = st.dictionaries(
    st.sampled_from([*"abcdefg", "(unattributed)", 'O\'Brien "é"']), st.integers(0, 10**6), min_size=1, max_size=9
)


@settings(max_examples=60, deadline=None)
@given(
    rest=st.integers(-(2**62), 2**62) | st.integers(-20, 20),
    weights=WEIGHTS,
    method=st.sampled_from(["none", "even", "proportional", "fixed"]),
)
def test_the_parts_add_up_to_the_rest_and_direct_cost_stays(rest: int, weights: dict[str, int], method: str) -> None:
    with temporary_ledger() as ledger:
        spend(ledger, str(Decimal(rest).scaleb(-12)), dict(weights))
        before = [row[:2] for row in query(ledger, EXACT)]
        if method == "fixed" and not any(weights.values()):
            method = "none"
        ledger.set_sharing(method, weights if method == "fixed" else None)
        assert [row[:2] for row in query(ledger, EXACT)] == before
        found = shared(ledger)
        if method == "none" or (method == "proportional" and not any(weights.values())):
            assert set(found.values()) == {0}
            return
        assert sum(found.values()) == rest
        by = dict.fromkeys(weights, 1) if method == "even" else weights
        total = sum(by.values())
        for agent, picos in found.items():
            assert abs(picos - rest * by[agent] / total) <= 2 + abs(rest) * 1e-8
            assert by[agent] or not picos
        if SCALE % total == 0:  # then the weights to nine decimals are the weights themselves
            agents = sorted(by)
            expected = split(rest, [by[agent] for agent in agents])
            assert found == dict(zip(agents, expected, strict=True))
