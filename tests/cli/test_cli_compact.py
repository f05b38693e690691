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


def test_archiving(run, tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.record_calls(
            call(request_id=f"r{number}", ts=f"2026-01-{number + 1:02d}T12:00:00Z") for number in range(20)
        )
    before = run("report", path, "--by", "agent", "--json").output
    result = run("compact", path, "--archive", tmp_path / "old", "--before", "2026-01-11", "--vacuum")
    assert result.exit_code == 0, result.stderr
    assert "20 calls compacted\n10 rows archived in 1 file of" in result.output
    assert "not closed yet: 2026-01" in result.output
    assert query(path, "select count(*) from ledger") == [(10,)]
    assert run("report", path, "--by", "agent", "--json").output == before
    assert run("check", path).stdout.count("archive") == 0
    [file] = (tmp_path / "old").glob("*.parquet")
    file.unlink()
    assert "bring it back to its place" in run("check", path).stdout


def test_what_archiving_needs(run, tmp_path):
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    assert "go together" in run("compact", path, "--archive", tmp_path / "old").stderr
    assert "give a UTC day" in run("compact", path, "--archive", tmp_path / "old", "--before", "soon").stderr
