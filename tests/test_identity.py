"""Which row counts when several tell of the same inference or tool call: whatever the order, each once (C26-C30)."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import add_prices, call, counted, price, query, raw, temporary_ledger, tool_call

from agent_ledger import Ledger
from agent_ledger.validation import EVIDENCE

pytestmark = pytest.mark.usefixtures("no_sources")

MESSAGE, OTHER = "msg_01AbCdEfGhIjKlMnOpQrStUv", "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012"
T1, T2, T3 = (f"2026-01-1{day}T12:00:00.000Z" for day in (1, 2, 3))
slow = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def record(ledger: Ledger, *facts: dict[str, Any]) -> list[bool]:
    return [ledger.record_call(**call(**fact)) for fact in facts]


def outputs(ledger: Ledger) -> list[int]:
    """completion_tokens of the rows that count."""
    return sorted(row["completion_tokens"] for row in ledger.rows("usage"))


def reasons(ledger: Ledger) -> list[str]:
    return [reason for (reason,) in query(ledger, "select reason from superseded_call order by id")]


def test_the_same_row_is_stored_once(ledger: Ledger) -> None:
    assert record(ledger, {}, {}, {"ts": "2026-01-16"}) == [True, False, False]
    assert query(ledger, "select count(*) from ledger") == [(1,)]
    assert reasons(ledger) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"agent_id": "b"}, {"model": "n"}, {"prompt_tokens": 101}, {"completion_tokens": 11}, {"provider": "p"},
        {"customer_id": "c"}, {"session_id": "s"}, {"feature": "f"}, {"cache_read_tokens": 1},
        {"cache_write_tokens": 1}, {"reasoning_tokens": 1}, {"web_search_requests": 1}, {"service_tier": "batch"},
        {"region": "us"}, {"response_id": "x"}, {"tier_tokens": 1}, {"evidence": "log"}, {"reported_cost_usd": 1.0},
        {"anomaly": "odd"}, {"usage": {"u": 1}}, {"prompt_tokens": None}, {"completion_tokens": None},
    ],
)  # fmt: skip
def test_c28_a_row_that_differs_anywhere_is_kept_but_one_counts(ledger: Ledger, changes: dict[str, Any]) -> None:
    assert record(ledger, {}, changes) == [True, True]
    assert query(ledger, "select count(*) from ledger") == [(2,)]
    assert len(ledger.rows("usage")) == 1
    assert len(reasons(ledger)) == 1


def test_c28_other_content_under_the_same_id_is_a_conflict(ledger: Ledger) -> None:
    record(ledger, {"completion_tokens": 10}, {"completion_tokens": 20})
    assert reasons(ledger) == ["conflict"]
    [row] = ledger.rows("request_conflicts")
    assert row["request_id"] == "r"


def test_c26_the_providers_id_need_not_be_unique(ledger: Ledger) -> None:
    record(ledger, {"request_id": "r1", "response_id": "x"}, {"request_id": "r2", "response_id": "x"})
    assert len(ledger.rows("usage")) == 2


def test_c27_calls_without_ids_are_all_kept(ledger: Ledger) -> None:
    assert record(ledger, {"request_id": None}, {"request_id": None}) == [True, True]
    assert len(ledger.rows("usage")) == 2


def test_responses_and_parts_of_one_request_are_inferences_of_their_own(ledger: Ledger) -> None:
    record(
        ledger,
        {"response_id": "x", "part": 0, "completion_tokens": 1},
        {"response_id": "x", "part": 1, "completion_tokens": 2},
        {"response_id": "y", "part": 0, "completion_tokens": 3},
    )
    assert outputs(ledger) == [1, 2, 3]


@pytest.mark.parametrize("reverse", [False, True])
def test_c30_an_account_without_response_id_is_of_the_same_call(ledger: Ledger, reverse: bool) -> None:
    facts = [{"response_id": "x", "evidence": "response"}, {"response_id": None, "evidence": "span"}]
    record(ledger, *(reversed(facts) if reverse else facts))
    [row] = ledger.rows("usage")
    assert row["response_id"] == "x"
    assert reasons(ledger) == ["duplicate"]


@pytest.mark.parametrize("reverse", [False, True])
def test_c29_a_batch_that_is_polled_counts_once(ledger: Ledger, reverse: bool) -> None:
    facts = [{"evidence": "partial", "completion_tokens": 1}, {"evidence": "response", "completion_tokens": 9}]
    record(ledger, *(reversed(facts) if reverse else facts))
    assert outputs(ledger) == [9]
    assert reasons(ledger) == ["revised"]
    assert ledger.rows("request_conflicts") == []


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_c30_one_response_seen_by_several_observers_counts_once(ledger: Ledger, order: tuple[int, ...]) -> None:
    """The SDK, a tracer that knows only the response, another that counts too much, and a transcript."""
    facts = [
        {"request_id": "req_1", "response_id": MESSAGE, "evidence": "stream", "ts": T1, "agent_id": "a"},
        {"request_id": MESSAGE, "response_id": MESSAGE, "evidence": "span", "ts": T1, "agent_id": "a"},
        {"request_id": "trace:2", "response_id": MESSAGE, "evidence": "span", "ts": T2, "completion_tokens": 99},
        {"request_id": "req_1", "response_id": MESSAGE, "evidence": "log", "ts": T3, "agent_id": "a"},
    ]
    record(ledger, *(facts[index] for index in order))
    [row] = ledger.rows("usage")
    assert (row["request_id"], row["evidence"], row["completion_tokens"]) == ("req_1", "stream", 10)
    assert len(ledger.rows("ledger")) == 4, "all of them can be traced"
    assert ledger.rows("request_conflicts") == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_account_without_response_id_follows_its_request(ledger: Ledger, order: tuple[int, ...]) -> None:
    """The request's own response may have been superseded by an account of the same response under another id."""
    facts = [
        {"request_id": "r", "response_id": None, "completion_tokens": 1},
        {"request_id": "r", "response_id": MESSAGE, "evidence": "span", "completion_tokens": 2},
        {"request_id": "req_1", "response_id": MESSAGE, "evidence": "response", "completion_tokens": 3},
    ]
    record(ledger, *(facts[index] for index in order))
    assert outputs(ledger) == [3]


