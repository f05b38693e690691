"""Slack, by an incoming webhook: AGENT_LEDGER_SLACK_WEBHOOK_URL."""

from __future__ import annotations

import os
from collections.abc import Callable

from agent_ledger.control.notifiers.posting import post
from agent_ledger.hookspecs import Message, Notifier, hookimpl

ADDRESS = "AGENT_LEDGER_SLACK_WEBHOOK_URL"
# https://docs.slack.dev/messaging/formatting-message-text: these three characters, and no others, are escaped.
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Slack:
    """One channel, the one that the webhook was made for."""

    name = "slack"

    def __init__(self, url: str) -> None:
        self._url = url

    def notify(self, message: Message) -> None:
        """See Notifier."""
        title, text = message.title.translate(_ESCAPED), message.text.translate(_ESCAPED)
        post(self._url, {"text": f"*{title}*\n{text}"})


@hookimpl
def register_notifiers(register: Callable[[Notifier], None]) -> None:
    if url := os.environ.get(ADDRESS):
        register(Slack(url))
