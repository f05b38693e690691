"""Posts JSON to an address that is a secret: whatever goes wrong, no error and no log line holds a part of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from agent_ledger.errors import NotificationFailed

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

# Python's HTTP modules take 60 ms to import, which only those who are told something should pay.
_TIMEOUT_S = 5.0  # for each step of the connection
_MOST_READ = 65_536


@cache
def _opener() -> OpenerDirector:
    """Follows no redirect: a redirected POST would become a GET, and go where nobody has agreed to send it."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class NoRedirect(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return build_opener(NoRedirect)


def post(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
    """Send `body`. Returns when the receiver has answered with a 2xx. Raises NotificationFailed."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    try:
        if not url.startswith(("http://", "https://")):
            raise NotificationFailed("the address is no http or https URL")
        request = Request(
            url,
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "User-Agent": "agent-ledger", **(headers or {})},
        )
        with _opener().open(request, timeout=_TIMEOUT_S) as response:
            response.read(_MOST_READ)
    except HTTPError as error:
        retry_after_s = _seconds(error.headers.get("Retry-After"))
        error.close()
        raise NotificationFailed(f"the receiver answered HTTP {error.code}", retry_after_s=retry_after_s) from None
    except URLError as error:
        raise NotificationFailed(_reason(error.reason)) from None
    except (OSError, HTTPException) as error:
        raise NotificationFailed(_reason(error)) from None
    except ValueError:  # its text has the URL
        raise NotificationFailed("the address is no valid URL") from None


def _reason(error: object) -> str:
    """What went wrong, by kind only: the text of an error may hold the address."""
    from http.client import InvalidURL
    from ssl import SSLError

    if isinstance(error, TimeoutError):
        return f"the receiver did not answer within {_TIMEOUT_S:g} seconds"
    if isinstance(error, ConnectionRefusedError):
        return "the receiver refuses connections"
    if isinstance(error, SSLError):
        return "the receiver's certificate is not accepted"
    if isinstance(error, InvalidURL):
        return "the address is no valid URL"
    return f"the receiver can't be reached ({type(error).__name__})"


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` is a number of seconds or a date."""
    from email.utils import parsedate_to_datetime

    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        moment = parsedate_to_datetime(retry_after)
        return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