def test_c26_what_an_sdk_got_under_two_request_ids_are_two_calls(ledger: Ledger) -> None:
    """Some servers give every answer the same id."""
    both = {"response_id": MESSAGE, "evidence": "response"}
    record(ledger, {"request_id": "r1", **both}, {"request_id": "r2", **both})
    assert len(ledger.rows("usage")) == 2


@pytest.mark.parametrize("reverse", [False, True])
def test_an_answer_that_was_kept_without_its_request_id_is_the_same_call(ledger: Ledger, reverse: bool) -> None:
    """Recorded bodies are imported with the response's id as the request's."""
    facts = [
        {"request_id": request_id, "response_id": MESSAGE, "evidence": "response"} for request_id in ("r1", MESSAGE)
    ]
    record(ledger, *(reversed(facts) if reverse else facts))
    assert len(ledger.rows("usage")) == 1


def test_a_long_response_id_that_others_record_with_other_content_is_a_conflict(ledger: Ledger) -> None:
    both = {"response_id": MESSAGE, "evidence": "manual"}
    record(ledger, {"request_id": "r1", **both}, {"request_id": "r2", "completion_tokens": 77, **both})
    assert len(ledger.rows("usage")) == 1
    [row] = ledger.rows("request_conflicts")
    assert row["other_id"] == MESSAGE


