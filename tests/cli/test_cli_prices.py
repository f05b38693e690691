"""`agent-ledger prices`."""

from __future__ import annotations

import csv
import io

import pytest
from support import query

from agent_ledger import plugins
from agent_ledger.prices.contract import SOURCE


def _cost(book, request_id):
    return query(book, "select cost_usd from call_cost where request_id = ?", request_id)[0][0]


def test_list(book, run, read):
    rows = read("prices", book, "list")
    assert [(row["model"], row["input_price"], row["output_price"]) for row in rows] == [
        ("cheap", 1e-6, 2e-6),
        ("dear", 1e-5, 5e-5),
    ]
    table = run("prices", book, "list").stdout
    assert "$/Mtok" in table
    assert " 50.00 " in table
    assert "since ever" in table
    first, _ = csv.DictReader(io.StringIO(run("prices", book, "list", "--csv").stdout))
    assert first["input_price"] == "1e-06"


def test_list_of_one_model_and_of_everything(book, read, run):
    assert [row["model"] for row in read("prices", book, "list", "--model", "d*")] == ["dear"]
    assert [row["input_usd_mtok"] for row in read("prices", book, "list", "--all", "--model", "cheap")] == [1.0]
    assert read("prices", book, "list", "--all", "--as-of", "2020-01-01") == []
    assert "has no such prices" in run("prices", book, "list", "--model", "x").stdout


def test_set_recosts_at_once_and_once(book, run):
    assert _cost(book, "r1") == 1.2
    words = ("prices", book, "set", "--model", "cheap", "--input", "3", "--output", "4.5")
    assert run(*words).stdout == "1 price stored\n"
    assert _cost(book, "r1") == 3.45
    assert run(*words).stdout == "0 prices stored, 1 known already\n"
    assert query(book, "select count(*) from price_revision where model = 'cheap' and source = ?", SOURCE) == [(2,)]


def test_set_everything(book, run):
    given = {
        "input": "1", "output": "2", "cache-read": "0.1", "cache-write": "1.25", "cache-write-1h": "2",
        "web-search": "0.01", "request": "0.001", "provider": "p", "service-tier": "batch", "region": "us",
        "from": "2026-01-01", "to": "2026-02-01T12:00Z",
    }  # fmt: skip
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    assert run("prices", book, "set", "--model", "x", *words).exit_code == 0
    row = query(
        book,
        "select input, output, cache_read, cache_write, cache_write_1h, web_search, request, provider, service_tier, "
        "region, effective_from, effective_to, priority from price_revision where model = 'x'",
    )
    assert row == [
        (
            1_000_000, 2_000_000, 100_000, 1_250_000, 2_000_000, 10_000_000_000, 1_000_000_000, "p", "batch",
            "us", "2026-01-01T00:00:00.000Z", "2026-02-01T12:00:00.000Z", 100,
        )
    ]  # fmt: skip


def test_free_and_discount(book, run):
    run("prices", book, "set", "--model", "nobody-*", "--free")
    assert _cost(book, "r4") == 0
    assert run("prices", book, "set", "--model", "dear", "--discount", "15%").exit_code == 0
    assert query(book, "select discount from price_revision where model = 'dear' order by id desc limit 1") == [
        ("0.15",)
    ]


def test_set_from_a_file_and_sync_with_it(book, tmp_path, run, read):
    file = tmp_path / "contract.csv"
    file.write_text("model,input,output,above_tokens\ncheap,2,4,\ncheap,4,8,200000\nnobody-knows-it,1,1,\n")
    assert run("prices", book, "set", "--file", file).stdout == "3 prices stored\n"
    assert _cost(book, "r1") == 4.8
    rows = read("prices", book, "sync", "--contract", file)
    assert {name: rows[0][name] for name in ("source", "outcome", "rows")} == {
        "source": "contract",
        "outcome": "unchanged",
        "rows": 0,
    }
    file.write_text("model,input,output\ncheap,5,5\nnobody-knows-it,1,1\n")
    assert read("prices", book, "sync", "--contract", file)[0]["rows"] == 1  # only what is new
    assert _cost(book, "r1") == 5.5


