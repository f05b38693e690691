"""The built-in notifiers against real servers. Their addresses are secrets: no error and no log may hold them."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from replay import Answer, Replay

from agent_ledger import hookimpl, plugins
from agent_ledger.control.notifiers import apprise, posting, slack, webhook
from agent_ledger.errors import NotificationFailed
from agent_ledger.hookspecs import Message, Notifier

SECRET = "T00-s3cr3t-B11"
MESSAGE = Message(
    id="7-2026-01-14T10:00:00.000Z",
    title="agent <scraper> is over its budget",
    text="spent 12 & counting\nnow on haiku",
    data={"agent_id": "scraper", "limit_usd": 10},
)
MAKERS: list[Callable[[str], Notifier]] = [slack.Slack, lambda url: webhook.Webhook(url, SECRET)]


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Apprise imports what Python 3.13 removes


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
    assert SECRET not in caplog.text


def answered(status: int, **headers: str) -> Answer:
    return replace(Answer.json({}, **headers), status=status)


def refusal(notifier: Notifier) -> NotificationFailed:
    with pytest.raises(NotificationFailed) as failed:
        notifier.notify(MESSAGE)
    seen: BaseException | None = failed.value
    while seen is not None:  # a traceback shows causes too, unless they are suppressed
        assert SECRET not in str(seen)
        seen = None if seen.__suppress_context__ and seen.__cause__ is None else seen.__cause__ or seen.__context__
    return failed.value


def test_slack_gets_one_text_with_its_three_characters_escaped() -> None:
    with Replay(Answer(b"ok")) as server:
        slack.Slack(f"{server.url}/services/{SECRET}").notify(MESSAGE)
    [request] = server.requests
    assert (request.method, request.path) == ("POST", f"/services/{SECRET}")
    assert request.headers["content-type"] == "application/json"
    assert request.json == {"text": "*agent &lt;scraper&gt; is over its budget*\nspent 12 &amp; counting\nnow on haiku"}


def test_a_webhook_gets_the_facts_and_who_sends_and_which_message_it_is() -> None:
    with Replay(answered(204)) as server:
        webhook.Webhook(server.url, SECRET).notify(MESSAGE)
    [request] = server.requests
    assert request.json == {"id": MESSAGE.id, "title": MESSAGE.title, "text": MESSAGE.text, "data": MESSAGE.data}
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["idempotency-key"] == MESSAGE.id


@pytest.mark.parametrize("maker", MAKERS)
def test_a_receiver_that_fails_says_so_by_its_status(maker: Callable[[str], Notifier]) -> None:
    with Replay(answered(500)) as server:
        failed = refusal(maker(f"{server.url}/{SECRET}"))
    assert str(failed) == "the receiver answered HTTP 500"
    assert failed.retry_after_s is None
    assert len(server.requests) == 1


def test_a_receiver_may_say_when_to_come_again_in_seconds_or_by_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    with Replay(
        answered(429, retry_after="30"), answered(503, retry_after=later), answered(429, retry_after="soon")
    ) as server:
        notifier = slack.Slack(f"{server.url}/{SECRET}")
        assert refusal(notifier).retry_after_s == 30
        assert 80 < (refusal(notifier).retry_after_s or 0) <= 90
        assert refusal(notifier).retry_after_s is None


def test_nobody_is_followed_to_another_address() -> None:
    with Replay(answered(302, location="/elsewhere")) as server:
        assert str(refusal(slack.Slack(f"{server.url}/{SECRET}"))) == "the receiver answered HTTP 302"
    assert [request.path for request in server.requests] == [f"/{SECRET}"]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert str(refusal(slack.Slack(f"http://127.0.0.1:{port}/{SECRET}"))) == "the receiver refuses connections"


def test_a_slow_receiver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "_TIMEOUT_S", 0.2)
    with Replay(Answer(b"ok", delay=3)) as server:
        begun = time.monotonic()
        assert str(refusal(slack.Slack(f"{server.url}/{SECRET}"))) == "the receiver did not answer within 0.2 seconds"
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "url", [f"htp://{SECRET}", f"{SECRET}", f"http://[{SECRET}", f"http://a b/{SECRET}", f"file:///{SECRET}"]
)
def test_an_address_that_is_none(url: str) -> None:
    assert "valid URL" in str(refusal(slack.Slack(url))) or "no http or https URL" in str(refusal(slack.Slack(url)))


def test_a_token_that_can_be_no_header() -> None:
    assert str(refusal(webhook.Webhook("http://127.0.0.1:9/", f"{SECRET}\nX: y"))) == "the address is no valid URL"


def test_an_unencrypted_answer_where_encryption_is_expected() -> None:
    with Replay(Answer(b"ok")) as server:
        failed = refusal(slack.Slack(f"{server.url.replace('http:', 'https:')}/{SECRET}"))
    assert str(failed) in ("the receiver's certificate is not accepted", "the receiver can't be reached (SSLError)")


# -- Apprise ----------------------------------------------------------------------------------------------------------


def test_apprise_delivers_and_fails() -> None:
    pytest.importorskip("apprise")
    with Replay(Answer.json({}), answered(500)) as server:
        address = server.url.replace("http://", f"json://me:{SECRET}@") + f"/{SECRET}/"
        notifier = apprise.Apprise(address, 1)
        notifier.notify(MESSAGE)
        assert str(refusal(notifier)) == "the service did not take it"
    assert server.requests[0].json["title"] == MESSAGE.title
    assert server.requests[0].json["message"] == MESSAGE.text
    assert notifier.name == "apprise-1"


@pytest.mark.parametrize("url", [SECRET, f"slack://{SECRET}", f"jsons://{SECRET}@", f"foo://{SECRET}"])
def test_an_address_that_apprise_does_not_know(url: str) -> None:
    pytest.importorskip("apprise")
    assert str(refusal(apprise.Apprise(url, 2))) == "address 2 of AGENT_LEDGER_APPRISE_URLS is no Apprise URL"


def test_apprise_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    assert "pip install 'agent-cost-ledger[notify]'" in str(refusal(apprise.Apprise(f"json://{SECRET}", 1)))


# -- who is asked -----------------------------------------------------------------------------------------------------


def test_only_who_has_an_address_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (slack.ADDRESS, webhook.ADDRESS, apprise.ADDRESSES):
        monkeypatch.delenv(name, raising=False)
    assert plugins.notifiers() == {}
    monkeypatch.setenv(slack.ADDRESS, f"http://127.0.0.1/{SECRET}")
    monkeypatch.setenv(webhook.ADDRESS, f"http://127.0.0.1/{SECRET}")
    monkeypatch.setenv(apprise.ADDRESSES, f"json://{SECRET} mailto://{SECRET}")
    assert sorted(plugins.notifiers()) == ["apprise-1", "apprise-2", "slack", "webhook"]


class Broken:
    @hookimpl
    def register_notifiers(self, register: Callable[[Any], None]) -> None:  # noqa: ARG002
        raise RuntimeError(SECRET)


def test_a_plugin_that_fails_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(slack.ADDRESS, f"http://127.0.0.1/{SECRET}")
    name = plugins.manager().register(Broken(), name="broken")
    try:
        assert "slack" in plugins.notifiers()
    finally:
        plugins.manager().unregister(name=name)
    assert "The notifiers of broken can't be used: RuntimeError" in caplog.text
