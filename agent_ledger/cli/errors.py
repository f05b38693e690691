"""The group that all commands hang on: whatever goes wrong, people get one sentence and programs an exit code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from agent_ledger.cli.output import plain
from agent_ledger.errors import LedgerError, NotALedger

PROBLEM = 1

# By the beginning of SQLite's own name for what happened: what it is, and what to do.
_SQLITE = {
    "SQLITE_BUSY": "another process is writing to it: try again when that is done",
    "SQLITE_LOCKED": "another process is writing to it: try again when that is done",
    "SQLITE_READONLY": "it or its folder may not be written: check the permissions",
    "SQLITE_CANTOPEN": "it or its folder may not be opened: check the permissions",
    "SQLITE_PERM": "it may not be opened: check the permissions",
    "SQLITE_FULL": "the disk is full: make room and try again",
    "SQLITE_IOERR": "the disk does not answer as it should: check it and try again",
    "SQLITE_CORRUPT": "the file is damaged: restore it from a backup",
    "SQLITE_NOTADB": "the file is damaged: restore it from a backup",
    "SQLITE_CONSTRAINT": "a value was refused: give text that is not empty, and numbers that are possible",
    "SQLITE_TOOBIG": "it holds a value that is too large for SQLite",
}


class Sentence(click.ClickException):
    """What goes to stderr, after "Error: ", before the command ends with an exit code."""

    exit_code = PROBLEM

    def __init__(self, message: str) -> None:
        super().__init__(plain(" ".join(message.split())))


class Misused(Sentence):
    """The command can't be understood, or the file is not a ledger."""

    exit_code = 2


class Interrupted(Sentence):
    """The user pressed Ctrl+C."""

    exit_code = 130  # 128 + SIGINT, as shells have it


class LedgerGroup(click.Group):
    """Lists commands in the order they were added, and turns errors into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _one_sentence():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_sentence():
            return super().invoke(ctx)


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except (Sentence, BrokenPipeError):  # who no longer reads needs no message: click ends quietly
        raise
    except (KeyboardInterrupt, click.Abort):
        raise Interrupted("interrupted") from None
    except (click.ClickException, LedgerError, sqlite3.Error, OSError, UnicodeError) as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # it shows the help; not there before click 8.2
            raise
        raise explain(error) from error


def explain(error: Exception) -> Sentence:
    """What went wrong and what to do."""
    if isinstance(error, click.UsageError):
        return Misused(_of_click(error))
    if isinstance(error, click.ClickException):
        return Sentence(error.format_message())
    if isinstance(error, LedgerError):
        cause = error.__cause__
        if advice := _advice(cause):
            return Sentence(f"{str(error).removesuffix(str(cause)).rstrip(': ')}: {advice}")
        return Misused(str(error)) if isinstance(error, NotALedger) else Sentence(str(error))
    if isinstance(error, sqlite3.Error):
        return Sentence(f"the ledger can't be used: {_advice(error) or error}")
    if isinstance(error, OSError) and error.filename is not None:
        return Sentence(f"{error.filename} can't be used ({error.strerror}): check the path and its permissions")
    if isinstance(error, UnicodeError):
        return Sentence("a value is not valid Unicode text: give it as UTF-8")
    what = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
    return Sentence(f"the system refused ({what}): check the disk and the permissions")


def usage_error(message: str) -> click.UsageError:
    """A usage error of the command that is running."""
    return click.UsageError(message, click.get_current_context(silent=True))


def _of_click(error: click.UsageError) -> str:
    message = error.format_message()
    if type(error) is not click.BadParameter and error.ctx is not None:  # a bad value names its remedy itself
        return f"{' '.join(message.split()).rstrip('.')}: see `{error.ctx.command_path} -h`"
    return message


def _advice(error: BaseException | None) -> str | None:
    name = str(getattr(error, "sqlite_errorname", ""))
    return next((advice for begin, advice in _SQLITE.items() if name.startswith(begin)), None)
