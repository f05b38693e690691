from __future__ import annotations

import csv
import gzip
import io
import json
import random
import tracemalloc
from collections import Counter
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.errors import ImportFailed
from agent_ledger.hookspecs import Defaults
from agent_ledger.importers.cur import Cur
from agent_ledger.importers.cur_cost import legacy
from agent_ledger.records import Charge, Refused

LINE = {
    "identity_line_item_id": "abc",
    "identity_time_interval": "2026-10-01T01:00:00Z/2026-10-01T02:00:00Z",
    "bill_payer_account_id": "123412341234",
    "bill_billing_period_start_date": "2026-10-01T00:00:00.000Z",
    "bill_invoice_id": "",
    "line_item_usage_account_id": "999999999999",
    "line_item_line_item_type": "Usage",
    "line_item_usage_start_date": "2026-10-01T01:00:00Z",
    "line_item_usage_end_date": "2026-10-01T02:00:00Z",
    "line_item_product_code": "AmazonS3",
    "line_item_usage_type": "USE1-Requests-Tier2",
    "line_item_operation": "GetObject",
    "line_item_resource_id": "invoices-bucket",
    "line_item_usage_amount": "9.0",
    "line_item_currency_code": "USD",
    "line_item_unblended_cost": "3.96E-6",
    "line_item_line_item_description": "$0.0004 per 1,000 GET",
    "pricing_unit": "Requests",
}


def lines(*changes):
    """Lines that differ from LINE in this; ids are made up."""
    return [LINE | {"identity_line_item_id": f"id{number}"} | change for number, change in enumerate(changes)]


def as_csv(rows, name=str):
    names = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([name(key) for key in names])
    writer.writerows([[row.get(key, "") for key in names] for row in rows])
    return text.getvalue().encode()


def facts(file, measure=None):
    return list(Cur().read(file, Defaults(cost_measure=measure), lambda _: None))


@pytest.fixture
def bill(tmp_path):
    """`bill(change, …)`: the facts of a file of lines."""

    def run(*changes, measure=None, name=str):
        (tmp_path / "cur.csv").write_bytes(as_csv(lines(*changes), name))
        return facts(tmp_path / "cur.csv", measure)

    return run


def oracle(file, column):
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open(newline="") as text:
        return [Decimal(row[column]) for row in csv.DictReader(text)]


# -- what a line becomes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [str, legacy], ids=["athena", "legacy"])
def test_a_line(bill, name):
    [charge] = bill({"identity_line_item_id": "abc"}, name=name)
    assert charge == Charge(
        bill="aws 123412341234",
        billing_period="2026-10",
        period_start="2026-10-01T01:00:00.000Z",
        period_end="2026-10-01T02:00:00.000Z",
        provider="aws",
        charge_id="abc@2026-10-01T01:00:00Z/2026-10-01T02:00:00Z",
        cost=Decimal("3.96E-6"),
        currency="USD",
        account="999999999999",
        service="AmazonS3",
        resource_id="invoices-bucket",
        operation="GetObject",
        usage_type="USE1-Requests-Tier2",
        quantity=Decimal("9.0"),
        unit="Requests",
        description="$0.0004 per 1,000 GET",
    )


@pytest.mark.parametrize(
    ("line_type", "category"),
    [
        ("Usage", "usage"),
        ("DiscountedUsage", "usage"),
        ("SavingsPlanCoveredUsage", "usage"),
        ("SavingsPlanNegation", "discount"),
        ("SavingsPlanRecurringFee", "purchase"),
        ("RIFee", "purchase"),
        ("Fee", "fee"),
        ("Tax", "tax"),
        ("Credit", "credit"),
        ("Refund", "refund"),
        ("EdpDiscount", "discount"),
        ("PrivateRateDiscount", "discount"),
        ("SomethingNew", "adjustment"),
    ],
)
def test_categories(bill, line_type, category):
    [charge] = bill({"line_item_line_item_type": line_type, "line_item_unblended_cost": "-1.5"})
    assert (charge.category, charge.cost) == (category, Decimal("-1.5"))


