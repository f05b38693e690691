"""The log of Simon Willison's `llm`: SQLite, table `responses` until 0.35 and `turns` since 0.36.

An upgrade leaves the old rows where they are, so both tables are read; no id stands in both. llm keeps the provider's
own counts: `input_tokens` has the cache in it for OpenAI and has not for Anthropic, and what `token_details` holds
tells which. Not in the log, and so not here: tokens of Anthropic's compaction and advisor, and failed calls.
"""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent_ledger.errors import ImportFailed, InvalidRecord
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import fields, lines
from agent_ledger.records import Call, Fact, Inference
from agent_ledger.usage import inferences
from agent_ledger.validation import check

_AGENT = "llm"
_TABLES = {"responses": "conversation_id", "turns": "thread_id"}
_REQUIRED = ("id", "model", "datetime_utc", "input_tokens", "output_tokens")
_OPTIONAL = ("resolved_model", "token_details", "response_json")
_TEST_MODELS = frozenset(["echo"])  # llm-echo repeats the prompt on this machine and makes up counts
# What llm's plugins write before the model's name, where that is a provider.
_PROVIDERS = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
}
_OPENAI_MODEL = re.compile(r"(gpt-|chatgpt-|o\d|codex-|text-embedding-|ft:gpt-)")
_ANTHROPIC_DETAILS = frozenset(
    (
        "cache_creation",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "server_tool_use",
        "inference_geo",
        "speed",
    )
)
_UNLOGGED = frozenset(["compaction", "advisor_tool_result"])


class Llm:
    """Reads logs.db. Rows of llm's own test model `echo` are left out: no provider was asked."""

    name = "llm"
    summary = "logs.db of Simon Willison's llm (see: llm logs path)"

    def files(self, path: Path) -> Sequence[Path]:
        """The database itself, or every logs.db below a folder."""
        return lines.found(path, ("logs.db",))

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """The logged responses, older tables first, each in the order of their ids, which is that of time."""
        # Tells of missing, empty, unreadable files and folders in the words of all importers.
        with lines.opened(file, lambda _: None) as reader:
            if not reader.peek(16).startswith(b"SQLite format 3\0"):
                raise ImportFailed(f"{file} is not a SQLite database: give the file that `llm logs path` names.")
        size = file.stat().st_size
        try:
            with closing(_connected(file)) as db:
                yield from _rows(db, file, defaults, _Progress(size, advance))
        except sqlite3.Error as error:
            raise ImportFailed(f"{file} can't be read as a SQLite database: {error}.") from None


class _Progress:
    """Turns rows into bytes of the file, for a progress bar that counts bytes."""

    def __init__(self, size: int, advance: Callable[[int], None]) -> None:
        self._size, self._advance = size, advance
        self._total = self._rows = self._told = 0

    def expect(self, rows: int) -> None:
        self._total += rows

    def row(self) -> None:
        self._rows += 1
        come = self._size * self._rows // self._total
        self._advance(come - self._told)
        self._told = come


def _connected(file: Path) -> sqlite3.Connection:
    """The database, read-only. A write-ahead log in a folder that we can't write to needs `immutable`."""
    address = f"file:{quote(str(file.absolute()))}?mode=ro"
    db = sqlite3.connect(address, uri=True)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
        db = sqlite3.connect(f"{address}&immutable=1", uri=True)
    # Wrong bytes become lone surrogates, which the checks refuse with the row instead of ending the import.
    db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    db.row_factory = sqlite3.Row
    return db