def test_who_called_may_be_unknown_to_one_observer(ledger: Ledger) -> None:
    record(
        ledger,
        {"request_id": "req_1", "response_id": MESSAGE, "evidence": "response", "agent_id": "a"},
        {"request_id": "t:1", "response_id": MESSAGE, "evidence": "span", "agent_id": "(unattributed)"},
    )
    assert [row["agent_id"] for row in ledger.rows("usage")] == ["a"]
    assert reasons(ledger) == ["revised"]


BETTER = ["partial", "span", "log", "header", "response"]


@pytest.mark.parametrize(("worse", "better"), list(pairwise(BETTER)))
@pytest.mark.parametrize("reverse", [False, True])
def test_the_better_evidence_counts(ledger: Ledger, worse: str, better: str, reverse: bool) -> None:
    facts = [
        {"evidence": worse, "completion_tokens": 99, "ts": T1},
        {"evidence": better, "completion_tokens": 1, "ts": T2},
    ]
    record(ledger, *(reversed(facts) if reverse else facts))
    assert outputs(ledger) == [1]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_the_later_line_of_a_log_counts(ledger: Ledger, order: tuple[int, ...]) -> None:
    lines = [{"evidence": "log", "ts": ts, "completion_tokens": n} for ts, n in ((T1, 5), (T2, 9), (T3, 7))]
    record(ledger, *(lines[index] for index in order))
    assert outputs(ledger) == [7]
    assert set(reasons(ledger)) == {"revised"}


@pytest.mark.parametrize("reverse", [False, True])
def test_the_earlier_of_other_records_counts(ledger: Ledger, reverse: bool) -> None:
    facts = [{"ts": T1, "completion_tokens": 5}, {"ts": T2, "completion_tokens": 9}]
    record(ledger, *(reversed(facts) if reverse else facts))
    assert outputs(ledger) == [5]


def test_another_customer_is_a_conflict_and_an_unknown_one_is_not(ledger: Ledger) -> None:
    record(ledger, {"customer_id": "acme"}, {"customer_id": None}, {"request_id": "q", "customer_id": "acme"})
    assert reasons(ledger) == ["duplicate"]
    record(ledger, {"request_id": "q", "customer_id": "beta"})
    assert reasons(ledger) == ["duplicate", "conflict"]


def test_every_chain_of_superseded_rows_ends_at_one_that_counts(ledger: Ledger) -> None:
    record(ledger, *({"evidence": evidence, "completion_tokens": n} for n, evidence in enumerate(EVIDENCE)))
    known = dict(query(ledger, "select id, by_id from superseded_call"))
    [row] = ledger.rows("usage")
    for start in known:
        seen = [start]
        while seen[-1] in known:
            seen.append(known[seen[-1]])
            assert len(seen) < 20
        assert seen[-1] == row["id"]


