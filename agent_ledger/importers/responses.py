"""Recorded responses of providers, as JSONL or as a folder of bodies.

A line is `{"ts": …, "agent_id": …, "request_id": …, "customer_id": …, "session_id": …, "feature": …, "provider": …,
"model": …, "body": {…}}`, or has `"events": [{…}, …]` for a stream; a bare body is a line too. All but the body may be
left out where the body says it or the user does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent_ledger import clock
from agent_ledger.errors import InvalidRecord, UnknownUsage
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import fields, lines
from agent_ledger.records import Call, Fact, Refused
from agent_ledger.usage import inferences, inferences_from_events, sse_events

_BODIES = (".json", ".sse")
_JSONL = (".jsonl", ".jsonl.gz")
_REQUEST_ID = ("request_id", "x_request_id", "request-id", "x-request-id", "x-amzn-requestid", "apim-request-id")
_CREATED = ("created", "created_at", "createTime")
_INSIDE = ("message", "response", "chunk")  # where events keep the object that has the time
_EARLIEST_SECONDS = 10**9  # 2001
_LATEST_SECONDS = 10**11  # what is above are milliseconds: in seconds it would be the year 5138


class Responses:
    """Reads recorded responses. A file named .json or .sse is one response, every other file has one per line.

    Of a folder the .json and .sse files are read, and everything else there is passed over (indexes, binary streams);
    only where it has none of them its .jsonl files are.
    """

    name = "responses"
    summary = "provider responses: JSONL, one per line, or a folder of recorded .json and .sse bodies"

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or the recorded bodies below a folder, or else its JSONL."""
        return lines.found(path, _BODIES, _JSONL)

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """The inferences of each response: several where one response holds several."""
        if file.suffix.lower() in _BODIES:
            yield from _read_body(file, defaults, advance)
            return
        for item in lines.objects(file, advance):
            if isinstance(item, Refused):
                yield item
            else:
                number, record = item
                yield from fields.checked(number, lambda record=record: _calls(record, defaults))  # type: ignore[misc]


def _read_body(file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
    data = lines.whole(file, advance)
    try:
        if file.suffix.lower() == ".sse":
            record: Any = {"events": fields.understood(lambda: sse_events(data))}
        else:
            record = lines.parsed(data, "the file")
    except UnknownUsage as error:
        yield Refused(None, fields.sentence(error))
        return
    except ValueError as error:
        hint = " Name it .jsonl if it has one response per line." if b"}\n{" in data else ""
        yield Refused(None, f"{error}{hint}")
        return
    records = [record]
    if isinstance(record, list):
        records = [{"events": record}] if _is_gemini_stream(record) else record
    for one in records:
        if isinstance(one, dict):
            yield from fields.checked(None, lambda one=one: _calls(one, defaults))  # type: ignore[misc]
        else:
            yield Refused(None, "the file holds something other than JSON objects.")


def _is_gemini_stream(found: Sequence[Any]) -> bool:
    """Gemini streams without SSE too: an array of chunks, which have one id."""
    chunks = [one for one in found if isinstance(one, dict) and ("candidates" in one or "usageMetadata" in one)]
    return bool(found) and len(chunks) == len(found) and len({str(one.get("responseId")) for one in chunks}) == 1


def _calls(record: dict[str, Any], defaults: Defaults) -> Iterable[Call]:
    body, events = record.get("body"), record.get("events")
    provider, model = defaults.provider, defaults.model
    if body is None and events is None:
        if "body" in record or "events" in record:
            raise InvalidRecord("body", body, "give the provider's response, or its events")
        # A bare body. Its "provider" is not ours: OpenRouter's names the company behind.
        found = fields.understood(lambda: inferences(record, provider=provider, model=model))
        said = [record]
    else:
        provider, model = fields.text(record, "provider") or provider, fields.text(record, "model") or model
        if body is not None:
            if not isinstance(body, dict):
                raise InvalidRecord("body", body, "give the provider's response as a JSON object")
            found = fields.understood(lambda: inferences(body, provider=provider, model=model))
            said = [body]
        else:
            if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
                raise InvalidRecord("events", events, "give the stream's events as a list of JSON objects")
            found = fields.understood(lambda: inferences_from_events(events, provider=provider, model=model))
            said = events
    if not found:  # an error, or a response that nobody is charged for: it needs neither an agent nor a time
        return []
    ts = _ts(record, said, defaults)
    request_id = _request_id(record)
    return [
        fields.call(
            inference,
            agent_id=fields.agent(record, defaults),
            request_id=request_id or inference.response_id or fields.digest_id(record),
            ts=ts,
            customer_id=fields.text(record, "customer_id") or defaults.customer_id,
            session_id=fields.text(record, "session_id") or defaults.session_id,
            feature=fields.text(record, "feature") or defaults.feature,
        )
        for inference in found
    ]


def _request_id(record: Mapping[str, Any]) -> str | None:
    """The id that the provider gave the request, where the line has it or the response's headers."""
    headers = record.get("headers")
    places = [record]
    if isinstance(headers, dict):
        places.append({name.lower(): value for name, value in headers.items()})
    for place in places:
        for name in _REQUEST_ID:
            if found := fields.text(place, name):
                return found
    return None


def _ts(record: Mapping[str, Any], said: Sequence[Mapping[str, Any]], defaults: Defaults) -> str:
    """When the call was made: by the line, else by the response itself, else by the user."""
    if record.get("ts") not in (None, ""):
        return fields.moment(record["ts"])
    for event in said:
        for place in (event, *(event.get(name) for name in _INSIDE)):
            if isinstance(place, Mapping):
                for name in _CREATED:
                    if made := _made(place.get(name)):
                        return made
    return fields.moment(defaults.ts)


def _made(value: object) -> str | None:
    """The moment that a provider put into its response; None where it is only filled in, with 0 or so."""
    if isinstance(value, int | float):
        if not value > _EARLIEST_SECONDS:
            return None
        value = value / 1000 if value > _LATEST_SECONDS else value
    try:
        return clock.parse(value)
    except ValueError:
        return None


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `responses`."""
    register(Responses())
