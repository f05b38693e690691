"""`agent-ledger import`."""

from __future__ import annotations

import json

import pytest
from support import query

from agent_ledger import LedgerError
from agent_ledger.cli import options
from agent_ledger.cli.progress import progress

GOOD = {"agent_id": "a", "model": "cheap", "prompt_tokens": 10, "completion_tokens": 1, "ts": "2026-01-01T00:00:00Z"}


@pytest.fixture
def lines(tmp_path):
    def write(name, *records):
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        return path

    return write


def _good(request_id):
    return GOOD | {"request_id": request_id}


def test_files_come_in_once(book, lines, run):
    one, two = lines("one.jsonl", _good("x1"), _good("x2")), lines("two.jsonl", _good("x3"))
    result = run("import", book, "jsonl", one, two, one)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "2 files imported: 3 records read, 3 added, 0 already there, 0 refused",
        f"2 models with a price, 1 without: agent-ledger check {book} says why",
    ]
    assert result.stderr == ""
    again = run("import", book, "jsonl", one, two).stdout
    assert "3 records read, 0 added, 3 already there" in again


def test_the_ledger_is_made(tmp_path, lines, run):
    path = tmp_path / "new.db"
    assert run("import", path, "jsonl", lines("one.jsonl", _good("x1"))).exit_code == 0
    assert query(path, "select request_id from ledger") == [("x1",)]


def test_defaults(tmp_path, lines, run):
    bare = {name: value for name, value in _good("x1").items() if name not in ("agent_id", "ts")}
    run(
        "import", tmp_path / "new.db", "jsonl", lines("one.jsonl", bare), "--agent-id", "b", "--customer-id", "acme",
        "--feature", "f", "--session-id", "s", "--provider", "p", "--ts", "2026-02-03", "--quiet",
    )  # fmt: skip
    found = query(tmp_path / "new.db", "select agent_id, customer_id, feature, session_id, provider, ts from ledger")
    assert found == [("b", "acme", "f", "s", "p", "2026-02-03T00:00:00.000Z")]


def test_refused_records_are_named_and_the_others_come(book, lines, run):
    file = lines("one.jsonl", _good("x1"), {"model": "m"}, [1], _good("x2"))
    result = run("import", book, "jsonl", file)
    assert result.exit_code == 1
    assert "4 records read, 2 added, 0 already there, 2 refused" in result.stdout
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{file}:2: ")
    assert second.startswith(f"{file}:3: ")


def test_at_most_twenty_refusals_are_shown(book, lines, run):
    file = lines("one.jsonl", *([1] for _ in range(25)))
    shown = run("import", book, "jsonl", file).stderr.splitlines()
    assert len(shown) == 21
    assert shown[-1] == "and 5 more; --json names all"
    assert len(json.loads(run("import", book, "jsonl", file, "--json").stdout)["refused"]) == 25


def test_a_file_that_fails_does_not_stop_the_others(book, lines, tmp_path, run):
    empty, good = lines("empty.jsonl"), lines("good.jsonl", _good("x1"))
    result = run("import", book, "jsonl", tmp_path / "none.jsonl", empty, good)
    assert result.exit_code == 1
    assert result.stdout.startswith("1 file imported: 1 record")
    assert result.stderr.splitlines() == [
        f"Error: {tmp_path / 'none.jsonl'} does not exist: check the path.",
        f"Error: {empty} is empty: there is nothing to import.",
    ]


def test_nothing_to_import_makes_no_ledger(tmp_path, run):
    result = run("import", tmp_path / "new.db", "jsonl", tmp_path / "none.jsonl")
    assert result.exit_code == 1
    assert not (tmp_path / "new.db").exists()


def test_json(book, lines, run, tmp_path):
    file = lines("one.jsonl", _good("x1"), [1])
    result = run("import", book, "jsonl", file, tmp_path / "none", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    counts = {"read": 2, "added": 1, "already_there": 0, "archived": 0, "refused": 1}
    assert found["files"] == [{"file": str(file), **counts}]
    assert (found["read"], found["added"], found["already_there"]) == (2, 1, 0)
    assert [(one["file"], one["line"]) for one in found["refused"]] == [(str(file), 2)]
    assert [one["file"] for one in found["failed"]] == [str(tmp_path / "none")]
    assert (found["priced_models"], found["unpriced_models"]) == (2, 1)


class Importer:
    """A plugin's importer that does what it is told to."""

    name = "told"
    summary = "For tests"

    def __init__(self, error):
        self.error = error

    def files(self, path):
        return [path]

    def read(self, file, defaults, advance):  # noqa: ARG002
        raise self.error
        yield


def _told(monkeypatch, error):
    monkeypatch.setattr(options, "importers", lambda: {"told": Importer(error)})


def test_ctrl_c_keeps_what_is_complete(book, run, monkeypatch, tmp_path):
    _told(monkeypatch, KeyboardInterrupt())
    result = run("import", book, "told", tmp_path / "x")
    assert result.exit_code == 130
    assert result.stderr == (
        "Error: interrupted after 0 files: nothing of the current file was stored, import again to go on\n"
    )


def test_an_importer_that_breaks_costs_only_its_file(book, run, monkeypatch, tmp_path):
    _told(monkeypatch, KeyError("oops"))
    result = run("import", book, "told", tmp_path / "x", tmp_path / "y")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == (
        f"Error: {tmp_path / 'x'} can't be read by the importer told (KeyError: 'oops'): report this to its author"
    )
    assert len(result.stderr.splitlines()) == 2


def test_trouble_with_the_ledger_ends_the_import(book, refused, monkeypatch, tmp_path):
    _told(monkeypatch, LedgerError("the disk is full"))
    assert refused(1, "import", book, "told", tmp_path / "x", tmp_path / "y") == "the disk is full"


def test_the_progress_bar_counts_bytes(monkeypatch):
    seen = []

    class Bar:
        def __init__(self, **settings):
            seen.append(settings["length"])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            seen.append("closed")

        def update(self, count):
            seen.append(count)

    monkeypatch.setattr("click.progressbar", Bar)
    monkeypatch.setattr("sys.stderr", type("Terminal", (), {"isatty": lambda _: True})())
    with progress("importing", 77) as advance:
        advance(5)
    assert seen == [77, 5, "closed"]
    with progress("importing", 77, quiet=True) as advance:
        advance(5)
    assert len(seen) == 3


def test_bad_usage(book, refused):
    assert "there is no format 'word': give one of anthropic-cost, anthropic-usage, claude-code" in refused(
        2, "import", book, "word", "x.doc"
    )
    assert "Missing argument 'FILE...'" in refused(2, "import", book, "jsonl")
    assert "give a date" in refused(2, "import", book, "jsonl", "x", "--ts", "soon")
