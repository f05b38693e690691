from __future__ import annotations

import json

import pytest

from agent_ledger.errors import ImportFailed
from agent_ledger.importers.table import Csv, JsonLines

ROW = {
    "ts": "2026-11-01T10:00:00+01:00",
    "agent_id": "fraud",
    "request_id": "req_1",
    "model": "claude-sonnet-4-5",
    "prompt_tokens": 100,
    "completion_tokens": 7,
}
HEADER = "ts,agent_id,model,prompt_tokens,completion_tokens\n"
LINE = "2026-11-01,fraud,gpt-4o,100,7\n"


def without(record, *names):
    return {name: value for name, value in record.items() if name not in names}


@pytest.fixture
def jsonl(tmp_path, read):
    def run(*records, **defaults):
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        return read(JsonLines(), tmp_path / "a.jsonl", **defaults)

    return run


@pytest.fixture
def table(tmp_path, read):
    def run(text, **defaults):
        (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(Csv(), tmp_path / "a.csv", **defaults)

    return run


def test_jsonl_call(jsonl):
    more = {"cache_read_tokens": 60, "usage": {"input_audio_tokens": 3}, "reported_cost_usd": 0.5, "customer_id": ""}
    (call,) = jsonl(ROW | more, customer_id="acme").calls
    assert (call.ts, call.prompt_tokens, call.cache_read_tokens) == ("2026-11-01T09:00:00.000Z", 100, 60)
    assert (call.usage, call.reported_cost_usd, call.customer_id) == ({"input_audio_tokens": 3}, 0.5, "acme")
    assert call.evidence == "log"


def test_jsonl_tool_call(jsonl):
    (call,) = jsonl(
        {"ts": 1783375763, "tool": "get_object", "server": "s3", "request_id": "r", "units": 2, "status": "ok"},
        agent_id="fraud",
    ).tool_calls
    assert (call.tool, call.server, call.units, call.agent_id) == ("get_object", "s3", 2, "fraud")
    assert (call.ts, call.tool_call_id.startswith("sha256:")) == ("2026-07-06T22:09:23.000Z", True)


def test_null_is_unknown_and_missing_is_refused(jsonl):
    assert jsonl(ROW | {"prompt_tokens": None}).calls[0].prompt_tokens is None
    assert jsonl(without(ROW, "prompt_tokens")).reasons == [
        (1, "prompt_tokens is None: add it, or leave the value empty (null) where it is not known")
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (ROW | {"colour": "red"}, "'colour' is 'red': no such column; the columns are model, prompt_tokens"),
        (ROW | {"units": 3}, "units is 3: an LLM call has no such column"),
        (ROW | {"tool": "x"}, "tool is 'x': an LLM call has no such column"),
        ({"ts": "2026-01-01", "tool": "x", "prompt_tokens": 3}, "prompt_tokens is 3: a tool call has no such column"),
        (without(ROW, "agent_id"), "agent_id is None: add it to the record or give --agent-id"),
        (without(ROW, "ts"), "ts is None: add it to the record or give --ts"),
        (without(ROW, "model"), "model is None: add it"),
        (ROW | {"prompt_tokens": -5}, "prompt_tokens is -5: give a number from 0 to 1,000,000,000"),
        (ROW | {"prompt_tokens": 10**15}, "prompt_tokens is 1000000000000000"),
        (ROW | {"prompt_tokens": 1.5}, "prompt_tokens is 1.5: give a whole number"),
        (ROW | {"prompt_tokens": "1"}, "prompt_tokens is '1': give a whole number"),
        (ROW | {"prompt_tokens": True}, "prompt_tokens is True: give a whole number"),
        (ROW | {"cache_read_tokens": 101}, "cache_read_tokens is 101: it is a part of prompt_tokens, which is 100"),
        (ROW | {"cache_read_tokens": 60, "cache_write_tokens": 60}, "it is more than prompt_tokens, which is 100"),
        (
            ROW | {"prompt_tokens": None, "cache_read_tokens": 1},
            "cache_read_tokens is 1: it is a part of prompt_tokens, which is not known",
        ),
        (ROW | {"web_search_requests": 10**7}, "give a number from 0 to 100,000"),
        (ROW | {"reported_cost_usd": 1e12}, "give a number from 0 to 1,000,000"),
        (ROW | {"reasoning_tokens": 8}, "it is a part of completion_tokens, which is 7"),
        (ROW | {"model": 7}, "model is 7: give text"),
        (ROW | {"model": " "}, "model is ' ': give text"),
        (ROW | {"evidence": "hearsay"}, "evidence is 'hearsay': give one of response"),
        (ROW | {"usage": [1]}, "usage is [1]: give an object"),
        (ROW | {"usage": {"a": -1}}, "usage.a is -1"),
        (ROW | {"usage": {"a": 10**12}}, "usage.a is 1000000000000"),
        (ROW | {"reported_cost_usd": "1"}, "reported_cost_usd is '1': give a finite number"),
        (ROW | {"customer_id": "\udcff"}, "give valid Unicode text"),
        (ROW | {"ts": 1e300}, "ts is 1e+300: give a time"),
        ({"ts": "2026-01-01", "tool": "x", "cost_usd": -1}, "cost_usd is -1"),
    ],
)
def test_bad_values_are_refused_with_their_line(jsonl, record, reason):
    found = jsonl(ROW, record)
    assert len(found.calls) == 1
    ((number, said),) = found.reasons
    assert number == 2
    assert reason in said


def test_infinity_by_overflow(tmp_path, read):
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW)[:-1] + ', "reported_cost_usd": 1e999}\n')
    assert read(JsonLines(), tmp_path / "a.jsonl").reasons == [(1, "reported_cost_usd is inf: give a finite number")]