@pytest.mark.parametrize(
    ("words", "exit_code", "sentence"),
    [
        ("--model x --input -3", 1, "--input is -3: a price can't be negative"),
        ("--model x --input nan", 2, "give an amount in dollars"),
        ("--model x --input 1e999999", 2, "give an amount in dollars"),
        ("--model x --input 5000", 1, "--input is 5000: the highest price"),
        ("--model x --input 0 --output 0", 1, "only if it is declared free"),
        ("--model x", 1, "--input is not given: give at least one price"),
        ("--model x --discount 150%", 1, "--discount is 1.5"),
        ("--model x --discount lots", 2, "give a share"),
        ("--model x --discount 10% --input 3", 1, "either a discount or prices"),
        ("--model x --free --input 3", 2, "either --free or a price"),
        ("--model x --input 1 --from 2026-02-01 --to 2026-01-01", 1, "it must be after effective_from"),
        ("--model x --input 1 --from soon", 2, "give a date"),
        ("--input 1", 2, "give --model and a price, or --file"),
        ("--file x.csv --model x", 2, "either --file or a price"),
        ("--file none.csv", 1, "none.csv can't be read"),
    ],
)
def test_set_refuses(words, exit_code, sentence, book, refused):
    before = query(book, "select count(*) from price_revision")
    assert sentence in refused(exit_code, "prices", book, "set", *words.split())
    assert query(book, "select count(*) from price_revision") == before


def test_set_refuses_empty_names(book, refused):
    assert "give text that is not empty" in refused(2, "prices", book, "set", "--model", "", "--input", "1")


class Source:
    """A price source that does what it is told to."""

    name = "told"
    priority = 1
    dated = True

    def __init__(self, error=None):
        self.error = error

    def prices(self, provider, model):  # noqa: ARG002
        if self.error:
            raise self.error
        return []


def test_sync(book, run, read, monkeypatch):
    monkeypatch.setattr(plugins, "price_sources", lambda: [Source()])
    rows = read("prices", book, "sync")
    assert [(row["source"], row["model"], row["outcome"]) for row in rows] == [
        ("told", "cheap", "unknown"),
        ("told", "dear", "unknown"),
        ("told", "nobody-knows-it", "unknown"),
    ]
    assert read("prices", book, "sync", "--source", "told") == rows
    assert "outcome" in run("prices", book, "sync").stdout


def test_a_source_that_fails_is_named(book, run, monkeypatch):
    monkeypatch.setattr(plugins, "price_sources", lambda: [Source(RuntimeError("down"))])
    result = run("prices", book, "sync")
    assert result.exit_code == 1
    assert "RuntimeError: down" in result.stdout


def test_sync_refuses(book, refused, tmp_path):
    assert "there is no price source 'x': give one of genai-prices" in refused(
        2, "prices", book, "sync", "--source", "x"
    )
    bad = tmp_path / "bad.csv"
    bad.write_text("model,input\ncheap,-1\n")
    assert "line 2: input is '-1'" in refused(1, "prices", book, "sync", "--contract", bad)


def test_sync_of_an_empty_ledger(tmp_path, run):
    run("init", tmp_path / "l.db")
    assert "no calls yet" in run("prices", tmp_path / "l.db", "sync").stdout


def test_diff(book, run, read):
    assert run("prices", book, "diff").stdout == "the price sources do not disagree about any model\n"
    assert read("prices", book, "diff") == []
    assert run("prices", book, "diff", "--csv").stdout.startswith("model,provider,")


def test_help_needs_no_ledger(run, refused, book):
    assert "--discount" in run("prices", "set", "-h").stdout
    assert refused(2, "prices", book) == "Missing command: see `agent-ledger prices -h`"
    assert "No such command 'lisst'" in refused(2, "prices", book, "lisst")
