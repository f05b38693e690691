"""What `Ledger.decide` answers, and what happens where the file can't be read."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from directed import block, lift, throttle
from hypothesis import given
from hypothesis import strategies as st
from support import empty_file, exit_code, locked, raw, start_child

from agent_ledger import Decision, Ledger
from agent_ledger.control.decide import mapped

SONNET, HAIKU, NANO = "claude-sonnet-4-5", "claude-haiku-4-5", "gpt-5-nano"
SMALLER = {"claude-sonnet-*": HAIKU}


def test_without_directives_everything_is_allowed(ledger: Ledger) -> None:
    assert ledger.decide("scraper", SONNET) == Decision(True, SONNET, "no directive stands against it")


def test_a_throttle_changes_the_models_that_it_names_and_no_others(ledger: Ledger) -> None:
    directive = throttle(ledger, SMALLER)
    decision = ledger.decide("scraper", SONNET)
    assert (decision.allowed, decision.model, decision.directive_id) == (True, HAIKU, directive)
    assert decision.reason == (
        f"{SONNET} becomes {HAIKU} until 2999-01-01T00:00:00.000Z by budget scraping (directive {directive}): "
        "spent 120 of 100 USD"
    )
    for model in (HAIKU, NANO, None):
        assert ledger.decide("scraper", model) == Decision(True, model, "no directive stands against it")
    assert ledger.decide("other", SONNET).model == SONNET


def test_a_block_says_by_what_and_until_when(ledger: Ledger) -> None:
    directive = block(ledger)
    decision = ledger.decide("scraper", SONNET)
    assert (decision.allowed, decision.model, decision.directive_id) == (False, SONNET, directive)
    assert "blocked until 2999-01-01T00:00:00.000Z by budget scraping" in decision.reason
    assert not ledger.decide("scraper", None).allowed


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("agent", "scraper"),
        ("team", "data"),
        ("feature", "crawl"),
        ("customer", "acme"),
        ("model", SONNET),
        ("everything", "(everything)"),
    ],
)
def test_every_scope_holds_for_its_own_and_for_nobody_else(ledger: Ledger, scope: str, key: str) -> None:
    ledger.assign("scraper", team="data", feature="crawl")
    ledger.assign("other", team="web", feature="search")
    directive = block(ledger, scope=scope, key=key)
    assert ledger.decide("scraper", SONNET, customer_id="acme").directive_id == directive
    elsewhere = ledger.decide("other", HAIKU, customer_id="umbrella")
    assert elsewhere.allowed is (scope != "everything")


def test_a_call_may_be_of_another_feature_than_its_agent(ledger: Ledger) -> None:
    ledger.assign("scraper", feature="crawl")
    block(ledger, scope="feature", key="crawl")
    assert not ledger.decide("scraper", SONNET).allowed
    assert ledger.decide("scraper", SONNET, feature="search").allowed


def test_the_team_is_that_of_now(ledger: Ledger) -> None:
    block(ledger, scope="team", key="data")
    ledger.assign("scraper", team="data")
    assert not ledger.decide("scraper", SONNET).allowed
    ledger.assign("scraper", team="web", valid_from="2026-01-01")
    ledger.assign("scraper", team="data", valid_from="2999-01-01")
    assert ledger.decide("scraper", SONNET).allowed


def test_a_budget_of_a_model_is_named_as_the_ledger_has_it(ledger: Ledger) -> None:
    block(ledger, scope="model", key="claude-sonnet-4-5-20250929")
    assert not ledger.decide("scraper", "claude-sonnet-4-5-20250929").allowed
    assert not ledger.decide("scraper", "claude-sonnet-4-5").allowed
    assert ledger.decide("scraper", "claude-sonnet-4").allowed
    assert ledger.decide("scraper", None).allowed


def test_throttles_follow_one_another_the_narrowest_first(ledger: Ledger) -> None:
    throttle(ledger, {HAIKU: NANO}, scope="everything", key="(everything)")
    assert ledger.decide("scraper", SONNET).model == SONNET
    throttle(ledger, SMALLER)
    assert ledger.decide("scraper", SONNET).model == NANO


def test_a_model_that_is_blocked_may_be_left_by_a_throttle(ledger: Ledger) -> None:
    block(ledger, scope="model", key=SONNET)
    throttle(ledger, SMALLER)
    assert ledger.decide("scraper", SONNET).model == HAIKU
    block(ledger, scope="model", key=HAIKU)
    assert not ledger.decide("scraper", SONNET).allowed


def test_a_directive_ends_by_time_by_a_later_one_and_by_an_exception(ledger: Ledger) -> None:
    block(ledger, valid_until="2026-01-01T00:00:00.000Z")
    assert ledger.decide("scraper", SONNET).allowed
    directive = block(ledger)
    assert not ledger.decide("scraper", SONNET).allowed
    lift(ledger, directive)
    assert ledger.decide("scraper", SONNET).allowed
    block(ledger)
    with raw(ledger) as connection:
        connection.execute(
            "insert into budget_exception (budget, valid_from, valid_until, granted_by)"
            " values ('scraping', '2026-01-01T00:00:00.000Z', '2999-01-01T00:00:00.000Z', 'mia')"
        )
    assert ledger.decide("scraper", SONNET).allowed


def test_what_another_process_writes_holds_at_once(ledger: Ledger) -> None:
    assert ledger.decide("scraper", SONNET).allowed
    assert exit_code(start_child(lambda: block(ledger))) == 0
    assert not ledger.decide("scraper", SONNET).allowed


def test_it_answers_in_a_child_while_others_write_and_in_many_threads(ledger: Ledger) -> None:
    block(ledger)
    assert not ledger.decide("scraper", SONNET).allowed

    def work() -> None:
        assert not ledger.decide("scraper", SONNET).allowed

    assert exit_code(start_child(work)) == 0
    with locked(ledger):
        work()
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(ledger.decide("scraper", SONNET).allowed for _ in range(50)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 400


@pytest.mark.parametrize("fail_closed", [False, True])
def test_a_ledger_that_is_gone_is_said_once_and_decides_as_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fail_closed: bool
) -> None:
    path, away = tmp_path / "ledger.db", tmp_path / "away.db"
    path.write_bytes(empty_file())
    with Ledger(path) as ledger, caplog.at_level(logging.WARNING):
        path.rename(away)
        decisions = [ledger.decide("scraper", SONNET, fail_closed=fail_closed) for _ in range(3)]
        assert [decision.allowed for decision in decisions] == [not fail_closed] * 3
        assert all("can't be read" in decision.reason for decision in decisions)
        assert caplog.text.count("Directives can't be read") == 1
        assert ("refused" if fail_closed else "allowed") in caplog.text
        shutil.move(away, path)
        assert ledger.decide("scraper", SONNET, fail_closed=fail_closed).reason == "no directive stands against it"
        path.rename(away)
        ledger.decide("scraper", SONNET)
        assert caplog.text.count("Directives can't be read") == 2
        shutil.move(away, path)


NAMES = st.text(alphabet="ab-.5", min_size=1, max_size=6)
PATTERNS = st.text(alphabet="ab-.5*?", min_size=1, max_size=6)


@given(NAMES, st.dictionaries(PATTERNS, NAMES, max_size=4))
def test_the_first_pattern_that_matches_counts(model: str, mapping: dict[str, str]) -> None:
    expected = next((smaller for name, smaller in mapping.items() if fnmatchcase(model, name)), None)
    assert mapped(model, json.dumps(mapping)) == expected


def test_a_bracket_in_a_pattern_is_a_bracket() -> None:
    assert mapped("m[1]", '{"m[1]": "n"}') == "n"
    assert mapped("m1", '{"m[1]": "n"}') is None