def test_a_fee_for_a_reservation_is_a_purchase(bill):
    [charge] = bill({"line_item_line_item_type": "Fee", "reservation_reservation_a_r_n": "arn:aws:ec2:x"})
    assert charge.category == "purchase"


def test_tags_of_every_form(bill):
    tags = {"resourceTags/user_team": "risk", "iamPrincipal/project": "fraud"}
    [charge] = bill(
        {
            "resourceTags/user:Team": "risk",
            "resourceTags/user:team": "",
            "resource_tags_user_env": "prod",
            "costCategory/Unit": "emea",
        }
    )
    assert charge.tags == {"user:Team": "risk", "user_env": "prod", "costCategory/Unit": "emea"}
    [charge] = bill(
        {
            "resource_tags": json.dumps({"user_env": "prod"}),
            "tags": json.dumps(tags),
            "cost_category": json.dumps({"Unit": "emea"}),
            "line_item_iam_principal": "arn:aws:iam::1:user/alice",
        }
    )
    assert charge.tags == {
        "user_env": "prod",
        "user_team": "risk",
        "iamPrincipal/project": "fraud",
        "costCategory/Unit": "emea",
        "iamPrincipal": "arn:aws:iam::1:user/alice",
    }


def test_bedrock_lines_are_tokens_of_a_model(bill):
    native = {
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": "USW2-Claude4.6Sonnet-cache-read-input-token-count",
        "line_item_usage_amount": "5372.659",
        "pricing_unit": "1K tokens",
    }
    sold = {
        "bill_billing_entity": "AWS Marketplace",
        "line_item_product_code": "5hnnev4d0v7mapf09j0v8of0o2",
        "line_item_usage_type": "USE1-MP:USE1_OutputTokenCount-Units",
        "product": '{"product_name": "Claude Sonnet 4.5 (Amazon Bedrock Edition)"}',
    }
    first, second, third = bill(native, sold, {})
    assert (first.kind, first.model, first.token_type) == ("llm", "Claude4.6Sonnet", "cache_read")
    assert (first.quantity, first.unit) == (Decimal("5372.659"), "1K tokens")
    assert (second.kind, second.model, second.token_type) == ("llm", "Claude Sonnet 4.5", "output")
    assert second.service == "Claude Sonnet 4.5 (Amazon Bedrock Edition)"
    assert (third.kind, third.model, third.token_type) == ("cloud", None, None)


def test_a_repeated_id_with_its_interval_gets_a_number(bill):
    found = bill({"identity_line_item_id": "x"}, {"identity_line_item_id": "x"}, {"identity_line_item_id": "y"})
    interval = LINE["identity_time_interval"]
    assert [charge.charge_id for charge in found] == [f"x@{interval}", f"x@{interval}-2", f"y@{interval}"]


def test_lines_without_ids_get_one_from_their_content(tmp_path):
    rows = [{key: value for key, value in LINE.items() if not key.startswith("identity")}] * 2
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    first, second = facts(tmp_path / "a.csv")
    assert first.charge_id.startswith("sha256:")
    assert second.charge_id == f"{first.charge_id}-2"


# -- measures ---------------------------------------------------------------------------------------------------------

