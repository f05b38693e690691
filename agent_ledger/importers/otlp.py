"""OTLP/JSON: traces as the OpenTelemetry Collector's file exporter writes them, one export per line, or one per file.

Every LLM span becomes a row, also where two instrumentations tell of one response: the ledger counts it once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from agent_ledger.attribution import Attribution
from agent_ledger.errors import ImportFailed, InvalidRecord, UnknownUsage
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import fields, lines, span_tree, spans
from agent_ledger.importers.otlp_json import Exported, exported
from agent_ledger.importers.span_tree import Mark, Node, ToolMark
from agent_ledger.importers.spans import Span
from agent_ledger.records import Call, Fact, Inference, Refused, ToolCall

_NO_AGENT = "give --agent-id, or the attribute agent_ledger.agent_id to the span, to one around it or to its resource"
_SCHEMA = """
  create table span (
    trace text, id text, parent text, ended integer, wanted integer, record text, primary key (trace, id)
  ) without rowid
"""
# A span that was exported twice is one; where the two differ it is the later one, whatever their order in the file.
_INSERT = """
  insert into span values (?, ?, ?, ?, ?, ?) on conflict do update
  set parent = excluded.parent, ended = excluded.ended, wanted = excluded.wanted, record = excluded.record
  where (excluded.ended, excluded.record) > (ended, record)
"""


class Otlp:
    """Reads GenAI spans: LLM calls, and the tool calls between them.

    A span's parents say which agent it belongs to, wherever in the file they stand: the file is read once, what matters
    is kept in SQLite's temporary database, and then the traces are gone through one by one.
    """

    name = "otlp"
    summary = "OpenTelemetry traces with GenAI spans, as OTLP/JSON: one export per line, or one per file"

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or the .json and .jsonl files of a folder."""
        return lines.found(path, (".json", ".jsonl", ".json.gz", ".jsonl.gz"))

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """The LLM calls and tool calls of all traces in the file, trace by trace."""
        with closing(_Traces()) as traces:
            for number, export in _exports(file, advance):
                if isinstance(export, str):
                    yield Refused(number, export)
                    continue
                for found in exported(export):
                    if isinstance(found, str):
                        yield Refused(number, found)
                    else:
                        traces.add(found, _Known.of(found, number, defaults))
            for trace in traces:
                yield from _facts(trace, defaults)


def _exports(file: Path, advance: Callable[[int], None]) -> Iterator[tuple[int | None, dict[str, Any] | str]]:
    """The objects of the file with their line, or a sentence about what is none."""
    if _has_lines(file):
        for item in lines.objects(file, advance):
            yield (item.line, item.reason) if isinstance(item, Refused) else item
        return
    try:
        too_large = file.stat().st_size > lines.LIMIT
    except OSError as error:
        raise lines.reason_of(error, file) from error
    if too_large:
        raise ImportFailed(
            f"{file} is one export of more than {lines.LIMIT >> 20} MB: write each export on a line of its own."
        )
    try:
        whole = lines.parsed(lines.whole(file, advance), "the file")
    except ValueError as error:
        yield None, str(error)
        return
    for one in whole if isinstance(whole, list) else [whole]:
        yield None, one if isinstance(one, dict) else "the file holds something other than JSON objects."


def _has_lines(file: Path) -> bool:
    """Does each line hold an export of its own? Else one export is spread over the lines."""
    with lines.opened(file, lambda _: None) as reader:
        for _, line in lines.raw_lines(reader):
            if line is None:
                return True
            if line.strip():
                return line.strip() not in (b"{", b"[") and not line.lstrip().startswith(b"[")
    return True


# -- what is kept of a span -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Known:
    """What the ledger wants to know of a span; all of it goes through JSON."""

    line: int | None
    mark: Mark
    stated: dict[str, str]  # by the resource
    start_ns: int | None
    end_ns: int | None
    name: str
    inferences: list[Inference] = field(default_factory=list)
    refused: str | None = None
    request_id: str | None = None
    announced: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, found: Exported, line: int | None, defaults: Defaults) -> _Known | None:
        """None: the span only leads from one to another."""
        span = found.span
        mark = span_tree.mark(span)
        if mark == Mark():
            return None
        known = cls(line, mark, found.stated, span.start_ns, span.end_ns, span.name)
        if mark.role == "llm":
            known.request_id, known.announced = spans.request_id(span.attributes), span_tree.announced(span.attributes)
            try:
                known.inferences = fields.understood(
                    lambda: spans.inferences(span, provider=defaults.provider, model=defaults.model)
                )
            except UnknownUsage as error:
                known.refused = fields.sentence(error)
        return known

    @classmethod
    def loads(cls, record: str) -> _Known:
        """What `dumps` made text of."""
        values = json.loads(record)
        mark = values.pop("mark")
        tool = mark.pop("tool")
        values["mark"] = Mark(**mark, tool=ToolMark(**tool) if tool else None)
        values["inferences"] = [Inference(**one) for one in values.pop("inferences")]
        return cls(**values)

    def dumps(self) -> str:
        """All of it as text."""
        return json.dumps(asdict(self), sort_keys=True)