def test_equal_records_without_an_id_are_two_and_stay_the_same(jsonl):
    bare = without(ROW, "request_id")
    first = jsonl(bare, bare, bare | {"prompt_tokens": 1})
    ids = [call.request_id for call in first.calls]
    assert len(set(ids)) == 3
    assert ids[1] == f"{ids[0]}-2"
    assert jsonl(bare, bare, bare | {"prompt_tokens": 1}).facts == first.facts
    # What the user says about the file does not change who is who.
    assert [call.request_id for call in jsonl(bare, customer_id="acme").calls] == ids[:1]


def test_equal_tool_calls_without_an_id_are_two(jsonl):
    tool = {"ts": "2026-01-01", "tool": "x", "request_id": "r"}
    assert len({call.tool_call_id for call in jsonl(tool, tool).tool_calls}) == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_csv(table, delimiter, mark, end):
    text = HEADER + "2026-11-01,fraud,gpt-4o,100,\n"
    data = mark + text.replace(",", delimiter).encode().replace(b"\n", end)
    (call,) = table(data).calls
    assert (call.ts, call.model, call.prompt_tokens, call.completion_tokens) == (
        "2026-11-01T00:00:00.000Z",
        "gpt-4o",
        100,
        None,
    )


def test_csv_mixes_calls_and_tool_calls(table):
    text = (
        "ts,agent_id,request_id,model,prompt_tokens,completion_tokens,tool,units,cost_usd,usage,feature\n"
        '2026-11-01,a,r,m,1,2,,,,"{""input_audio_tokens"": 3}","two\nlines"\n'
        "2026-11-01,a,r,,,,search,2.5,1e-3,,\n"
    )
    found = table(text)
    # A tool call has no column feature, but an empty cell claims none.
    assert found.refused == []
    assert (found.calls[0].usage, found.calls[0].feature) == ({"input_audio_tokens": 3}, "two\nlines")
    assert (found.tool_calls[0].units, found.tool_calls[0].cost_usd) == (2.5, 0.001)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('2026-11-01,a,m,"1,200",7\n', "prompt_tokens is '1,200': leave out the thousands separators"),
        ("2026-11-01,a,m,1 200,7\n", "prompt_tokens is '1 200': leave out the thousands separators"),
        ("2026-11-01,a,m,1e3,7\n", "prompt_tokens is '1e3': give a whole number"),
        ("2026-11-01,a,m,12.0,7\n", "prompt_tokens is '12.0': give a whole number"),
        ("2026-11-01,a,m,NaN,7\n", "prompt_tokens is 'NaN': give a whole number"),
        ("2026-11-01,a,m,-5,7\n", "prompt_tokens is -5: give a number from 0"),
        ("2026-11-01,a,m,1000000000000000,7\n", "prompt_tokens is 1000000000000000"),
        ("2026-11-01,a,m," + "9" * 5000 + ",7\n", "give a whole number"),
        ("2026-11-01,a,,1,7\n", "model is None"),
        ("2026-11-01,,m,1,7\n", "agent_id is None"),
        (",a,m,1,7\n", "ts is None"),
        ("11/01/2026,a,m,1,7\n", "ts is '11/01/2026'"),
        ("2026-11-01,a,m,1,7,9\n", "the row has 6 cells, the header has 5."),
        ("2026-11-01,a,m\n", "the row has 3 cells, the header has 5."),
        ('2026-11-01,a"b,"m"x,1,7\n', "the row is not CSV"),
        ("2026-11-01,a\0,m,1,7\n", "the line holds NUL bytes"),
        (b"2026-11-01,caf\xe9,m,1,7\n", "the line is not UTF-8"),
        ('2026-11-01,a,"' + "m" * 140_000 + '",1,7\n', "a cell is longer than 131,072 characters"),
    ],
)
def test_bad_rows_are_refused_alone(table, row, reason):
    row = row if isinstance(row, bytes) else row.encode()
    found = table(HEADER.encode() + b"\n" + LINE.encode() + row + LINE.encode())
    assert len(found.calls) == 2
    ((number, said),) = found.reasons
    assert number == 4
    assert reason in said


def test_an_open_quotation_mark(table):
    found = table(HEADER + LINE + '2026-11-01,a,"m,1,7\n' + LINE)
    assert len(found.calls) == 1
    assert found.reasons == [
        (3, "a quotation mark opens here and is never closed: the file is cut off, or the mark is too many.")
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("ts,agent_id,model,colour\n", "has a column 'colour', which is unknown: the columns are model, "),
        ("ts,,model\n", "has a column '', which is unknown"),
        ("ts,model,model\n", "has two columns model: leave one"),
        ("ts,agent_id\n", "has neither a column model nor tool"),
        ('"ts,model\n', "has no header that can be read"),
        (b"ts,mod\xe9l\n", "has no header that can be read"),
        ("ts,model\r2026-11-01,m\r", "has no header that can be read"),
    ],
)
def test_bad_headers(table, header, said):
    with pytest.raises(ImportFailed, match=r"a\.csv") as caught:
        table(header)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["\n", " \n\n", b"\xef\xbb\xbf", HEADER, "\n\n" + HEADER + "\n"])
def test_csv_without_rows(table, text):
    assert table(text).facts == []


def test_csv_columns_may_move_and_ids_stay(table):
    first = table(HEADER + LINE + LINE).calls
    moved = table("model,prompt_tokens,completion_tokens,ts,agent_id\ngpt-4o,100,7,2026-11-01,fraud\n").calls
    assert first[0] == moved[0]
    assert first[0].request_id != first[1].request_id