def _rows(db: sqlite3.Connection, file: Path, defaults: Defaults, progress: _Progress) -> Iterator[Fact]:
    queries = []
    for table, session in _TABLES.items():
        columns = {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}
        if columns.issuperset(_REQUIRED):
            progress.expect(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            queries.append(_query(table, session, columns))
    if not queries:
        raise ImportFailed(f"{file} is no log of llm: it has neither a table responses nor turns with token counts.")
    for query in queries:
        for row in db.execute(query):
            progress.row()
            # There are no lines in a database: the row's id is what leads to it.
            where = f"row {fields.shown(row['id'])}: "
            yield from fields.checked(None, lambda row=dict(row): _calls(row, defaults), where)  # type: ignore[misc]


def _query(table: str, session: str, columns: set[str]) -> str:
    """Prompts and responses are not among the columns. An overlong response_json is not read into memory."""
    wanted = [*_REQUIRED]
    for name in (*_OPTIONAL, session):
        source = name if name in columns else "NULL"
        if name == "response_json" and source != "NULL":
            source = f"CASE WHEN length(response_json) <= {lines.LIMIT} THEN response_json END"
        wanted.append(f"{source} AS {'session_id' if name == session else name}")
    return f"SELECT {', '.join(wanted)} FROM {table} ORDER BY id"


def _calls(row: dict[str, Any], defaults: Defaults) -> Iterable[Call]:
    name = fields.text(row, "model")
    return [] if name in _TEST_MODELS else [call_of(row, name, defaults)]


def call_of(row: Mapping[str, Any], name: str | None, defaults: Defaults) -> Call:
    """The call that a row with the columns of _REQUIRED, _OPTIONAL and session_id tells of; `name` is llm's model id.

    Raises InvalidRecord.
    """
    response = _response(row)
    details = _json(row, "token_details")
    model, provider = _model_and_provider(row, name, response)
    inference = _inference(row, model, provider, response, details)
    if inference.anomaly is None and _hides_inferences(response):
        anomaly = "llm does not log the tokens of compaction and advisor, which this response has as well."
        inference = dataclasses.replace(inference, anomaly=anomaly)
    return fields.call(
        inference,
        model=model,
        provider=provider or defaults.provider,
        response_id=_plain(response.get("id")),
        evidence="log",
        agent_id=defaults.agent_id or _AGENT,
        request_id=fields.text(row, "id"),
        ts=fields.moment(row["datetime_utc"], "datetime_utc"),
        customer_id=defaults.customer_id,
        session_id=fields.text(row, "session_id") or defaults.session_id,
        feature=defaults.feature,
    )


def _json(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    """The JSON object of a column, an empty one where it is NULL. Raises InvalidRecord where it is neither."""
    value = row[column]
    if value is None or value == "":
        return {}
    try:
        parsed = lines.parsed(str(value).encode("utf-8", "surrogateescape"), column)
    except ValueError as error:
        raise InvalidRecord(column, value, f"a JSON object is expected, and {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidRecord(column, value, "a JSON object is expected")
    return parsed


def _response(row: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's response as far as llm kept it. It only adds to the counts, so a damaged one is left aside."""
    try:
        return _json(row, "response_json")
    except InvalidRecord:
        return {}


def _plain(value: object) -> str | None:
    """Text of a response that llm condensed: `{"$": …}` refers to content stored elsewhere."""
    return value if isinstance(value, str) and value else None


def _model_and_provider(
    row: Mapping[str, Any], name: str | None, response: Mapping[str, Any]
) -> tuple[str, str | None]:
    if name is None:
        raise InvalidRecord("model", row["model"], "the row names no model")
    prefix, slash, rest = name.partition("/")
    provider = _PROVIDERS.get(prefix) if slash else None
    model = _plain(response.get("model")) or fields.text(row, "resolved_model") or (rest if provider else name)
    model = model.removeprefix(f"{prefix}/") if provider and provider != "openrouter" else model
    if provider is None and model.startswith("claude"):
        provider = "anthropic"
    if provider is None and _OPENAI_MODEL.match(model):
        provider = "openai"
    if provider is None and model.startswith("gemini"):
        provider = "google"
    return model, provider


def _inference(
    row: Mapping[str, Any], model: str, provider: str | None, response: Mapping[str, Any], details: Mapping[str, Any]
) -> Inference:
    """The counts, in the ledger's terms: by the reader of the provider whose terms the row is in."""
    given, made = row["input_tokens"], row["output_tokens"]
    plain = Inference(model=model, prompt_tokens=given, completion_tokens=made)
    check(fields.call(plain, agent_id="-", request_id="-", ts="-"))  # the readers expect sound counts
    if given is None or made is None:
        return plain
    if provider == "anthropic" or response.get("type") == "message" or not _ANTHROPIC_DETAILS.isdisjoint(details):
        usage = {"input_tokens": given, "output_tokens": made, **details}
        body = {"type": "message", "content": response.get("content"), "model": model, "usage": usage}
        return _only(fields.understood(lambda: inferences(body, provider="anthropic")), plain)
    if "cachedContentTokenCount" in details or "thoughtsTokenCount" in details:
        # llm-gemini has added the thoughts to the output already.
        return dataclasses.replace(
            plain,
            cache_read_tokens=details.get("cachedContentTokenCount"),
            reasoning_tokens=details.get("thoughtsTokenCount"),
        )
    usage = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **_chat_details(details)}
    body = {"object": "chat.completion", "model": model, "choices": [], "usage": usage}
    if tier := _plain(response.get("service_tier")):
        body["service_tier"] = tier
    return _only(fields.understood(lambda: inferences(body, provider=provider)), plain)


def _chat_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details of either OpenAI API, by the names of the older one; what llm referred elsewhere is left out."""
    renamed = {"input_tokens_details": "prompt_tokens_details", "output_tokens_details": "completion_tokens_details"}
    return {
        renamed.get(name, name): value
        for name, value in details.items()
        if not (isinstance(value, dict) and "$" in value)
        and name not in ("prompt_tokens", "completion_tokens", "total_tokens")
    }


def _only(found: Sequence[Inference], otherwise: Inference) -> Inference:
    """llm logs one pair of counts per response, so there is one inference."""
    return found[0] if found else otherwise


def _hides_inferences(response: Mapping[str, Any]) -> bool:
    content = response.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and isinstance(block.get("type"), str) and block["type"] in _UNLOGGED
        for block in content
    )


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `llm`."""
    register(Llm())