class _Trace(NamedTuple):
    """The spans of one trace: each with its id, its parent's, and what is known of it."""

    id: str
    spans: list[tuple[str, str | None, _Known | None]]


class _Traces:
    """All traces of a file, in SQLite's temporary database: it moves to disk by itself, so memory stays flat."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(_SCHEMA)
        self._db.execute("begin")

    def add(self, found: Exported, known: _Known | None) -> None:
        span = found.span
        wanted = known is not None and known.mark.role in ("llm", "tool")
        record = known.dumps() if known else ""
        values = [span.trace_id, span.span_id, found.parent_id, span.end_ns or 0, wanted, record]
        self._db.execute(_INSERT, values)

    def __iter__(self) -> Iterator[_Trace]:
        """Those in which something was called."""
        for (trace_id,) in self._db.execute("select trace from span group by trace having max(wanted)"):
            sql = "select id, parent, record from span where trace = ? order by id"
            rows = self._db.execute(sql, [trace_id])
            yield _Trace(
                trace_id, [(id_, parent, _Known.loads(known) if known else None) for id_, parent, known in rows]
            )

    def close(self) -> None:
        self._db.close()


# -- from a trace to facts --------------------------------------------------------------------------------------------


def _facts(trace: _Trace, defaults: Defaults) -> Iterator[Fact]:
    nodes = {id_: Node(None) for id_, _, _ in trace.spans}
    known = []
    for id_, parent, found in trace.spans:
        node = nodes[id_]
        node.parent = nodes.get(parent) if parent else None
        if found:
            node.mark, node.start_ns = found.mark, found.start_ns or 0
            span = Span(trace.id, id_, found.name, {}, start_ns=found.start_ns, end_ns=found.end_ns)
            known.append((span, node, found))
    yield from _calls([one for one in known if one[1].mark.role == "llm"], defaults)
    yield from _tool_calls([one for one in known if one[1].mark.role == "tool"], defaults)


_Placed = tuple[Span, Node, _Known]


def _calls(placed: Sequence[_Placed], defaults: Defaults) -> Iterator[Fact]:
    for _, node, found in placed:
        if found.inferences:
            span_tree.note_wrapped(node)
    requests = _requests(placed)
    for span, node, found in placed:
        if found.refused:
            yield Refused(found.line, found.refused)
        elif found.inferences and not (node.wraps and found.inferences[0].response_id is None):
            caller = span_tree.who(node, Attribution(), _defaults(defaults, found))
            request_id = found.request_id or requests.get(found.inferences[0].response_id)
            rows = [span_tree.call_fields(one, span.key, request_id, caller) for one in found.inferences]
            span_tree.note_answer(node, found.end_ns or found.start_ns or 0, rows[0]["request_id"], found.announced)
            yield from fields.checked(found.line, partial(_made_calls, rows, found, defaults))


def _requests(placed: Sequence[_Placed]) -> dict[str | None, str]:
    """The provider's request ids by response: where several spans tell of one, it is enough that one of them knows."""
    return {
        found.inferences[0].response_id: found.request_id
        for _, _, found in placed
        if found.inferences and found.request_id and found.inferences[0].response_id
    }


def _made_calls(rows: Sequence[dict[str, Any]], found: _Known, defaults: Defaults) -> list[Call]:
    ts = _ts(found, defaults)
    if rows[0]["agent_id"] is None:
        raise InvalidRecord("agent_id", None, _NO_AGENT)
    return [Call(**row, ts=ts) for row in rows]


def _tool_calls(placed: Sequence[_Placed], defaults: Defaults) -> Iterator[Fact]:
    for _, node, _ in sorted(placed, key=lambda one: -sum(1 for _ in one[1].up())):
        span_tree.merge_tool(node)
    for span, node, found in placed:
        if not node.merged:
            caller = span_tree.who(node, Attribution(), _defaults(defaults, found))
            request_id = caller.request_id or span_tree.asked_by(node)
            row = span_tree.tool_fields(node, span, caller, request_id)
            yield from fields.checked(found.line, partial(_made_tool_call, row, found, defaults))


def _made_tool_call(row: dict[str, Any], found: _Known, defaults: Defaults) -> list[ToolCall]:
    return [ToolCall(**row, ts=_ts(found, defaults))]


def _ts(found: _Known, defaults: Defaults) -> str:
    return fields.moment(defaults.ts) if not found.start_ns and defaults.ts else spans.moment(found.start_ns)


def _defaults(given: Defaults, found: _Known) -> Attribution:
    """What the resource says, and the user where it says nothing."""
    said = found.stated
    return Attribution(
        agent_id=said.get("agent_id") or given.agent_id,
        customer_id=said.get("customer_id") or given.customer_id,
        feature=said.get("feature") or given.feature,
        session_id=given.session_id,
    )


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `otlp`."""
    register(Otlp())
