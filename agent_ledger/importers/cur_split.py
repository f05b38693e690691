"""Split cost allocation in a CUR: what containers cost is taken off the instance they ran on.

With it AWS adds lines for ECS tasks and Kubernetes pods, next to the line of the EC2 instance, which stays as billed.
A task's line costs nothing by itself; its share stands in columns of its own. We give the task its share and take the
same amount off the instance's line, so that every dollar is there once and the bill's total stays what it was.

The lines come in any order, so instances wait until the file is read, in SQLite's temporary database: it moves to disk
by itself, so memory stays flat. Where the instance's line is not in the file (it may be in another part of the
delivery), a line of its own takes the share off the instance.
"""

from __future__ import annotations

import pickle
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import groupby

from agent_ledger.records import Charge

_NAMED = re.compile(r"(?:^|:instance/)i-")
_INSTANCE = re.compile(r"(?:Box|Spot|Dedicated|Host)Usage")


class Instances:
    """The instances of a file, and what containers used of them."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE line (instance TEXT, charge BLOB)")
        self._db.execute("CREATE TABLE share (instance TEXT PRIMARY KEY, cost TEXT, least TEXT, charge BLOB)")
        self._db.execute("BEGIN")

    def wait(self, charge: Charge, interval: str) -> bool:
        """Keep the charge if it is what an instance costs, and say whether it was kept."""
        if charge.category != "usage" or not charge.resource_id or not _NAMED.search(charge.resource_id):
            return False
        if charge.usage_type is not None and not _INSTANCE.search(charge.usage_type):
            return False  # its traffic, its credits: not what its containers share
        key = _key(charge, charge.resource_id, interval)
        self._db.execute("INSERT INTO line VALUES (?, ?)", (key, pickle.dumps(charge)))
        return True

    def use(self, charge: Charge, parent: str, interval: str, share: Decimal) -> Charge:
        """The charge of a container that used `share` of the instance `parent`."""
        key = _key(charge, parent, interval)
        moved = share - charge.cost  # what the container's line costs by itself is in the total already
        found = self._db.execute("SELECT cost, least FROM share WHERE instance = ?", [key]).fetchone()
        if found is None:
            new = (key, str(moved), charge.charge_id, pickle.dumps(_of_instance(charge, parent)))
            self._db.execute("INSERT INTO share VALUES (?, ?, ?, ?)", new)
        else:
            more = (str(Decimal(found[0]) + moved), min(found[1], charge.charge_id), key)
            self._db.execute("UPDATE share SET cost = ?, least = ? WHERE instance = ?", more)
        return replace(charge, cost=share)

    def lines(self) -> Iterator[Charge]:
        """The instances that waited, less what was used of them."""
        self._db.execute("CREATE INDEX line_instance ON line (instance)")
        every = self._db.execute(
            "SELECT line.instance, line.charge, share.cost FROM line LEFT JOIN share USING (instance) ORDER BY 1"
        )
        for _, rows in groupby(every, key=lambda row: row[0]):
            found = [(pickle.loads(blob), share) for _, blob, share in rows]
            charges = sorted((charge for charge, _ in found), key=lambda charge: (charge.cost, charge.charge_id))
            yield from charges[:-1]
            # An instance can have several lines for one hour: the share is taken off the dearest.
            yield replace(charges[-1], cost=charges[-1].cost - Decimal(found[0][1] or 0))
        alone = self._db.execute(
            "SELECT cost, least, charge FROM share WHERE instance NOT IN (SELECT instance FROM line) ORDER BY least"
        )
        for cost, least, blob in alone:
            if Decimal(cost):
                yield replace(pickle.loads(blob), cost=-Decimal(cost), charge_id=f"{least}@instance")

    def close(self) -> None:
        """Throw everything away."""
        self._db.close()


def _key(charge: Charge, instance: str, interval: str) -> str:
    return "\t".join((charge.bill, charge.billing_period, charge.currency, interval, instance))


def _of_instance(charge: Charge, instance: str) -> Charge:
    """The line that takes containers' shares off an instance; `charge` is one of the containers."""
    return replace(
        charge,
        service="AmazonEC2",
        resource_id=instance,
        operation=None,
        usage_type=None,
        quantity=None,
        unit=None,
        tags=None,
        category="adjustment",
        description="used by the containers on this instance, and on their lines",
    )
