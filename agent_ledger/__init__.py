"""Which agent spent the money? A SQLite ledger of LLM and tool calls, with cost computed at query time."""

from agent_ledger.attribution import attribute, propagate
from agent_ledger.control.decide import Decision
from agent_ledger.control.reserve import Reservation
from agent_ledger.errors import (
    BudgetExceeded,
    ImportFailed,
    InvalidPrice,
    InvalidRecord,
    LedgerError,
    NotALedger,
    NotificationFailed,
    UnknownUsage,
)
from agent_ledger.hookspecs import Defaults, Message, hookimpl
from agent_ledger.ledger import Ledger, Recorded
from agent_ledger.records import Assignment, Call, Inference, PriceRevision, ToolCall
from agent_ledger.reporting import start_of

__all__ = [
    "Assignment",
    "BudgetExceeded",
    "Call",
    "Decision",
    "Defaults",
    "ImportFailed",
    "Inference",
    "InvalidPrice",
    "InvalidRecord",
    "Ledger",
    "LedgerError",
    "Message",
    "NotALedger",
    "NotificationFailed",
    "PriceRevision",
    "Recorded",
    "Reservation",
    "ToolCall",
    "UnknownUsage",
    "attribute",
    "hookimpl",
    "propagate",
    "start_of",
]