PLAN = "savings_plan_savings_plan_effective_cost"
UNUSED = "reservation_unused_amortized_upfront_fee_for_billing_period"
COVERED = [
    {"line_item_line_item_type": "SavingsPlanCoveredUsage", "line_item_unblended_cost": "10", PLAN: "6"},
    {"line_item_line_item_type": "SavingsPlanNegation", "line_item_unblended_cost": "-10"},
    {
        "line_item_line_item_type": "SavingsPlanRecurringFee",
        "line_item_unblended_cost": "8",
        "savings_plan_total_commitment_to_date": "8",
        "savings_plan_used_commitment": "6",
    },
    {"line_item_line_item_type": "SavingsPlanUpfrontFee", "line_item_unblended_cost": "100"},
    {
        "line_item_line_item_type": "DiscountedUsage",
        "line_item_unblended_cost": "0",
        "reservation_effective_cost": "1.5",
    },
    {
        "line_item_line_item_type": "RIFee",
        "line_item_unblended_cost": "2",
        "reservation_unused_recurring_fee": "0.25",
        UNUSED: "0.25",
    },
    {"line_item_line_item_type": "Fee", "line_item_unblended_cost": "50", "reservation_reservation_a_r_n": "arn"},
    {"line_item_line_item_type": "Fee", "line_item_unblended_cost": "3"},
    {"line_item_line_item_type": "Tax", "line_item_unblended_cost": "1"},
]


@pytest.mark.parametrize(
    ("measure", "costs"),
    [
        (None, [10, -10, 8, 100, 0, 2, 50, 3, 1]),
        ("unblended", [10, -10, 8, 100, 0, 2, 50, 3, 1]),
        ("billed", [10, -10, 8, 100, 0, 2, 50, 3, 1]),
        ("effective", [6, 0, 2, 0, 1.5, 0.5, 0, 3, 1]),
    ],
)
def test_cost_measures(bill, measure, costs):
    assert [float(charge.cost) for charge in bill(*COVERED, measure=measure)] == costs


def test_net_costs_where_no_discount_applies_are_the_unblended(bill):
    column = "line_item_net_unblended_cost"
    found = bill(
        {"line_item_unblended_cost": "10", column: "9"},
        {"line_item_line_item_type": "EdpDiscount", "line_item_unblended_cost": "-1", column: ""},
        {"line_item_line_item_type": "Tax", "line_item_unblended_cost": "2", column: ""},
        measure="net_unblended",
    )
    assert [charge.cost for charge in found] == [9, 0, 2]


@pytest.mark.parametrize(
    ("measure", "changes", "reason"),
    [
        ("net_unblended", [{}], r"lacks lineItem/NetUnblendedCost: a Cost and Usage Report needs it"),
        (
            "effective",
            [{"line_item_line_item_type": "DiscountedUsage"}],
            r"reservation_effective_cost \(reservation/Eff",
        ),
        ("list", [{}], "no cost measure list: a CUR has unblended, net_unblended and effective"),
    ],
)
def test_a_measure_that_the_file_does_not_have(bill, measure, changes, reason):
    with pytest.raises(ImportFailed, match=reason):
        bill(*changes, measure=measure, name=legacy)


def test_effective_costs_without_commitments_need_no_columns(bill):
    assert [charge.cost for charge in bill({}, measure="effective")] == [Decimal("3.96E-6")]


# -- files ------------------------------------------------------------------------------------------------------------


def test_parquet_of_cur_2_gives_what_csv_gives(tmp_path, bill):
    changes = [{}, {"line_item_unblended_cost": "0.0000004", "line_item_usage_amount": "1.5"}]
    rows = lines(*changes)
    pairs = pa.map_(pa.string(), pa.string())
    columns = {name: pa.array([row[name] for row in rows]) for name in LINE}
    for name in [name for name in LINE if name.endswith("_date")]:
        times = [datetime.fromisoformat(row[name]) for row in rows]
        columns[name] = pa.array(times, pa.timestamp("ns", "UTC"))
    columns["line_item_unblended_cost"] = pa.array([float(row["line_item_unblended_cost"]) for row in rows])
    columns["line_item_usage_amount"] = pa.array([Decimal(row["line_item_usage_amount"]) for row in rows])
    columns["resource_tags"] = pa.array([[("user_team", "risk")], []], pairs)
    columns["product"] = pa.array([[("product_name", "S3")], None], pairs)
    pq.write_table(pa.table(columns), tmp_path / "a.snappy.parquet")
    wanted = bill(changes[0] | {"resource_tags": '{"user_team": "risk"}'}, changes[1])
    assert facts(tmp_path / "a.snappy.parquet") == wanted


