"""What part of the time a page is about: the pickers of its form, as bounds that statements take as parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from agent_ledger import start_of

LATEST = {"7d": 7, "30d": 30, "90d": 90}
_LONGEST = 366
_MONTH = re.compile(r"\d{4}-\d{2}")


class NotUnderstood(ValueError):
    """A picker has a value that makes no sense; the message names it and says what does."""


@dataclass(frozen=True, slots=True)
class Period:
    """Days of a time zone, from `first` to `last`, and the equally long time before, or the month before."""

    choice: str  # YYYY-MM, one of LATEST, or custom
    first: date
    last: date
    before: date  # the first day of the period before
    zone: ZoneInfo

    @property
    def title(self) -> str:
        if is_month(self.choice):
            return month_title(self.choice)
        if self.choice in LATEST:
            return f"the last {LATEST[self.choice]} days"
        return f"{self.first.isoformat()} to {self.last.isoformat()}"

    @property
    def title_before(self) -> str:
        if is_month(self.choice):
            return f"{self.before:%B %Y}"
        return f"the {(self.last - self.first).days + 1} days before"

    def query(self) -> dict[str, str | None]:
        """What a link carries so that it leads to the same time."""
        custom = self.choice == "custom"
        return {
            "period": self.choice,
            "since": self.first.isoformat() if custom else None,
            "until": self.last.isoformat() if custom else None,
            "tz": None if self.zone.key == "UTC" else self.zone.key,
        }

    def bounds(self) -> dict[str, str]:
        """The parameters of statements that tell days apart.

        `since`, `until` and `before` are names of UTC days or hours, and `grain` says which sums have them. `calendar`
        tells which local day hours are of; it is empty where days are UTC's.
        """
        since, until, before = (self._bound(day) for day in (self.first, self.last + timedelta(days=1), self.before))
        by_day = all(len(bound) == len("2026-10-01") for bound in (since, until, before))
        return {
            "since": since,
            "until": until,
            "before": before,
            "grain": "day" if by_day else "hour",
            "customer_grain": "customer_day",
            "calendar": "{}" if by_day else self._calendar(),
        }

    def sums(self) -> dict[str, str]:
        """The parameters of statements that do not: the largest sums that make up the period."""
        found = self.bounds()
        if is_month(self.choice) and found["grain"] == "day":
            months = {name: found[name][:7] for name in ("since", "until", "before")}
            return found | months | {"grain": "month", "customer_grain": "customer_month"}
        return found

    def days(self) -> list[str]:
        """Each day of the period, also those without calls."""
        return [(self.first + timedelta(days=n)).isoformat() for n in range((self.last - self.first).days + 1)]

    def of_day(self, day: str) -> dict[str, str]:
        """The bounds of one of its days."""
        return replace(self, first=date.fromisoformat(day), last=date.fromisoformat(day)).bounds()

    def earlier(self) -> Period:
        """The period before, which amounts are compared with."""
        last = self.first - timedelta(days=1)
        if is_month(self.choice):
            before = (self.before - timedelta(days=1)).replace(day=1)
            return Period(self.before.isoformat()[:7], self.before, last, before, self.zone)
        return Period("custom", self.before, last, self.before - (self.first - self.before), self.zone)

    def of_utc(self) -> Period:
        """The same days, of UTC."""
        return replace(self, zone=ZoneInfo("UTC"))

    def _calendar(self) -> str:
        begins = {self._bound(day): day.isoformat() for day in map(date.fromisoformat, self.days())}
        return json.dumps(begins, separators=(",", ":"))

    def _bound(self, day: date) -> str:
        moment = start_of(day.isoformat(), self.zone)
        for ending in ("T00:00:00.000Z", ":00:00.000Z"):
            if moment.endswith(ending):
                return moment.removesuffix(ending)
        raise NotUnderstood(
            f"tz: days of {self.zone.key} begin within an hour of UTC, and sums are kept by the hour: choose another "
            "zone, or use agent-ledger report --tz, which adds up single calls"
        )


def period(given: Mapping[str, str], latest: str | None, *, today: date | None = None) -> Period:
    """The period that a form asks for; this month where it names none, or the last one that has calls.

    `latest` is the time of the ledger's last call. Raises NotUnderstood.
    """
    zone = _zone(given.get("tz") or "UTC")
    today = today or datetime.now(zone).date()
    choice = given.get("period") or _month_of(today, latest, zone)
    if choice in LATEST:
        first = today - timedelta(days=LATEST[choice] - 1)
        return Period(choice, first, today, first - timedelta(days=LATEST[choice]), zone)
    if choice == "custom":
        first, last = _day("since", given.get("since"), today), _day("until", given.get("until"), today)
        if not 0 <= (last - first).days < _LONGEST:
            raise NotUnderstood(
                f"since, until: {first} to {last} is not a time of 1 to {_LONGEST} days: choose another"
            )
        return Period(choice, first, last, first - (last - first) - timedelta(days=1), zone)
    if not is_month(choice):
        raise NotUnderstood(f"period: {choice!r} is none: give a month such as 2026-10, {', '.join(LATEST)} or custom")
    first = _day("period", f"{choice}-01", today)
    following = (first + timedelta(days=32)).replace(day=1)
    return Period(choice, first, following - timedelta(days=1), (first - timedelta(days=1)).replace(day=1), zone)


def is_month(choice: str) -> bool:
    """Is a period's choice a month?"""
    return _MONTH.fullmatch(choice) is not None


def month_title(month: str) -> str:
    """2026-10 as October 2026."""
    return f"{date.fromisoformat(f'{month}-01'):%B %Y}"


def zones() -> list[str]:
    """The time zones to choose from. Others that ZoneInfo knows are understood too."""
    found = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return ["UTC", *sorted(found)]


def months(first: str | None, last: str | None) -> list[str]:
    """The months from one timestamp to another, the last one first."""
    if not first or not last:
        return []
    found: list[str] = []
    month = date.fromisoformat(f"{last[:7]}-01")
    while month.isoformat()[:7] >= first[:7] and len(found) < 36:
        found.append(month.isoformat()[:7])
        month = (month - timedelta(days=1)).replace(day=1)
    return found


def _month_of(today: date, latest: str | None, zone: ZoneInfo) -> str:
    if latest is None:
        return today.isoformat()[:7]
    called = datetime.fromisoformat(latest).replace(tzinfo=UTC).astimezone(zone).date()
    return min(today, called).isoformat()[:7]


def _day(name: str, text: str | None, today: date) -> date:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        raise NotUnderstood(f"{name}: {text or ''!r} is not a date: give one such as {today}") from None
    if not 1000 <= found.year <= 9998:
        raise NotUnderstood(f"{name}: {found} is too far away: give a date such as {today}")
    return found


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise NotUnderstood(f"tz: {name!r} is not a time zone: give one such as Europe/Berlin or UTC") from None
