"""Which agent spent the money? A SQLite ledger of LLM and tool calls, with cost computed at query time."""

from agent_ledger.attribution import attribute, propagate
from agent_ledger.errors import (
    ImportFailed,
    InvalidPrice,
    InvalidRecord,
    LedgerError,
    NotALedger,
    UnknownUsage,
)
from agent_ledger.hookspecs import Defaults, hookimpl
from agent_ledger.ledger import Ledger, Recorded
from agent_ledger.records import Assignment, Call, Inference, PriceRevision, ToolCall
from agent_ledger.reporting import start_of

__all__ = [
    "Assignment",
    "Call",
    "Defaults",
    "ImportFailed",
    "Inference",
    "InvalidPrice",
    "InvalidRecord",
    "Ledger",
    "LedgerError",
    "NotALedger",
    "PriceRevision",
    "Recorded",
    "ToolCall",
    "UnknownUsage",
    "attribute",
    "hookimpl",
    "propagate",
    "start_of",
]
