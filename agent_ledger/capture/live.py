"""What a ledger does while agents run: it watches their clients, and takes rows without ever raising."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from agent_ledger.attribution import Attribution
from agent_ledger.capture import (
    bedrock,
    enforce_bedrock,
    enforce_google,
    enforce_http,
    google,
    http,
    threads,
    tool,
)
from agent_ledger.capture.enforce import Enforcement
from agent_ledger.connection import Writer
from agent_ledger.control.decide import Decision, Directives
from agent_ledger.control.reserve import Ask, Reservation, Reservations
from agent_ledger.errors import LedgerError
from agent_ledger.price_lookup import look_up_new
from agent_ledger.recording import CALLS, TOOL_CALLS, Table
from agent_ledger.stamping import Stamper

_log = logging.getLogger("agent_ledger")
_Client = TypeVar("_Client")
Listener = Callable[[str, Mapping[str, Any]], None]

_SDKS = (bedrock, google, http)  # the first that knows the client wins; google-genai also has an HTTP client inside
_LONGEST_CALL_S = 600.0  # after which the SDKs give up by themselves
_GATES = (enforce_bedrock, enforce_google, enforce_http)
_UNFINISHED = """
  select ts, agent_id, request_id, customer_id, session_id, feature from ledger
  -- With a plus, or SQLite puts the id into the first condition too, and finds no index for it.
  where substr(response_id, -8) = substr(?1, -8) and +response_id = ?1 and response_id is not null
    and prompt_tokens is null and completion_tokens is null and evidence = 'partial'
  order by id limit 1
