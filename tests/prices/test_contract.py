"""Negotiated prices from a file."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from agent_ledger.errors import ImportFailed, InvalidPrice
from agent_ledger.prices.contract import COLUMNS, ContractFile, matches
from agent_ledger.prices.rules import validate
from agent_ledger.records import PriceRevision


def contract(folder: Path, text: str, name: str = "contract.csv") -> ContractFile:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return ContractFile(path)


FULL = (
    "model,provider,service_tier,region,effective_from,effective_to,above_tokens,comparator,"
    "input,output,cache_read,cache_write,cache_write_1h,reasoning,web_search,request\n"
    "gpt-5.5,openai,batch,eu,2026-01-01,2026-07-01T12:30:00+02:00,,,4,24,0.4,5,8,25,0.009,0.0001\n"
    "gpt-5.5,openai,batch,eu,2026-01-01,2026-07-01T12:30:00+02:00,272000,ge,8,36,,,,,,\n"
)


def test_every_column_of_a_csv_file(tmp_path: Path) -> None:
    base, band = contract(tmp_path, FULL).rows()
    assert base == PriceRevision(
        model="gpt-5.5",
        source="contract",
        provider="openai",
        service_tier="batch",
        region="eu",
        effective_from="2026-01-01T00:00:00.000Z",
        effective_to="2026-07-01T10:30:00.000Z",
        input=4_000_000,
        output=24_000_000,
        cache_read=400_000,
        cache_write=5_000_000,
        cache_write_1h=8_000_000,
        reasoning=25_000_000,
        web_search=9_000_000_000,
        request=100_000_000,
        basis="contract",
    )
    assert (band.above_tokens, band.comparator, band.input, band.cache_read) == (272_000, "ge", 8_000_000, None)
    validate([base, band])


def test_json_means_the_same(tmp_path: Path) -> None:
    header, *lines = FULL.splitlines()
    entries = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    numbers = json.dumps(entries).replace('"272000"', "272000").replace('"0.4"', "0.4").replace('""', "null")
    assert contract(tmp_path, numbers, "contract.json").rows() == contract(tmp_path, FULL).rows()


def test_a_byte_order_mark_blank_lines_and_spaces_do_no_harm(tmp_path: Path) -> None:
    (row,) = contract(tmp_path, "\ufeff\n model , input\r\n\r\n gpt-4o , 2.00 \r\n,\r\n").rows()
    assert (row.model, row.input) == ("gpt-4o", 2_000_000)


@pytest.mark.parametrize("discount", ["15%", "15 %", "0.15", ".15"])
def test_a_discount(tmp_path: Path, discount: str) -> None:
    (row,) = contract(tmp_path, f"model,discount\nclaude-*,{discount}\n").rows()
    assert (row.model, row.discount, row.input) == ("claude-*", Decimal("0.15"), None)


def test_free_allows_zero(tmp_path: Path) -> None:
    rows = contract(tmp_path, "model,input,output,free\nllama,0,0,yes\nqwen,0,0,TRUE\n").rows()
    assert [(row.input, row.basis) for row in rows] == [(0, "free"), (0, "free")]
    validate(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,input\n,1\n", "line 2: model is empty: name the model"),
        ("model,input\nm,cheap\n", "line 2: input is 'cheap': write an amount in USD, such as 2.50, per million"),
        ("model,input\nm,nan\n", "line 2: input is 'nan': write an amount"),
        ("model,input\nm,1e999999999\n", "line 2: input is '1e999999999': "),
        ("model,input\nm,$3\n", r"line 2: input is '\$3': write an amount"),
        ("model,input\nn,1\nm,-1\n", "line 3: input is '-1': a price can't be negative"),
        ("model,input,output\nm,0,0\n", r"line 2: input is '0': a model costs \$0 only if"),
        ("model,input\nm,4001\n", r"line 2: input is '4001': the highest price that can be stored is \$4,000"),
        ("model,request\nm,x\n", "line 2: request is 'x': write an amount in USD, such as 2.50, per request"),
        (
            "model,request\nm,1.01\n",
            r"line 2: request is '1.01': the highest price that can be stored is \$1 per request",
        ),
        (
            "model,input,effective_from\nm,1,\nm,2,2026-06-01\n",
            "line 3: effective_from is '2026-06-01': a row before prices the same model, tier, region and band then",
        ),
        ("model,input\nm,\n", "line 2: input is None: give at least one price, or a discount"),
        ("model,input,effective_from\nm,1,soon\n", "line 2: effective_from is 'soon': write an ISO date or time"),
        ("model,input,effective_from\nm,1,2026-13-01\n", "line 2: effective_from is '2026-13-01': write"),
        ("model,input,effective_to\nm,1,31.12.2026\n", "line 2: effective_to is '31.12.2026': write"),
        (
            "model,input,effective_from,effective_to\nm,1,2026-05-01,2026-04-01\n",
            "line 2: effective_to is '2026-04-01': it must be after effective_from",
        ),
        ("model,input,above_tokens\nm,1,\nm,2,200k\n", "line 3: above_tokens is '200k': write a whole number"),
        ("model,input,above_tokens\nm,1,\nm,2,1.5\n", "line 3: above_tokens is '1.5': write a whole number"),
        ("model,input,above_tokens\nm,2,200000\n", "line 2: above_tokens is '200000': add the row without"),
        ("model,input,comparator\nm,1,>=\n", "line 2: comparator is '>=': use \"gt\""),
        ("model,discount\nm,15\n", "line 2: discount is '15': it must lie between 0 and 1.*15% or 0.15"),
        ("model,discount\nm,0%\n", "line 2: discount is '0%': it must lie between"),
        ("model,discount\nm,100%\n", "line 2: discount is '100%': it must lie between"),
        ("model,discount\nm,much%\n", "line 2: discount is 'much%': write a share such as 15% or 0.15"),
        (
            "model,discount,output\nm,15%,3\n",
            r"line 2: discount is '15%': give either a discount or prices.*\(output\)",
        ),
        ("model,input,free\nm,0,maybe\n", "line 2: free is 'maybe': write yes or no"),
        ("model,imput\nm,1\n", "line 1: unknown column 'imput': the columns are model, provider, .*discount, free"),
        ("model,input,input\nm,1,2\n", "line 1: column 'input' stands there twice: remove one"),
        ("model,input\nm,1,000\n", "line 2: '000' stands beyond the last column: put cells with commas in quotes"),
        ('model,input\n"two\nlines",x\n', "line 3: input is 'x'"),
    ],
)
def test_every_bad_value_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidPrice, match=rf"contract\.csv, {message}"):
        contract(tmp_path, text).rows()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"model": "m", "input": true}]', "entry 1: input is True: write an amount"),
        ('[{"model": "m", "input": -0.5}]', "entry 1: input is -0.5: a price can't be negative"),
        ('[{"model": "m", "input": [1]}]', r"entry 1: input is \[1\]: write an amount"),
        ('[{"model": "m", "input": 1}, {"model": 5, "input": 1}]', "entry 2: model is 5: write a name"),
        ('[{"model": "m", "input": 1, "effective_from": true}]', "entry 1: effective_from is True: write an ISO date"),
        ('[{"model": "m", "input": 1, "inptu": 1}]', "entry 1: unknown column 'inptu': the columns are"),
        ('[{"model": "m", "input": 1}, 7]', "entry 2: 7 is not an object"),
        ('[{"model": "m", "input": NaN}]', "entry 1: input is nan: write an amount"),
    ],
)
def test_every_bad_value_of_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidPrice, match=rf"contract\.json, {message}"):
        contract(tmp_path, text, "contract.json").rows()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty: its first line must name the columns"),
        ("a.csv", b"model,input\n\xff,1\n", "is not UTF-8 text"),
        ("a.csv", b'model,input\n"m,1\n', "is not CSV"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"{}", "holds no list"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        (".", None, "can't be read"),
        ("missing.csv", None, r"can't be read \(No such file"),
    ],
)
def test_an_unreadable_file(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImportFailed, match=message):
        ContractFile(path).rows()


def test_prices_for_one_model(tmp_path: Path) -> None:
    source = contract(
        tmp_path,
        "model,provider,service_tier,input\n"
        "*,,,9\nclaude-*,,,5\nclaude-opus-?,,batch,3\nclaude-opus-5,,,4\nclaude-opus-5,aws,,6\nx[1m],,,7\n",
    )
    assert (source.name, source.priority, source.dated) == ("contract", 100, True)

    def found(provider: str | None, model: str) -> list[tuple[str | None, int | None, str | None]]:
        rows = source.prices(provider, model)
        assert {(row.provider, row.model) for row in rows} <= {(provider, model)}
        return sorted(((row.service_tier, row.input and row.input // 10**6, row.source_model) for row in rows), key=str)

    assert found(None, "gpt-4o") == [(None, 9, "*")]
    assert found("openai", "claude-sonnet-5") == [(None, 5, "claude-*")]
    assert found("anthropic", "claude-opus-5") == [("batch", 3, "claude-opus-?"), (None, 4, "claude-opus-5")]
    assert found("aws", "claude-opus-5") == [("batch", 3, "claude-opus-?"), (None, 6, "claude-opus-5")]
    assert found(None, "x[1m]") == [(None, 7, "x[1m]")]


def test_patterns() -> None:
    assert matches("*", "")
    assert matches("gpt-?.*", "gpt-5.4")
    assert not matches("gpt-?", "gpt-10")
    assert matches("a[1m]*", "a[1m]")
    assert not matches("a[1m]", "a1")
    assert not matches("a.c", "abc")


def test_the_columns_are_what_a_price_row_has() -> None:
    assert set(COLUMNS) - {"free"} <= set(PriceRevision.__dataclass_fields__)