def test_a_folder_gives_the_parts_of_a_delivery_in_order(tmp_path):
    wanted = [tmp_path / "data" / name for name in ("r-00001.csv.gz", "r-00002.csv.gz", "r-00003.snappy.parquet")]
    status = tmp_path / "data" / "cost_and_usage_data_status"
    status.mkdir(parents=True)
    for file in (
        *reversed(wanted),
        tmp_path / "r-Manifest.json",
        tmp_path / "data" / "._r.csv",
        status / "a.parquet",
    ):
        file.write_bytes(b"")
    assert Cur().files(tmp_path) == wanted
    assert Cur().files(wanted[0]) == wanted[:1]
    with pytest.raises(ImportFailed, match="holds the status of a report"):
        Cur().files(status)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["real_anonymous_cur_legacy_first_600.csv", "nise_synthetic_cur_legacy_subset.csv"])
def test_the_samples_to_the_last_digit(samples, tmp_path, ledger, name, packed):
    file = samples / "cur" / name
    if packed:
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
        file = tmp_path / "a.csv.gz"
    costs = oracle(file, "lineItem/UnblendedCost")
    done = ledger.import_file(Cur(), file)
    assert (done.added, done.refused) == (len(costs), [])
    stored = [Decimal(row["cost"]) for row in ledger.rows("charge")]
    assert sum(stored) == sum(costs)
    assert Counter(stored) == Counter(costs)
    again = ledger.import_file(Cur(), file)
    assert (again.added, again.already_there) == (0, len(costs))


def test_the_real_sample_in_detail(samples):
    found = facts(samples / "cur" / "real_anonymous_cur_legacy_first_600.csv")
    assert Counter(charge.category for charge in found) == {"usage": 588, "tax": 12}
    assert {charge.bill for charge in found} == {"aws 123412340534"}
    assert {charge.billing_period for charge in found} == {"2023-11"}
    assert len({charge.charge_id for charge in found}) == 600


def test_a_file_that_changed_is_another_delivery(ledger, tmp_path):
    for cost in ("1", "2"):
        (tmp_path / "a.csv").write_bytes(as_csv(lines({"line_item_unblended_cost": cost})))
        assert ledger.import_file(Cur(), tmp_path / "a.csv").added == 1
    assert len(list(ledger.rows("delivery"))) == 2
    assert [row["cost"] for row in ledger.rows("charge")] == ["1", "2"]


def test_13_months_and_two_currencies_in_one_file(ledger, tmp_path):
    months = [f"{2025 + (8 + month) // 12}-{(8 + month) % 12 + 1:02d}" for month in range(13)]
    changes = [
        {
            "bill_billing_period_start_date": f"{month}-01",
            "line_item_unblended_cost": "1.5",
            "line_item_currency_code": currency,
        }
        for month in months
        for currency in ("USD", "CNY")
    ]
    (tmp_path / "a.csv").write_bytes(as_csv(lines(*changes)))
    assert ledger.import_file(Cur(), tmp_path / "a.csv").added == 26
    assert [row["billing_period"] for row in ledger.rows("delivery")] == months
    rows = list(ledger.rows("charge"))
    assert Counter(row["currency"] for row in rows) == {"USD": 13, "CNY": 13}
    assert {(row["currency"], row["cost_picos"]) for row in rows} == {("USD", 15 * 10**11), ("CNY", None)}


