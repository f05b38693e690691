from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from agent_ledger.hookspecs import Defaults
from agent_ledger.importers.cur import Cur

HOUR = "2026-10-01T01:00:00Z/2026-10-01T02:00:00Z"
LINE = {
    "identity_line_item_id": "node",
    "identity_time_interval": HOUR,
    "bill_payer_account_id": "1",
    "bill_billing_period_start_date": "2026-10-01",
    "line_item_line_item_type": "Usage",
    "line_item_usage_start_date": "2026-10-01T01:00:00Z",
    "line_item_usage_end_date": "2026-10-01T02:00:00Z",
    "line_item_product_code": "AmazonEC2",
    "line_item_usage_type": "USE1-BoxUsage:m5.large",
    "line_item_resource_id": "i-1",
    "line_item_currency_code": "USD",
    "line_item_unblended_cost": "10",
    "line_item_net_unblended_cost": "8",
    "split_line_item_parent_resource_id": "",
    "split_line_item_split_cost": "",
    "split_line_item_unused_cost": "",
    "split_line_item_net_split_cost": "",
    "split_line_item_net_unused_cost": "",
}


def pod(name, split, unused, parent="i-1", **more):
    return LINE | {
        "identity_line_item_id": name,
        "line_item_product_code": "AmazonEKS",
        "line_item_usage_type": "USE1-EKS-EC2-vCPU-Hours",
        "line_item_resource_id": f"arn:aws:eks:us-east-1:1:pod/c/ns/{name}",
        "line_item_unblended_cost": "0",
        "line_item_net_unblended_cost": "0",
        "split_line_item_parent_resource_id": parent,
        "split_line_item_split_cost": split,
        "split_line_item_unused_cost": unused,
        "split_line_item_net_split_cost": str(Decimal(split) / 2),
        "split_line_item_net_unused_cost": "0",
        **more,
    }


@pytest.fixture
def costs(tmp_path):
    """What the lines cost, by the resource's last name."""

    def run(*rows, measure=None):
        text = io.StringIO()
        writer = csv.DictWriter(text, LINE)
        writer.writeheader()
        writer.writerows(rows)
        (tmp_path / "a.csv").write_text(text.getvalue())
        charges = list(Cur().read(tmp_path / "a.csv", Defaults(cost_measure=measure), lambda _: None))
        column = "line_item_net_unblended_cost" if measure else "line_item_unblended_cost"
        assert sum(charge.cost for charge in charges) == sum(Decimal(row[column]) for row in rows)
        assert len({charge.charge_id for charge in charges}) == len(charges)
        return [(charge.resource_id.rpartition("/")[2], charge.cost) for charge in charges], charges

    return run


def test_containers_take_their_share_off_the_instance(costs):
    found, charges = costs(pod("a", "3", "1.5"), LINE, pod("b", "2", "1"))
    assert found == [("a", Decimal("4.5")), ("b", 3), ("i-1", Decimal("2.5"))]
    assert charges[0].charge_id == f"a@{HOUR}@{charges[0].resource_id}"
    assert (charges[2].charge_id, charges[2].category) == (f"node@{HOUR}", "usage")


def test_net_shares_go_with_the_net_cost(costs):
    found, _ = costs(LINE, pod("a", "3", "1.5"), measure="net_unblended")
    assert found == [("a", Decimal("1.5")), ("i-1", Decimal("6.5"))]


def test_other_lines_of_the_instance_and_other_hours_keep_their_cost(costs):
    traffic = LINE | {"identity_line_item_id": "t", "line_item_usage_type": "USE1-DataTransfer-Out-Bytes"}
    later = LINE | {"identity_line_item_id": "l", "identity_time_interval": "later"}
    tax = LINE | {"identity_line_item_id": "x", "line_item_line_item_type": "Tax"}
    found, _ = costs(traffic, later, LINE, tax, pod("a", "4", "0"))
    assert sorted(found) == [("a", 4), ("i-1", 6), ("i-1", 10), ("i-1", 10), ("i-1", 10)]


def test_the_dearest_line_of_an_instance_is_less(costs):
    cheap = LINE | {"identity_line_item_id": "cheap", "line_item_unblended_cost": "1"}
    found, _ = costs(LINE, cheap, pod("a", "4", "0"))
    assert sorted(found) == [("a", 4), ("i-1", 1), ("i-1", 6)]


def test_what_nobody_used_is_in_the_shares_and_not_counted_again(costs):
    found, _ = costs(LINE, pod("a", "6", "4"), pod("Unused", "4", "0"))
    assert found == [("a", 10), ("Unused", 0), ("i-1", 0)]


def test_fargate_has_no_instance(costs):
    fargate = pod("a", "3", "1", parent="", line_item_unblended_cost="3")
    assert costs(fargate)[0] == [("a", 3)]


def test_a_container_whose_line_has_a_cost_of_its_own(costs):
    found, _ = costs(LINE, pod("a", "3", "1", line_item_unblended_cost="1"))
    assert found == [("a", 4), ("i-1", 7)]


def test_without_the_instances_line_one_is_added(costs):
    found, charges = costs(pod("b", "3", "1"), pod("a", "2", "0"), pod("c", "0", "0", parent="i-2"))
    assert found == [("b", 4), ("a", 2), ("c", 0), ("i-1", -6)]
    last = charges[-1]
    assert (last.category, last.service, last.usage_type) == ("adjustment", "AmazonEC2", None)
    assert last.charge_id.startswith("a@")
    assert last.charge_id.endswith("@instance")
