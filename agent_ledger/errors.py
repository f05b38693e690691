"""Every exception a user can see. Each message is one sentence that says what to do about it."""

from __future__ import annotations


class LedgerError(Exception):
    """Base of all errors of this package."""


class NotALedger(LedgerError):
    """The file is not an agent-ledger file, or is from a newer version. It has not been touched."""


class InvalidRecord(LedgerError):
    """A value that may not enter the ledger. Nothing of the record was stored.

    `field` is the column's name and `value` what was given for it.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = f"{shown[:77]}..."
        super().__init__(f"{field} is {shown}: {remedy}")
        self.field = field
        self.value = value


class UnknownUsage(LedgerError):
    """A provider response whose shape nobody here knows, so that its tokens can't be read."""


class InvalidPrice(LedgerError):
    """A price row that may not enter the ledger: negative, zero for a model that is not free, or contradictory."""


class ImportFailed(LedgerError):
    """A file that can't be imported at all. Nothing of it was stored."""


class SinkDown(LedgerError):
    """A sink that can't take rows now: trying again may help. What it has not confirmed stays to be shipped."""


class BudgetExceeded(LedgerError):
    """A call that may not be made, because of a directive or of a hard cap. No money was spent.

    `reason` says which one, and until when.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotificationFailed(LedgerError):
    """A message that could not be delivered now. The text is kept in the ledger, so it holds no secret.

    `retry_after_s` is what the receiver asked for, in seconds; None: nothing.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
