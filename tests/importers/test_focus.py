from __future__ import annotations

import csv
import gzip
import io
import re
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
from agent_ledger.importers.focus import Focus
from agent_ledger.records import Charge, Refused

LINE = {
    "BilledCost": "1.25",
    "EffectiveCost": "1",
    "ContractedCost": "2",
    "ListCost": "3",
    "BillingAccountId": "123412341234",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargeDescription": "GET and all other requests",
    "ChargePeriodStart": "2026-10-01T01:00:00Z",
    "ChargePeriodEnd": "2026-10-01T02:00:00Z",
    "ConsumedQuantity": "9",
    "ConsumedUnit": "Requests",
    "InvoiceId": "INV-1",
    "InvoiceIssuerName": "Amazon Web Services, Inc.",
    "PricingQuantity": "0.009",
    "PricingUnit": "1K Requests",
    "ProviderName": "AWS",
    "PublisherName": "Amazon Web Services, Inc.",
    "ResourceId": "invoices-bucket",
    "ServiceName": "Amazon Simple Storage Service",
    "SubAccountId": "999999999999",
    "Tags": '{"team": "risk"}',
    "x_ServiceCode": "AmazonS3",
    "x_Operation": "GetObject",
    "x_UsageType": "USE1-Requests-Tier2",
}


def snake(name):
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def facts(file, measure=None):
    return list(Focus().read(file, Defaults(cost_measure=measure), lambda _: None))


@pytest.fixture
def bill(tmp_path):
    """`bill(change, …)`: the facts of a file of lines."""

    def run(*changes, measure=None, without=()):
        rows = [{key: cell for key, cell in (LINE | change).items() if key not in without} for change in changes]
        (tmp_path / "focus.csv").write_bytes(as_csv(rows))
        return facts(tmp_path / "focus.csv", measure)

    return run


# -- what a line becomes ----------------------------------------------------------------------------------------------


def test_a_line(bill):
    [charge] = bill({})
    assert charge.charge_id.startswith("sha256:")
    assert charge == Charge(
        bill="aws 123412341234",
        billing_period="2026-10",
        period_start="2026-10-01T01:00:00.000Z",
        period_end="2026-10-01T02:00:00.000Z",
        provider="aws",
        charge_id=charge.charge_id,
        cost=Decimal("1.25"),
        currency="USD",
        account="999999999999",
        service="AmazonS3",
        resource_id="invoices-bucket",
        operation="GetObject",
        usage_type="USE1-Requests-Tier2",
        quantity=Decimal("9"),
        unit="Requests",
        invoice_id="INV-1",
        tags={"team": "risk"},
        description="GET and all other requests",
    )


def test_what_a_line_need_not_have(bill):
    kept = ("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "ChargeCategory",
            "ChargePeriodStart", "ChargePeriodEnd", "ServiceProviderName")  # fmt: skip
    [charge] = bill({"ServiceProviderName": "Acme Cloud"}, without=set(LINE) - set(kept))
    assert (charge.bill, charge.provider, charge.account) == ("acme cloud 123412341234", "acme cloud", "123412341234")
    assert (charge.resource_id, charge.quantity, charge.unit, charge.tags) == (None, None, None, None)


def test_null_as_text_and_the_priced_quantity_where_none_was_consumed(bill):
    nothing = dict.fromkeys(("Tags", "ConsumedQuantity", "ConsumedUnit", "ResourceId", "ChargeClass"), "NULL")
    [charge] = bill(nothing)
    assert (charge.tags, charge.resource_id, charge.category) == (None, None, "usage")
    assert (charge.quantity, charge.unit) == (Decimal("0.009"), "1K Requests")


@pytest.mark.parametrize(
    ("category", "class_", "found"),
    [
        ("Usage", "", "usage"),
        ("Purchase", "", "purchase"),
        ("Tax", "", "tax"),
        ("Credit", "NULL", "credit"),
        ("Adjustment", "", "adjustment"),
        ("Usage", "Correction", "adjustment"),
        ("Tax", "Correction", "tax"),
        ("Somethingnew", "", "adjustment"),
    ],
)
def test_categories(bill, category, class_, found):
    [charge] = bill({"ChargeCategory": category, "ChargeClass": class_, "BilledCost": "-1"})
    assert (charge.category, charge.cost) == (found, -1)