"""


class LiveCapture:
    """The half of `Ledger` that runtimes use."""

    def __init__(self, stamper: Stamper, path: Path) -> None:
        self._stamper = stamper
        self._directives = Directives(path)
        self._reservations = Reservations(path)
        self._listeners: tuple[Listener, ...] = ()
        self._priced: set[tuple[str, ...]] = set()

    # -- watching clients ---------------------------------------------------------------------------------------------

    def instrument(
        self,
        client: _Client,
        *,
        provider: str | None = None,
        agent_id: str | None = None,
        customer_id: str | None = None,
        feature: str | None = None,
        session_id: str | None = None,
        enforce: bool = False,
        fail_closed: bool = False,
        reserve_usd: object = None,
        reserve_tokens: int | None = None,
    ) -> _Client:
        """Record every LLM call that `client` makes from now on; returns the same client.

        Clients of Anthropic and OpenAI (sync and async, also for Azure, Bedrock and Vertex), of what speaks like them,
        google-genai's `Client`, boto3's bedrock-runtime client, and a bare httpx or httpx2 client. Instrumenting twice
        is harmless. Who calls is said by `attribute`; the arguments stand in where it leaves something open. `provider`
        is told by the address where that is known, and is worth giving for a server of your own.
        With `enforce` its calls obey directives: they go out on a smaller model, or raise BudgetExceeded before
        anything is sent, as `decide` says. `fail_closed`: they raise it too where the ledger can't be read.
        `reserve_usd` and `reserve_tokens`, what one call may need at most, are reserved for each, as `reserve` does.
        Raises LedgerError for an object that is no such client.
        """
        defaults = Attribution(agent_id, customer_id, feature, session_id)
        ask = None
        if reserve_usd is not None or reserve_tokens is not None:
            ask = Ask.of(reserve_usd, reserve_tokens, _LONGEST_CALL_S)
        for sdk, gate in zip(_SDKS, _GATES, strict=True):
            if sdk.attach(client, self, provider=provider, defaults=defaults):
                if enforce:
                    self.decide("(unattributed)", None)  # opens the file here, and not in a call
                    gate.enforce(client, Enforcement(self, defaults, fail_closed, ask))
                return client
        raise LedgerError(
            f"a {type(client).__module__}.{type(client).__name__} can't be instrumented: give a client of anthropic, "
            "openai, google-genai, boto3's bedrock-runtime or httpx, or record its calls with record_call"
        )

    def instrument_all(self) -> Callable[[], None]:
        """Record the LLM calls of every client in this process, also of those that libraries make for themselves, and
        let threads and executors inherit the attribution. Returns a function that undoes it."""
        undo = [sdk.attach_everywhere(self) for sdk in _SDKS]
        undo.append(threads.propagate_everywhere())

        def stop() -> None:
            while undo:
                undo.pop()()

        return stop

    def tool(self, *args: Any, **options: Any) -> Any:
        """Decorate a function that is a tool: every call of it becomes an audit row. See `capture.tool.tool`.

        @ledger.tool(server="s3", resource_id="invoices-bucket")
        def get_object(key: str) -> bytes: ...
        """
        return tool.tool(self, *args, **options)

    # -- what they may do ---------------------------------------------------------------------------------------------

    def decide(
        self,
        agent_id: str,
        model: str | None,
        *,
        customer_id: str | None = None,
        feature: str | None = None,
        fail_closed: bool = False,
    ) -> Decision:
        """What a call of `agent_id` on `model` may do now: go out as it is, go out on another model, or not at all.

        Directives of the agent, its team and feature, the customer, the model and everything hold; `feature` None: that
        of the agent. Where the ledger can't be read, the call is allowed, or refused with `fail_closed`, and the log
        says so once. Never raises, and waits a quarter of a second at most.
        """
        return self._directives.decide(
            agent_id, model, customer_id=customer_id, feature=feature, fail_closed=fail_closed
        )

    def reserve(
        self,
        agent_id: str,
        model: str | None = None,
        *,
        usd: object = None,
        tokens: int | None = None,
        customer_id: str | None = None,
        feature: str | None = None,
        expires_in_s: float = _LONGEST_CALL_S,
    ) -> Reservation:
        """Room under the hard caps for a call that costs `usd` at most and needs `tokens` at most, for caps of either.

            with ledger.reserve("scraper", usd="0.05"):
                client.messages.create(...)  # recorded before it is settled

        In all threads and processes together, exactly as many are admitted as there is room for. What is not settled
        after `expires_in_s` counts no more. Raises BudgetExceeded where there is no room, InvalidRecord for a bad
        amount, and LedgerError where the file can't be written within five seconds.
        """
        ask = Ask.of(usd, tokens, expires_in_s)
        made = self._reservations.make(agent_id, model, customer_id, feature, ask)
        return Reservation(self._reservations, made)

    def hold(
        self, agent_id: str, model: str | None, *, customer_id: str | None, feature: str | None, ask: Ask
    ) -> str | None:
        """A reservation by its id, for who settles it elsewhere; None: no hard cap concerns the call."""
        return self._reservations.make(agent_id, model, customer_id, feature, ask)

    def settle(self, reservation_id: str) -> None:
        """The call is over that this was reserved for. Never raises."""
        self._reservations.settle(reservation_id)

    def stamp_refused(self, *, agent_id: str, requested_model: str | None, directive_id: int | None) -> None:
        """Keep that a call was refused. Never raises."""
        self._directives.note(agent_id=agent_id, requested_model=requested_model, directive_id=directive_id)

    def stamp_rerouted(self, *, agent_id: str, request_id: str, requested_model: str, directive_id: int | None) -> None:
        """Keep that a call went to another model than was asked for. Never raises."""
        self._directives.note(
            agent_id=agent_id, request_id=request_id, requested_model=requested_model, directive_id=directive_id
        )

    # -- taking rows --------------------------------------------------------------------------------------------------

    def stamp_call(self, **fields: Any) -> None:
        """Like `record_call`, for where nothing may get in the way: never raises, and waits a quarter of a second at
        most. What can't be written now is kept in a file beside the ledger until it can; a value that may not enter
        the ledger is left out, with a warning."""
        self._stamp(CALLS, fields)

    def stamp_tool_call(self, **fields: Any) -> None:
        """Like `record_tool_call`, in the manner of `stamp_call`."""
        self._stamp(TOOL_CALLS, fields)

    def _stamp(self, table: Table, fields: Mapping[str, Any]) -> None:
        rows = self._stamper.stamp(table, fields)
        try:
            if rows > 1:  # some came from the spool, whatever their models are
                look_up_new(self._stamper.writer())
            elif rows and table is CALLS:
                self._price(fields, self._stamper.writer)
        except Exception:
            _log.warning("The price of a call could not be looked up", exc_info=True)
        self._tell(table, fields)

    def unfinished_call(self, response_id: str) -> dict[str, Any] | None:
        """Who made the call whose answer was not there yet when it was recorded: ts, agent_id, request_id, customer_id,
        session_id, feature. None: there is no such call, or the file can't be read now. Never raises."""
        try:
            writer = self._stamper.writer()
            with writer.lock():
                cursor = writer.live().execute(_UNFINISHED, [response_id])
                row = cursor.fetchone()
            return dict(zip([column[0] for column in cursor.description], row, strict=True)) if row else None
        except Exception:  # a bug of ours is no trouble of the agent's
            return None

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(table, fields)` after each call ("ledger") or tool call ("audit") that this object records.

        `fields` are those given to `record_…` or `stamp_…`. What a listener raises is logged. Returns a function that
        ends it.
        """
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unsubscribe

    def _tell(self, table: Table, fields: Mapping[str, Any]) -> None:
        for listener in self._listeners:
            try:
                listener(table.name, fields)
            except Exception:  # somebody else's code
                _log.warning("A listener of the ledger failed", exc_info=True)

    def _price(self, fields: Mapping[str, Any], writer: Callable[[], Writer]) -> None:
        """Look up the price of a model when it is first seen."""
        key = tuple(str(fields.get(name)) for name in ("model", "provider", "service_tier", "region"))
        if key not in self._priced:
            look_up_new(writer())
            self._priced.add(key)
