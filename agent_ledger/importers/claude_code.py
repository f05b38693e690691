"""Transcripts of Claude Code: `~/.claude/projects/<project>/<session>.jsonl`, and the subagents' below `subagents/`.

A response is written several times while it grows, each line with all usage so far, so the last line counts, and none
is added to another. Lines copied into other files (resumed, forked and sidechain sessions) keep their ids: the ledger
sees that it has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from agent_ledger.errors import InvalidRecord, UnknownUsage
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import fields, lines
from agent_ledger.records import Call, Fact, Refused, ToolCall
from agent_ledger.usage import inferences
from agent_ledger.validation import check

_AGENT = "claude-code"
_Key = tuple[str, str | None]


@dataclasses.dataclass(slots=True)
class _Response:
    """The line that counts for one response so far."""

    rank: tuple[bool, bool]
    request_id: str | None
    calls: list[Call]


class ClaudeCode:
    """Reads transcripts. The agent is `claude-code`, a subagent `claude-code/<type>`; the project is the feature."""

    name = "claude-code"
    summary = "Claude Code transcripts: a .jsonl file, a project's folder, or ~/.claude/projects"

    def files(self, path: Path) -> Sequence[Path]:
        """The transcript itself, or all below a folder."""
        return lines.found(path, (".jsonl", ".jsonl.gz"))

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """The responses of a transcript, then their tool calls. Held until the end: any line may supersede another."""
        transcript = _Transcript(file, defaults)
        for item in lines.objects(file, advance):
            if isinstance(item, Refused):
                yield item
                continue
            number, line = item
            try:
                transcript.take(line)
            except (InvalidRecord, UnknownUsage) as error:
                yield Refused(number, fields.sentence(error))
            except RecursionError:
                yield Refused(number, "the record is nested too deeply.")
        yield from transcript.facts()


class _Transcript:
    def __init__(self, file: Path, defaults: Defaults) -> None:
        self._defaults = defaults
        self._in_subagents = "subagents" in file.parts
        self._responses: dict[_Key, _Response] = {}
        self._first: dict[str, tuple[_Key, bool]] = {}
        self._tools: dict[str, tuple[_Key, ToolCall]] = {}

    def take(self, line: dict[str, Any]) -> None:
        message = line.get("message")
        if not isinstance(message, dict):
            return
        role = line.get("type", message.get("role"))
        if role == "user":
            self._take_results(message)
        elif role == "assistant" and message.get("usage") is not None and not _is_made_up(line, message):
            self._take_response(line, message)

    def facts(self) -> Iterator[Call | ToolCall]:
        for response in self._responses.values():
            yield from response.calls
        for key, tool in self._tools.values():
            yield dataclasses.replace(tool, request_id=self._responses[key].calls[0].request_id)

    def _take_response(self, line: dict[str, Any], message: dict[str, Any]) -> None:
        ts = fields.moment(line.get("timestamp"), "timestamp", "the line has no time, so it can't be placed")
        response_id, request_id = fields.text(message, "id"), fields.text(line, "requestId")
        sidechain = line.get("isSidechain") is True
        key = self._key(response_id, request_id, sidechain, line)
        known = self._responses.get(key)
        if request_id is None and known:
            request_id = known.request_id
        agent_id = self._agent(line, sidechain)
        calls = self._calls(line, message, ts, agent_id, request_id or key[0], response_id)
        tools = list(self._tool_calls(message, ts, agent_id))
        facts: list[Call | ToolCall] = [*calls, *tools]
        for fact in facts:
            check(fact)
        if not calls:
            return
        # A copy in a sidechain does not displace the original, nor an unfinished line a finished one.
        rank = (not sidechain, message.get("stop_reason") is not None)
        if known is None or rank >= known.rank:
            self._responses[key] = _Response(rank, request_id, calls)
        for tool in tools:
            self._tools.setdefault(str(tool.tool_call_id), (key, tool))

    def _key(self, response_id: str | None, request_id: str | None, sidechain: bool, line: dict[str, Any]) -> _Key:
        """What makes lines the same response: the provider's id, else the request's, else the line's own.

        Some providers give the same response id to different requests; only then do both make the key.
        """
        if response_id is None:
            return (request_id or fields.text(line, "uuid") or fields.digest_id(line), None)
        first, copied = self._first.setdefault(response_id, ((response_id, request_id), sidechain))
        if sidechain or copied or request_id is None or first[1] is None:
            return first
        return (response_id, request_id)

    def _agent(self, line: dict[str, Any], sidechain: bool) -> str:
        main = self._defaults.agent_id or _AGENT
        if not (sidechain or self._in_subagents or line.get("agentId")):
            return main
        return f"{main}/{fields.text(line, 'attributionAgent') or fields.text(line, 'agentType') or 'subagent'}"

    def _calls(
        self,
        line: dict[str, Any],
        message: dict[str, Any],
        ts: str,
        agent_id: str,
        request_id: str,
        response_id: str | None,
    ) -> list[Call]:
        # Claude Code writes other providers' answers in Anthropic's shape as well; old lines lack half of it.
        body = {"content": [], **message, "type": "message"}
        found = fields.understood(lambda: inferences(body, provider="anthropic"))
        cwd = fields.text(line, "cwd")
        calls = [
            fields.call(
                inference,
                provider="anthropic" if inference.model.startswith("claude") else None,
                response_id=response_id,
                evidence="log",
                agent_id=agent_id,
                request_id=request_id,
                ts=ts,
                customer_id=self._defaults.customer_id,
                session_id=fields.text(line, "sessionId") or self._defaults.session_id,
                # Windows' rules know both kinds of slash.
                feature=self._defaults.feature or (cwd and PureWindowsPath(cwd).name) or None,
            )
            for inference in found
        ]
        if len(calls) == 1 and line.get("costUSD") is not None:  # old versions wrote down what they thought it cost
            calls[0] = dataclasses.replace(calls[0], reported_cost_usd=line["costUSD"])
        return calls

    def _tool_calls(self, message: dict[str, Any], ts: str, agent_id: str) -> Iterator[ToolCall]:
        for block in _blocks(message, "tool_use"):
            tool_call_id, name = fields.text(block, "id"), fields.text(block, "name")
            if tool_call_id is None or name is None:
                continue
            server, tool = _server_and_tool(name)
            yield ToolCall(
                tool=tool,
                server=server,
                ts=ts,
                tool_call_id=tool_call_id,
                agent_id=agent_id,
                arguments_digest=fields.digest(block.get("input")),
            )

    def _take_results(self, message: dict[str, Any]) -> None:
        for block in _blocks(message, "tool_result"):
            tool_call_id = block.get("tool_use_id")
            if isinstance(tool_call_id, str) and tool_call_id in self._tools:
                key, tool = self._tools[tool_call_id]
                status = "error" if block.get("is_error") is True else "ok"
                self._tools[tool_call_id] = (key, dataclasses.replace(tool, status=status))


def _is_made_up(line: dict[str, Any], message: dict[str, Any]) -> bool:
    """Messages that Claude Code writes itself, in the model's place: nobody was asked, nothing was used."""
    return bool(line.get("isApiErrorMessage")) or message.get("model") == "<synthetic>"


def _blocks(message: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, list):
        yield from (block for block in content if isinstance(block, dict) and block.get("type") == kind)


def _server_and_tool(name: str) -> tuple[str, str]:
    """`mcp__github__create_issue` is a tool of the MCP server github; all others are Claude Code's own."""
    prefix, _, rest = name.partition("__")
    server, _, tool = rest.partition("__")
    return (server, tool) if prefix == "mcp" and server and tool else (_AGENT, name)


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `claude-code`."""
    register(ClaudeCode())