@pytest.mark.parametrize(
    ("names", "bill_of", "provider"),
    [
        ({"ProviderName": "AWS"}, "aws", "aws"),
        ({"ProviderName": "AWS", "InvoiceIssuerName": "Amazon Web Services EMEA SARL"}, "aws", "aws"),
        ({"ProviderName": "AWS", "InvoiceIssuerName": "A Reseller"}, "aws", "aws"),
        ({"ProviderName": "Microsoft", "InvoiceIssuerName": "Microsoft"}, "azure", "azure"),
        ({"ProviderName": "Google Cloud", "InvoiceIssuerName": "Google LLC"}, "google", "google"),
        ({"ProviderName": "Anthropic", "InvoiceIssuerName": "Anthropic, PBC"}, "anthropic", "anthropic"),
        ({"ProviderName": "OpenAI", "InvoiceIssuerName": ""}, "openai", "openai"),
        ({"ProviderName": "Oracle", "InvoiceIssuerName": "Oracle"}, "oracle", "oracle"),
        ({"ProviderName": "", "ServiceProviderName": "Anthropic", "HostProviderName": "AWS"}, "aws", "anthropic"),
        ({"ProviderName": "", "InvoiceIssuerName": "", "HostProviderName": "Acme"}, "acme", "acme"),
    ],
)
def test_providers_are_called_as_in_the_ledger(bill, names, bill_of, provider):
    [charge] = bill(names)
    assert (charge.bill, charge.provider) == (f"{bill_of} 123412341234", provider)


@pytest.mark.parametrize(
    ("measure", "cost"),
    [(None, "1.25"), ("billed", "1.25"), ("unblended", "1.25"), ("effective", "1"), ("contracted", "2"), ("list", "3")],
)
def test_cost_measures(bill, measure, cost):
    assert [str(charge.cost) for charge in bill({}, measure=measure)] == [cost]


def test_an_unknown_measure(bill):
    with pytest.raises(ImportFailed, match="no cost measure net_unblended: FOCUS has billed, effective"):
        bill({}, measure="net_unblended")


def test_split_rows_stand_for_the_row_they_were_split_from(bill):
    split = {"AllocatedMethodId": "m1", "AllocatedResourceId": "pod-a", "AllocatedTags": '{"team": "fraud"}'}
    first, second = bill(split, split | {"AllocatedResourceId": "pod-b", "AllocatedTags": ""})
    assert (first.resource_id, first.tags) == ("pod-a", {"team": "fraud"})
    assert (second.resource_id, second.tags) == ("pod-b", {"team": "risk"})
    assert first.charge_id != second.charge_id


def test_tokens_of_a_model_are_told_from_their_taxes(bill):
    tokens = {
        "ServiceName": "Amazon Bedrock",
        "x_ServiceCode": "AmazonBedrock",
        "x_UsageType": "USE1-NovaLite-input-tokens",
    }
    first, second = bill(tokens, tokens | {"ChargeCategory": "Tax"})
    assert (first.kind, first.model, first.token_type) == ("llm", "NovaLite", "input")
    assert (second.kind, second.model, second.token_type) == ("cloud", None, None)


@pytest.mark.parametrize(
    ("start", "end", "month"),
    [
        ("2026-10-01T07:00:00Z", "2026-11-01T07:00:00Z", "2026-10"),
        ("2026-09-30T15:00:00Z", "2026-10-31T15:00:00Z", "2026-10"),
        ("2026-10-01", "", "2026-10"),
    ],
)
def test_the_billing_month_of_a_provider_far_from_utc(bill, start, end, month):
    [charge] = bill({"BillingPeriodStart": start, "BillingPeriodEnd": end})
    assert charge.billing_period == month


def test_equal_lines_are_two_lines(bill):
    first, second = bill({}, {})
    assert second.charge_id == f"{first.charge_id}-2"


# -- files ------------------------------------------------------------------------------------------------------------


def test_other_spellings_of_the_columns_and_a_byte_order_mark(tmp_path):
    for spell in (str.lower, str.upper, snake):
        (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + as_csv([{spell(key): LINE[key] for key in LINE}]))
        [charge] = facts(tmp_path / "a.csv")
        assert (charge.service, charge.cost, charge.unit) == ("AmazonS3", Decimal("1.25"), "Requests")


def test_parquet(tmp_path):
    times = {name: pa.array([datetime.fromisoformat(LINE[name])]) for name in LINE if "Period" in name}
    tags = pa.array([[("team", "risk")]], pa.map_(pa.string(), pa.string()))
    cells = {name: pa.array([LINE[name] or None]) for name in LINE} | times | {"Tags": tags}
    for cost in (pa.array([1.25]), pa.array([Decimal("1.250")], pa.decimal128(30, 3))):
        pq.write_table(pa.table(cells | {"BilledCost": cost}), tmp_path / "a.parquet")
        [charge] = facts(tmp_path / "a.parquet")
        assert (charge.cost, charge.tags, charge.period_start) == (
            Decimal("1.25"),
            {"team": "risk"},
            "2026-10-01T01:00:00.000Z",
        )


def test_a_folder(tmp_path):
    for name in ("part-2.csv.gz", "part-1.parquet", "manifest.json"):
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file in Focus().files(tmp_path)] == ["part-1.parquet", "part-2.csv.gz"]


