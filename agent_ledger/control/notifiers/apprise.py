"""E-mail, Teams, PagerDuty, ntfy and a hundred others through Apprise: its URLs in AGENT_LEDGER_APPRISE_URLS, separated
by spaces. Needs the extra `notify`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextvars import ContextVar

from agent_ledger.errors import NotificationFailed
from agent_ledger.hookspecs import Message, Notifier, hookimpl

ADDRESSES = "AGENT_LEDGER_APPRISE_URLS"
_LOGGERS = ("apprise", "urllib3.connectionpool")  # at some levels they log the address

_silent: ContextVar[bool] = ContextVar("agent_ledger_silent", default=False)


class Apprise:
    """One address. `place` tells it from the others, because nothing else of it may be stored."""

    def __init__(self, url: str, place: int) -> None:
        self.name = f"apprise-{place}"
        self._url = url

    def notify(self, message: Message) -> None:
        """See Notifier."""
        try:
            import apprise
        except ImportError:
            raise NotificationFailed(f"{ADDRESSES} needs apprise: pip install 'agent-cost-ledger[notify]'") from None
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_is_loud)  # adding it again changes nothing
        token = _silent.set(True)
        try:
            service = apprise.Apprise()
            if not service.add(self._url):
                raise NotificationFailed(
                    f"address {self.name.removeprefix('apprise-')} of {ADDRESSES} is no Apprise URL"
                )
            if not service.notify(title=message.title, body=message.text):
                raise NotificationFailed("the service did not take it")
        finally:
            _silent.reset(token)


def _is_loud(_: logging.LogRecord) -> bool:
    return not _silent.get()


@hookimpl
def register_notifiers(register: Callable[[Notifier], None]) -> None:
    for place, url in enumerate(os.environ.get(ADDRESSES, "").split(), 1):
        register(Apprise(url, place))