# What determines the cost and the owner of a call; the time aside, see test_the_time_of_the_same_row_does_not_decide.
CONTENT = (
    *("agent_id", "model", "provider", "prompt_tokens", "completion_tokens", "cache_read_tokens", "customer_id"),
    *("cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "web_search_requests", "service_tier"),
    *("region", "tier_tokens", "reported_cost_usd", "anomaly", "usage", "feature", "part", "response_id"),
)


def content(ledger: Ledger) -> Counter[str]:
    """The rows that count, without their ids and times."""
    return Counter(json.dumps([row[name] for name in CONTENT]) for row in counted(ledger))


def totals(ledger: Ledger) -> list[dict[str, Any]]:
    return [*ledger.rows("cost_by_agent"), *ledger.rows("cost_by_customer"), *ledger.rows("cost_by_model")]


@st.composite
def accounts(draw: st.DrawFn, **fixed: st.SearchStrategy[Any]) -> dict[str, Any]:
    """One account of one of few inferences. The time follows from what is said, as in a log that is read twice."""
    reads = draw(st.sampled_from([None, 0, 5]))
    fields: dict[str, Any] = {
        "agent_id": draw(st.sampled_from(["a", "a", "b"])),
        "request_id": draw(st.sampled_from(["r", "s", MESSAGE])),
        "response_id": draw(st.sampled_from([None, "x", "y", MESSAGE, OTHER])),
        "part": draw(st.sampled_from([0, 0, 1])),
        "evidence": draw(st.sampled_from(EVIDENCE)),
        "prompt_tokens": draw(st.sampled_from([100, 101])),
        "completion_tokens": draw(st.sampled_from([10, 11])),
        "cache_read_tokens": reads,
        **{name: draw(strategy) for name, strategy in fixed.items()},
    }
    minute = fields["prompt_tokens"] + fields["completion_tokens"] - 110
    return call(**fields, ts=f"2026-01-15T12:0{minute}:00.000Z")


def same_in_any_order(facts: list[dict[str, Any]], chance: random.Random) -> None:
    rate = price(input=3, cache_read=1, cache_write=5, cache_write_1h=7, output=11, reasoning=13, web_search=1000)
    with temporary_ledger() as one, temporary_ledger() as other:
        shuffled = list(facts)
        chance.shuffle(shuffled)
        for ledger, order in ((one, facts), (other, shuffled)):
            ledger.record_calls(order)
            add_prices(ledger, rate)
        assert content(one) == content(other)
        assert totals(one) == totals(other)


@pytest.mark.slow
@slow
@given(st.lists(accounts(), min_size=2, max_size=7), st.randoms(use_true_random=False))
def test_the_order_does_not_decide(facts: list[dict[str, Any]], chance: random.Random) -> None:
    same_in_any_order(facts, chance)


DETAILS: dict[str, st.SearchStrategy[Any]] = {
    "cache_write_tokens": st.sampled_from([None, 20, 30]),
    "cache_write_1h_tokens": st.sampled_from([None, 5, 20]),
    "reasoning_tokens": st.sampled_from([None, 1, 9]),
    "web_search_requests": st.sampled_from([None, 1, 2]),
    "tier_tokens": st.sampled_from([None, 1, 200]),
    "reported_cost_usd": st.sampled_from([None, 0.5, 1.5]),
    "anomaly": st.sampled_from([None, "odd", "odder"]),
    "usage": st.sampled_from([None, {"u": 1}, {"u": 2}]),
    "customer_id": st.sampled_from([None, "acme", "beta"]),
    "session_id": st.sampled_from([None, "s1", "s2"]),
    "feature": st.sampled_from([None, "f", "g"]),
    "provider": st.sampled_from([None, "p", "q"]),
    "service_tier": st.sampled_from([None, "batch", "flex"]),
    "region": st.sampled_from([None, "us", "eu"]),
    "model": st.sampled_from(["m", "n"]),
}


@pytest.mark.parametrize("name", DETAILS)
def test_the_order_of_rows_that_differ_in_one_thing_does_not_decide(ledger: Ledger, name: str) -> None:
    """Everything that decides about money must take part in the rank, so that no two rows that differ tie."""
    # The strategies sample from lists; their last two values always differ.
    values = {"model": ["m", "n"]}.get(name) or list(DETAILS[name].elements)[1:]  # type: ignore[attr-defined]
    base = {"cache_write_tokens": 20} if name == "cache_write_1h_tokens" else {}
    with temporary_ledger() as other:
        record(ledger, *({**base, name: value} for value in values))
        record(other, *({**base, name: value} for value in reversed(values)))
        assert content(ledger) == content(other)


@pytest.mark.slow
@slow
@given(st.data(), st.randoms(use_true_random=False))
def test_the_order_does_not_decide_whatever_differs(data: st.DataObject, chance: random.Random) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(DETAILS)), max_size=3, unique=True))
    if "cache_write_1h_tokens" in names:
        names = [name for name in names if name != "cache_write_tokens"]
    fixed = {name: DETAILS[name] for name in names}
    if "cache_write_1h_tokens" in names:
        fixed["cache_write_tokens"] = st.just(20)
    same_in_any_order(data.draw(st.lists(accounts(**fixed), min_size=2, max_size=6)), chance)


