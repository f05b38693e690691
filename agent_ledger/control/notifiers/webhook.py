"""Any receiver of JSON: AGENT_LEDGER_WEBHOOK_URL, and AGENT_LEDGER_WEBHOOK_TOKEN where it wants to know who sends."""

from __future__ import annotations

import os
from collections.abc import Callable

from agent_ledger.control.notifiers.posting import post
from agent_ledger.hookspecs import Message, Notifier, hookimpl

ADDRESS, TOKEN = "AGENT_LEDGER_WEBHOOK_URL", "AGENT_LEDGER_WEBHOOK_TOKEN"


class Webhook:
    """Posts `{"id", "title", "text", "data"}`; `Idempotency-Key` tells a message that comes twice."""

    name = "webhook"

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        self._token = token

    def notify(self, message: Message) -> None:
        """See Notifier."""
        headers = {"Idempotency-Key": message.id}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = {"id": message.id, "title": message.title, "text": message.text, "data": dict(message.data)}
        post(self._url, body, headers)


@hookimpl
def register_notifiers(register: Callable[[Notifier], None]) -> None:
    if url := os.environ.get(ADDRESS):
        register(Webhook(url, os.environ.get(TOKEN)))