@given(data=st.data(), count=st.integers(1, 12))
def test_the_order_of_lines_does_not_matter(tmp_path_factory, data, count):
    costs = data.draw(st.lists(st.decimals(-1000, 1000, places=9), min_size=count, max_size=count))
    parents = data.draw(st.lists(st.sampled_from(["", "i-1", "i-2"]), min_size=count, max_size=count))
    rows = lines(
        *(
            {
                "line_item_unblended_cost": str(cost),
                "line_item_resource_id": f"pod{number}" if parent else f"i-{number % 3}",
                "line_item_usage_type": "BoxUsage:m5.large",
                "split_line_item_parent_resource_id": parent,
                "split_line_item_split_cost": "0.5" if parent else "",
                "split_line_item_unused_cost": "0.25" if parent else "",
            }
            for number, (cost, parent) in enumerate(zip(costs, parents, strict=True))
        )
    )
    file = tmp_path_factory.mktemp("order") / "a.csv"
    found = []
    for order in (rows, data.draw(st.permutations(rows))):
        file.write_bytes(as_csv(order))
        found.append(facts(file))
    assert sum(charge.cost for charge in found[0]) == sum(costs)
    assert sorted(found[0], key=lambda charge: charge.charge_id) == sorted(
        found[1], key=lambda charge: charge.charge_id
    )


# -- bad bills --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [str, legacy])
def test_missing_columns_are_named_as_the_file_names_its_own(tmp_path, name):
    rows = [{key: value for key, value in LINE.items() if "currency" not in key and "payer" not in key}]
    (tmp_path / "a.csv").write_bytes(as_csv(rows, name))
    missing = f"{name('bill_payer_account_id')}, {name('line_item_currency_code')}"
    with pytest.raises(ImportFailed, match=f"a.csv lacks {missing}: "):
        facts(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"line_item_unblended_cost": "abc"}, "line_item_unblended_cost is 'abc': give a number"),
        ({"line_item_unblended_cost": ""}, "a line without a cost can't be counted"),
        ({"line_item_unblended_cost": "10000000"}, "cost is '10000000': one line holds up to 9,223,372 dollars"),
        ({"line_item_usage_amount": "many"}, "line_item_usage_amount is 'many': give a number"),
        ({"line_item_usage_start_date": "yesterday"}, "line_item_usage_start_date is 'yesterday': give a time"),
        ({"line_item_usage_end_date": "2026-09-01"}, "it is before the start"),
        ({"line_item_currency_code": "$"}, "line_item_currency_code is '$': give a currency"),
        ({"bill_payer_account_id": ""}, "bill_payer_account_id is '': a line can't be placed without it"),
        ({"resource_tags": "{a=b}"}, "resource_tags is '{a=b}': give JSON"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_and_the_others_go_on(bill, change, reason):
    first, refused, last = bill({}, change, {})
    assert isinstance(refused, Refused)
    assert refused.line == 3
    assert reason in refused.reason
    assert (type(first), type(last)) == (Charge, Charge)


def test_a_file_cut_off_in_a_line_and_an_empty_one(tmp_path):
    file = tmp_path / "a.csv"
    good = as_csv(lines({}, {}, {}))
    file.write_bytes(good[:-30])
    assert [type(fact) for fact in facts(file)] == [Charge, Charge, Refused]
    file.write_bytes(good.splitlines(keepends=True)[0])
    assert facts(file) == []


def test_nothing_of_a_cut_off_gzip_is_stored(ledger, tmp_path):
    numbers = random.Random(1)
    many = lines(*({"line_item_unblended_cost": str(numbers.random())} for _ in range(20_000)))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(as_csv(many))[:-100])
    with pytest.raises(ImportFailed, match="damaged or cut off gzip"):
        ledger.import_file(Cur(), tmp_path / "a.csv.gz")
    assert list(ledger.rows("delivery")) == list(ledger.rows("charge")) == []


def test_memory_is_flat(tmp_path):
    def peak(count):
        (tmp_path / "a.csv").write_bytes(as_csv(lines(*[{"split_line_item_parent_resource_id": ""}] * count)))
        tracemalloc.start()
        try:
            assert sum(1 for _ in Cur().read(tmp_path / "a.csv", Defaults(), lambda _: None)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # fills what is cached
    assert peak(12_000) < peak(3_000) + 2**20
