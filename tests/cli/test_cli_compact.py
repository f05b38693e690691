"""`agent-ledger compact`."""

from __future__ import annotations

from support import call, query

from agent_ledger import Ledger


def test_it_says_how_many(run, tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.record_calls(call(request_id=f"r{number}") for number in range(1234))
    assert run("compact", path).output == "1,234 calls compacted\n"
    assert query(path, "select ledger_row from compacted") == [(1234,)]
    assert run("compact", path).output == "nothing to compact\n"


def test_a_mistyped_name_is_no_new_ledger(run, tmp_path):
    result = run("compact", tmp_path / "leger.db")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
    assert not (tmp_path / "leger.db").exists()
