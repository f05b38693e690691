"""Reservations: exactly as many calls are admitted as there is room for, whoever asks at once or is killed."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

import anthropic
import pytest
from directed import cap, throttle
from hypothesis import given
from hypothesis import strategies as st
from replay import Answer, Replay, anthropic_message
from support import add_prices, call, exit_code, price, query, raw, start_child, temporary_ledger

from agent_ledger import BudgetExceeded, InvalidRecord, Ledger, LedgerError, attribute

pytestmark = pytest.mark.usefixtures("no_sources")


def admitted(ledger: Ledger, times: int, **ask: Any) -> int:
    """How many of so many attempts get a reservation that nobody settles."""
    found = 0
    for _ in range(times):
        try:
            ledger.reserve("scraper", **ask)
        except BudgetExceeded:
            continue
        found += 1
    return found


def left(ledger: Ledger) -> float:
    [row] = ledger.rows("hard_cap")
    return float(row["left_usd"])


def test_as_many_as_fit_and_the_next_is_told_why(ledger: Ledger) -> None:
    cap(ledger, usd=1)
    assert admitted(ledger, 10, usd="0.3") == 3
    with pytest.raises(
        BudgetExceeded, match=r"budget scraping has a hard cap at 100 %, and only 0.100000 dollars are left"
    ):
        ledger.reserve("scraper", usd="0.3")
    assert admitted(ledger, 1, usd="0.1") == 1
    assert left(ledger) == 0
    assert admitted(ledger, 1, usd=0) == 1


def test_what_is_spent_counts_and_what_is_settled_does_not(ledger: Ledger) -> None:
    add_prices(ledger, price(input=10**9, output=0))
    cap(ledger, usd=1)
    with ledger.reserve("scraper", usd="0.4") as held:
        assert left(ledger) == pytest.approx(0.6)
        ledger.record_call(**call(agent_id="scraper", prompt_tokens=250, completion_tokens=0, ts=None))
        assert left(ledger) == pytest.approx(0.35)
    assert (left(ledger), held.id) == (pytest.approx(0.75), None)
    held.settle()  # again, which is harmless
    assert admitted(ledger, 9, usd="0.25") == 3


def test_only_its_own_calls_count_against_a_cap(ledger: Ledger) -> None:
    ledger.assign("scraper", team="data")
    for scope, key in (("team", "data"), ("model", "m-20260101"), ("customer", "acme"), ("everything", "(everything)")):
        cap(ledger, scope=scope, key=key, name=scope)
    ledger.reserve("other", usd="1")
    with pytest.raises(BudgetExceeded, match="budget everything"):
        ledger.reserve("other", usd="0.01")
    with raw(ledger) as connection:
        connection.execute("delete from reservation")
    with ledger.reserve("scraper", "m", usd="0.5", customer_id="acme") as held:
        assert query(ledger, "select budget from reservation where id = ? order by 1", held.id) == [
            ("customer",), ("everything",), ("model",), ("team",)
        ]  # fmt: skip
    assert query(ledger, "select count(*) from reservation") == [(0,)]


def test_without_a_cap_nothing_is_written(ledger: Ledger) -> None:
    cap(ledger, hard_percent=None)
    assert ledger.reserve("scraper", usd=9).id is None
    cap(ledger, key="other", name="other")
    assert ledger.reserve("scraper", usd=9).id is None
    assert query(ledger, "select count(*) from reservation") == [(0,)]


def test_an_exception_opens_the_cap(ledger: Ledger) -> None:
    cap(ledger)
    with raw(ledger) as connection:
        connection.execute(
            "insert into budget_exception (budget, valid_from, valid_until, granted_by)"
            " values ('scraping', '2026-01-01T00:00:00.000Z', '2999-01-01T00:00:00.000Z', 'mia')"
        )
    assert ledger.reserve("scraper", usd=9).id is None


def test_a_cap_above_the_limit_in_tokens(ledger: Ledger) -> None:
    cap(ledger, usd=None, tokens=1000, hard_percent=120)
    ledger.record_call(**call(agent_id="scraper", ts=None))  # 110 tokens
    assert admitted(ledger, 9, tokens=500) == 2
    with pytest.raises(LedgerError, match="say how many tokens"):
        ledger.reserve("scraper", usd=1)


def test_a_cap_in_a_currency_without_a_rate_is_not_guessed(ledger: Ledger) -> None:
    cap(ledger, currency="EUR")
    with pytest.raises(LedgerError, match="no exchange rate is known for EUR"):
        ledger.reserve("scraper", usd=1)
    with pytest.raises(LedgerError, match="say how many dollars"):
        ledger.reserve("scraper", tokens=1)


@pytest.mark.parametrize(
    ("field", "given"),
    [("usd", "much"), ("usd", -1), ("usd", 10_001), ("usd", float("nan")), ("tokens", -1), ("tokens", 1.5),
     ("tokens", True), ("expires_in_s", 0), ("expires_in_s", 10**6)],
)  # fmt: skip
def test_a_bad_amount_is_named(ledger: Ledger, field: str, given: Any) -> None:
    with pytest.raises(InvalidRecord) as refused:
        ledger.reserve("scraper", **{"usd": 1, field: given})
    assert refused.value.field == field


def test_who_is_killed_holds_the_room_until_it_expires_and_that_is_said(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    cap(ledger, usd=1)

    def work() -> None:
        ledger.reserve("scraper", usd=1, expires_in_s=1.5)
        os.kill(os.getpid(), signal.SIGKILL)

    assert exit_code(start_child(work)) == -signal.SIGKILL
    assert admitted(ledger, 3, usd=1) == 0
    with caplog.at_level(logging.WARNING):
        deadline = time.monotonic() + 10
        while not admitted(ledger, 1, usd=1):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert "Reservations of scraper expired unsettled" in caplog.text
    assert query(ledger, "select agent_id, state, picos from reservation order by state") == [
        ("scraper", "expired", 10**12), ("scraper", "open", 10**12)
    ]  # fmt: skip


def test_threads_and_processes_together_pass_no_cap(ledger: Ledger) -> None:
    """12 who ask ten times each for a thirtieth of what there is: thirty are admitted."""
    cap(ledger, usd=3)
    read, write = os.pipe()

    def work() -> None:
        with Ledger(ledger.path) as own:
            found: list[int] = []
            threads = [threading.Thread(target=lambda: found.append(admitted(own, 10, usd="0.1"))) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        os.write(write, bytes([sum(found)]))

    children = [start_child(work) for _ in range(4)]
    assert [exit_code(child) for child in children] == [0] * 4
    assert sum(os.read(read, 4)) == 30
    assert left(ledger) == 0
    os.close(read)
    os.close(write)


def test_what_is_settled_goes_to_others_and_never_more_than_fit_are_in_at_once(ledger: Ledger) -> None:
    cap(ledger, usd=1)
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        done = 0
        while done < 5:
            try:
                with ledger.reserve("scraper", usd="0.4"):
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    time.sleep(0.001)
                    with lock:
                        inside -= 1
                done += 1
            except BudgetExceeded:
                time.sleep(0.001)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, left(ledger)) == (2, 1)


def test_the_room_that_is_left_is_exact() -> None:
    amounts = st.integers(0, 10**16)
    with temporary_ledger() as ledger:
        cap(ledger)

        @given(st.integers(1, 10**11), st.integers(100, 300), st.lists(amounts, max_size=6), amounts)
        def holds(micros: int, percent: int, held: list[int], asked: int) -> None:
            with raw(ledger) as connection:
                connection.execute("delete from reservation")
                connection.execute(
                    "insert into budget (name, event, valid_from, scope, key, period, zone, basis, limit_micros,"
                    " currency, on_breach, hard_percent) values"
                    " ('scraping', 'set', '2026-01-01T00:00:00.000Z', 'agent', 'scraper', 'month', 'UTC', 'llm', ?,"
                    " 'USD', 'notify', ?)",
                    [micros, percent],
                )
                connection.executemany(
                    "insert into reservation (id, budget, agent_id, made_at, expires_at, picos) values"
                    " (?, 'scraping', 'scraper', '2026-01-01T00:00:00.000Z', '2999-01-01T00:00:00.000Z', ?)",
                    [(str(number), picos) for number, picos in enumerate(held)],
                )
            room = Fraction(micros * 10**6 * percent, 100) - sum(held)
            [row] = ledger.rows("hard_cap")
            exact = row["left_4096ths"] * 244_140_625 + row["left_picos"]
            assert 0 <= room - exact < 2
            assert row["left_usd"] == float(Fraction(exact, 10**12))
            assert admitted(ledger, 1, usd=f"{asked // 10**12}.{asked % 10**12:012d}") == (exact >= asked)

        holds()


# -- in clients -------------------------------------------------------------------------------------------------------


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def client_of(ledger: Ledger, stack: ExitStack, server: Replay, **rules: Any) -> Any:
    client = stack.enter_context(anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0))
    return ledger.instrument(client, enforce=True, agent_id="scraper", **rules)


ASK: Any = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Pay?"}]}


def test_parallel_calls_of_a_client_pass_no_cap(ledger: Ledger, stack: ExitStack) -> None:
    cap(ledger, usd=1)
    outcomes: list[str] = []
    with Replay(Answer(b"{}", status=500, delay=0.5)) as server:
        client = client_of(ledger, stack, server, reserve_usd="0.4")

        def work() -> None:
            try:
                client.messages.create(**ASK)
            except BudgetExceeded:
                outcomes.append("refused")
            except anthropic.InternalServerError:
                outcomes.append("sent")

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["refused"] * 4 + ["sent"] * 2
    assert query(ledger, "select count(*) from reservation") == [(0,)]  # settled, also where the call failed
    assert query(ledger, "select requested_model, directive_id from enforced_call") == [("claude-sonnet-5", None)] * 4


def test_a_call_is_settled_when_it_is_recorded_and_reserved_for_the_model_that_it_goes_to(
    ledger: Ledger, stack: ExitStack
) -> None:
    cap(ledger, scope="model", key="claude-haiku-5")
    throttle(ledger, {"claude-sonnet-*": "claude-haiku-5"})
    during: list[Any] = []

    def answer(_: Any) -> Answer:
        during.append(query(ledger, "select picos, (select count(*) from ledger) from reservation"))
        return Answer.json(anthropic_message())

    with Replay(answer) as server, attribute(agent_id="scraper"):
        client_of(ledger, stack, server, reserve_usd="0.4").messages.create(**ASK)
    assert during == [[(4 * 10**11, 0)]]
    assert query(ledger, "select count(*), (select count(*) from ledger) from reservation") == [(0, 1)]


@pytest.mark.parametrize("fail_closed", [False, True])
def test_what_can_t_be_reserved_goes_out_or_not_as_asked(
    ledger: Ledger, stack: ExitStack, caplog: pytest.LogCaptureFixture, fail_closed: bool
) -> None:
    cap(ledger, usd=None, tokens=10**6)
    with Replay(Answer.json(anthropic_message())) as server:
        client = client_of(ledger, stack, server, reserve_usd="0.4", fail_closed=fail_closed)
        if fail_closed:
            with pytest.raises(BudgetExceeded, match=r"nothing can be reserved: .* say how many tokens"):
                client.messages.create(**ASK)
        else:
            client.messages.create(**ASK)
            assert "go out without a reservation" in caplog.text
    assert len(server.requests) == (0 if fail_closed else 1)