@pytest.mark.parametrize("evidence", ["log", "response"])
def test_the_time_of_the_same_row_does_not_decide(ledger: Ledger, evidence: str) -> None:
    """The same content at two times, and another in between: a repeated row is ignored, so its time must not matter."""
    facts = [{"evidence": evidence, "ts": ts, "completion_tokens": n} for ts, n in ((T1, 1), (T2, 2), (T3, 1))]
    with temporary_ledger() as other:
        record(ledger, *facts)
        record(other, *reversed(facts))
        assert content(ledger) == content(other)


# -- tool calls -------------------------------------------------------------------------------------------------------


def tools(ledger: Ledger) -> Counter[str]:
    with raw(ledger) as connection:
        found = connection.execute(
            "select request_id, tool_call_id, tool, resource_id, operation, agent_id, units, cost_usd, duration_ms,"
            " status, error_type, arguments_digest, result_bytes from audit"
            " where id not in (select id from superseded_tool_call)"
        ).fetchall()
    return Counter(map(str, found))


def test_the_same_tool_call_is_stored_once(ledger: Ledger) -> None:
    fields = tool_call(units=1.5, unit="s", cost_usd=0.25)
    assert [ledger.record_tool_call(**fields), ledger.record_tool_call(**{**fields, "ts": T1})] == [True, False]


def test_tool_calls_without_an_id_are_all_kept(ledger: Ledger) -> None:
    assert [ledger.record_tool_call(**tool_call(tool_call_id=None)) for _ in range(2)] == [True, True]
    assert len(tools(ledger)) >= 1
    assert sum(tools(ledger).values()) == 2


@pytest.mark.parametrize("reverse", [False, True])
def test_the_account_that_knows_how_a_tool_call_ended_counts(ledger: Ledger, reverse: bool) -> None:
    facts = [tool_call(status=None), tool_call(status="ok", duration_ms=3)]
    for fact in reversed(facts) if reverse else facts:
        ledger.record_tool_call(**fact)
    assert query(ledger, "select status from audit where id not in (select id from superseded_tool_call)") == [("ok",)]
    assert query(ledger, "select reason from superseded_tool_call") == [("revised",)]


def test_another_tool_under_the_same_id_is_a_conflict(ledger: Ledger) -> None:
    for tool in ("read", "write"):
        ledger.record_tool_call(**tool_call(tool=tool))
    assert query(ledger, "select reason from superseded_tool_call") == [("conflict",)]
    assert [row["kind"] for row in ledger.rows("request_conflicts")] == ["tool"]


def test_an_account_that_does_not_say_contradicts_nobody(ledger: Ledger) -> None:
    """The client of a tool knows its agent, the server what it touched."""
    ledger.record_tool_call(**tool_call(agent_id="a", duration_ms=9))
    ledger.record_tool_call(**tool_call(resource_id="bucket", units=2, duration_ms=8, error_type="KeyError"))
    assert query(ledger, "select reason from superseded_tool_call") == [("revised",)]
    assert ledger.rows("request_conflicts") == []


@pytest.mark.parametrize("reverse", [False, True])
def test_a_tool_call_without_a_request_is_the_one_with_it(ledger: Ledger, reverse: bool) -> None:
    """A server's span and the client that asked know the same id of the call, but only one knows the request."""
    facts = [tool_call(request_id=None, resource_id="bucket"), tool_call(request_id="r1"), tool_call(request_id="r2")]
    for fact in reversed(facts) if reverse else facts:
        ledger.record_tool_call(**fact)
    counted = query(ledger, "select request_id from audit where id not in (select id from superseded_tool_call)")
    assert sorted(counted) == [("r1",), ("r2",)]