@pytest.mark.parametrize("packed", [False, True])
def test_the_sample_to_the_last_digit(samples, tmp_path, ledger, packed):
    file = samples / "focus" / "focus_1.0_sample_first_400.csv"
    with file.open(newline="") as text:
        costs = [Decimal(row["BilledCost"]) for row in csv.DictReader(text)]
    if packed:
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
        file = tmp_path / "a.csv.gz"
    done = ledger.import_file(Focus(), file)
    assert (done.added, done.refused) == (400, [])
    stored = [Decimal(row["cost"]) for row in ledger.rows("charge")]
    assert (sum(stored), Counter(stored)) == (sum(costs), Counter(costs))
    assert [row["bill"] for row in ledger.rows("delivery")] == ["aws 1234567890123"]
    again = ledger.import_file(Focus(), file)
    assert (again.added, again.already_there) == (0, 400)


@pytest.mark.parametrize("measure", ["billed", "effective", "list"])
def test_virtual_currencies_are_billed_in_real_money(samples, tmp_path, measure):
    column = {"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost"}[measure]
    files = sorted((samples / "focus" / "spec_saas_examples").glob("*.csv"))
    assert len(files) == 6
    for file in files:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = list(csv.DictReader(text))
        assert {type(fact) for fact in facts(file)} == {Refused}, "its times are 4/1/25, which can be two days"
        for row in rows:
            for name in [name for name in row if "Period" in name]:
                row[name] = datetime.strptime(row[name], "%m/%d/%y").date().isoformat()  # noqa: DTZ007
        (tmp_path / "a.csv").write_bytes(as_csv(rows))
        found = facts(tmp_path / "a.csv", measure)
        assert sum(charge.cost for charge in found) == sum(Decimal(row[column]) for row in rows)
        assert {(charge.currency, charge.provider, charge.kind) for charge in found} == {("USD", "acmecorp", "cloud")}


def test_months_and_currencies_of_one_file_stay_apart(ledger, tmp_path):
    months = [f"2025-{month:02d}" for month in range(1, 13)] + ["2026-01"]
    rows = [
        LINE | {"BillingPeriodStart": f"{month}-01", "BillingPeriodEnd": "", "BillingCurrency": currency}
        for month in months
        for currency in ("USD", "EUR")
    ]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    assert ledger.import_file(Focus(), tmp_path / "a.csv").added == 26
    assert [row["billing_period"] for row in ledger.rows("delivery")] == months
    assert Counter(row["currency"] for row in ledger.rows("charge")) == {"USD": 13, "EUR": 13}


@given(data=st.data(), costs=st.lists(st.decimals(-10, 10, places=2), max_size=12))
def test_the_order_of_lines_does_not_matter(tmp_path_factory, data, costs):
    rows = [LINE, *(LINE | {"BilledCost": str(cost)} for cost in costs)]
    file = tmp_path_factory.mktemp("order") / "a.csv"
    found = []
    for order in (rows, data.draw(st.permutations(rows))):
        file.write_bytes(as_csv(order))
        found.append({charge.charge_id: charge for charge in facts(file)})
    assert found[0] == found[1]
    assert sum(charge.cost for charge in found[0].values()) == sum(costs) + Decimal("1.25")


# -- bad bills --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "measure"),
    [
        ("BilledCost", None),
        ("EffectiveCost", "effective"),
        ("BillingAccountId", None),
        ("BillingCurrency", None),
        ("ChargePeriodEnd", None),
        ("ChargeCategory", None),
    ],
)
def test_a_missing_column_is_named(bill, column, measure):
    with pytest.raises(ImportFailed, match=f"focus.csv lacks {column}: every version of FOCUS has it"):
        bill({}, measure=measure, without=[column])


def test_no_provider_at_all(bill):
    with pytest.raises(ImportFailed, match=r"lacks ProviderName \(since 1.3 ServiceProviderName\)"):
        bill({}, without=["ProviderName", "InvoiceIssuerName"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BilledCost": "NULL"}, "BilledCost is None: a line without a cost can't be counted"),
        ({"BilledCost": "1,25"}, "BilledCost is '1,25': give a number"),
        ({"BillingCurrency": "Token"}, "BillingCurrency is 'Token': give a currency"),
        ({"ChargePeriodStart": "10/1/26"}, "ChargePeriodStart is '10/1/26': give a time"),
        ({"ChargePeriodEnd": "2026-09-01"}, "it is before the start"),
        ({"ChargeCategory": ""}, "ChargeCategory is None: a line can't be placed without it"),
        ({"BillingAccountId": "NULL"}, "BillingAccountId is None: a line can't be placed without it"),
        ({"ProviderName": "", "InvoiceIssuerName": ""}, "ProviderName is None: a line can't be placed without it"),
        ({"Tags": "team=risk"}, "Tags is 'team=risk': give JSON"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_and_the_others_go_on(bill, change, reason):
    first, refused, last = bill({}, change, {})
    assert isinstance(refused, Refused)
    assert refused.line == 3
    assert reason in refused.reason
    assert (type(first), type(last)) == (Charge, Charge)
