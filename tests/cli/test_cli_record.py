"""`agent-ledger init`, `record` and `assign`."""

from __future__ import annotations

import dataclasses

import click
import pytest
from support import query

from agent_ledger import Call
from agent_ledger.cli.record import record

CALL = {"--agent-id": "a", "--model": "m", "--prompt-tokens": "100", "--completion-tokens": "10"}


def _record(**changes):
    return [word for pair in (CALL | changes).items() for word in pair]


def test_init_makes_a_ledger_once(tmp_path, run):
    path = tmp_path / "ledger.db"
    assert run("init", path).stdout == f"made {path}\n"
    assert run("init", path).stdout == f"{path} is a ledger already, and up to date\n"
    assert query(path, "select count(*) from ledger") == [(0,)]


def test_record_makes_the_file_and_the_request_id(tmp_path, run):
    path = tmp_path / "ledger.db"
    printed = run("record", path, *_record()).stdout
    (row,) = query(path, "select request_id, agent_id, prompt_tokens, evidence from ledger")
    assert printed == f"recorded {row[0]}\n"
    assert row[0].startswith("req_")
    assert row[1:] == ("a", 100, "manual")


def test_the_same_call_again_is_already_there(tmp_path, run):
    path = tmp_path / "ledger.db"
    assert run("record", path, *_record(), "--request-id", "r").stdout == "recorded r\n"
    again = run("record", path, *_record(), "--request-id", "r")
    assert (again.stdout, again.exit_code) == ("already there: r\n", 0)
    assert query(path, "select count(*) from ledger") == [(1,)]


def test_every_field_of_a_call_has_an_option():
    options = {parameter.name for parameter in record.params if isinstance(parameter, click.Option)}
    assert {field.name for field in dataclasses.fields(Call)} <= options


def test_every_field_is_stored(tmp_path, run):
    path = tmp_path / "ledger.db"
    given = {
        "request_id": "r", "ts": "2026-01-31T12:00:00.000Z", "provider": "p", "customer_id": "c", "session_id": "s",
        "feature": "f", "cache_read_tokens": 20, "cache_write_tokens": 30, "cache_write_1h_tokens": 5,
        "reasoning_tokens": 4, "web_search_requests": 1, "service_tier": "batch", "region": "us", "response_id": "x",
        "part": 2, "tier_tokens": 90, "evidence": "log", "reported_cost_usd": 0.25, "anomaly": "odd",
    }  # fmt: skip
    options = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    result = run("record", path, *_record(), *options, "--usage", "input_audio_tokens=12", "--usage", "hours=0.5")
    assert result.exit_code == 0, result.stderr
    (row,) = query(path, f"select {', '.join(given)}, usage from ledger")
    assert row == (*given.values(), '{"hours": 0.5, "input_audio_tokens": 12}')


def test_unknown_tokens_are_null(tmp_path, run):
    path = tmp_path / "ledger.db"
    run("record", path, *_record(**{"--prompt-tokens": "unknown", "--completion-tokens": "unknown"}))
    assert query(path, "select prompt_tokens, completion_tokens from ledger") == [(None, None)]


@pytest.mark.parametrize(
    ("changes", "exit_code", "sentence"),
    [
        ({"--prompt-tokens": "-1"}, 1, "prompt_tokens is -1"),
        ({"--prompt-tokens": "1e3"}, 2, "give a whole number, or unknown"),
        ({"--prompt-tokens": "nan"}, 2, "give a whole number, or unknown"),
        ({"--prompt-tokens": "9" * 30}, 1, "give a number from 0 to 1,000,000,000"),
        ({"--cache-read-tokens": "101"}, 1, "it is a part of prompt_tokens"),
        ({"--cache-read-tokens": "x"}, 2, "'x' is not a valid integer"),
        ({"--reported-cost-usd": "nan"}, 1, "give a finite number"),
        ({"--reported-cost-usd": "inf"}, 1, "give a finite number"),
        ({"--reported-cost-usd": "-1"}, 1, "give a number from 0"),
        ({"--ts": "yesterday"}, 1, "ts is 'yesterday'"),
        ({"--agent-id": ""}, 1, "agent_id is ''"),
        ({"--agent-id": "a\0b"}, 1, "NUL"),
        ({"--evidence": "rumour"}, 2, "'rumour' is not one of"),
        ({"--usage": "hours"}, 2, "give UNIT=NUMBER"),
        ({"--usage": "hours=nan"}, 1, "usage.hours is nan"),
        ({"--usage": "hours=-1"}, 1, "usage.hours is -1"),
        ({"--part": "-1"}, 1, "part is -1"),
    ],
)
def test_bad_values(changes, exit_code, sentence, tmp_path, refused):
    assert sentence in refused(exit_code, "record", tmp_path / "ledger.db", *_record(**changes))


@pytest.mark.parametrize("missing", CALL)
def test_what_is_required(missing, tmp_path, refused):
    options = [word for pair in CALL.items() if pair[0] != missing for word in pair]
    sentence = refused(2, "record", tmp_path / "ledger.db", *options)
    assert sentence == f"Missing option '{missing}': see `agent-ledger record -h`"
    assert not (tmp_path / "ledger.db").exists()


def test_assign(tmp_path, run):
    path = tmp_path / "ledger.db"
    assert run("assign", path, "a", "--team", "risk").stdout == "a: team risk, since ever\n"
    later = run("assign", path, "a", "--owner", "ana", "--from", "2026-01-01")
    assert later.stdout == "a: team risk, owner ana, from 2026-01-01T00:00:00.000Z on\n"
    assert query(path, "select valid_from, team, owner from assignment order by 1") == [
        ("0001-01-01T00:00:00.000Z", "risk", None),
        ("2026-01-01T00:00:00.000Z", "risk", "ana"),
    ]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("a",), 2, "give --team, --feature or --owner"),
        (("a", "--team", "t", "--from", "soon"), 2, "give a date"),
        (("a", "--team", ""), 2, "give text that is not empty"),
        (("", "--team", "t"), 1, "agent_id"),
        ((), 2, "Missing argument 'AGENT'"),
    ],
)
def test_assign_refuses(arguments, exit_code, sentence, tmp_path, refused):
    assert sentence in refused(exit_code, "assign", tmp_path / "ledger.db", *arguments)