def test_the_id_of_a_tool_call_is_that_of_its_request(ledger: Ledger) -> None:
    for request in ("r1", "r2"):
        ledger.record_tool_call(**tool_call(request_id=request))
    assert sum(tools(ledger).values()) == 2


@st.composite
def tool_accounts(draw: st.DrawFn) -> dict[str, Any]:
    fields = {
        "request_id": draw(st.sampled_from([None, "r", "s"])),
        "tool_call_id": draw(st.sampled_from(["x", "y"])),
        "tool": draw(st.sampled_from(["t", "u"])),
        "server": draw(st.sampled_from([None, "srv"])),
        "status": draw(st.sampled_from([None, "ok", "error"])),
        "resource_id": draw(st.sampled_from([None, "bucket"])),
        "operation": draw(st.sampled_from([None, "get", "put"])),
        "agent_id": draw(st.sampled_from([None, "a"])),
        "units": draw(st.sampled_from([None, 1, 2.5])),
        "unit": draw(st.sampled_from([None, "s"])),
        "cost_usd": draw(st.sampled_from([None, 0.5])),
        "duration_ms": draw(st.sampled_from([None, 5])),
        "error_type": draw(st.sampled_from([None, "exception", "KeyError"])),
        "arguments_digest": draw(st.sampled_from([None, "d", "e"])),
        "result_bytes": draw(st.sampled_from([None, 1, 2])),
    }
    minute = sum(map(ord, f"{fields['tool']}{fields['status']}")) % 3
    return {**fields, "ts": f"2026-01-15T12:0{minute}:00.000Z"}


@slow
@given(st.lists(tool_accounts(), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_tool_calls_does_not_decide(facts: list[dict[str, Any]], chance: random.Random) -> None:
    with temporary_ledger() as one, temporary_ledger() as other:
        shuffled = list(facts)
        chance.shuffle(shuffled)
        one.record_tool_calls(facts)
        other.record_tool_calls(shuffled)
        assert tools(one) == tools(other)


@pytest.mark.parametrize("statement", ["delete from superseded_call", "update superseded_call set by_id = id"])
def test_which_row_counts_can_not_be_changed_by_hand(ledger: Ledger, statement: str) -> None:
    ledger.record_calls([call(prompt_tokens=1), call(prompt_tokens=2)])
    with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError, match="never changed by hand"):
        connection.execute(statement)
    assert len(ledger.rows("superseded_call")) == 1


def test_which_tool_call_counts_can_not_be_changed_by_hand(ledger: Ledger) -> None:
    ledger.record_tool_calls([tool_call(tool_call_id="t", status="ok"), tool_call(tool_call_id="t", status="error")])
    for statement in ("delete from superseded_tool_call", "update superseded_tool_call set by_id = id"):
        with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError, match="never changed by hand"):
            connection.execute(statement)
    assert len(ledger.rows("superseded_tool_call")) == 1


def test_recording_does_not_get_slower_as_the_ledger_grows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """Steps of SQLite's machine for one row with all its ids: the triggers find other accounts by index."""

    def steps(name: str) -> int:
        row = {"request_id": f"request {name}", "response_id": f"msg_01 of {name}, which is long"}
        values = call(**row, provider="p")
        columns = ", ".join(values)
        with raw(ledger) as connection:
            count = 0

            def step() -> int:
                nonlocal count
                count += 1
                return 0

            connection.set_progress_handler(step, 1)
            connection.execute(
                f"insert into ledger ({columns}) values ({', '.join('?' * len(values))})", list(values.values())
            )
            connection.set_progress_handler(None, 0)
        return count

    steps("the first")
    few = steps("second")
    ledger.record_calls(
        call(request_id=f"r{number}", response_id=f"msg_01 response number {number:08d}") for number in range(2_000)
    )
    ledger.compact()
    ledger.record_tool_calls({"tool": "t", "request_id": f"r{number}"} for number in range(2_000))
    assert steps("last") < 2 * few
