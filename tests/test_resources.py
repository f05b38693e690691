"""One name for a resource, whoever writes it."""

from __future__ import annotations

import pytest

from agent_ledger.resources import operation, resource, service


@pytest.mark.parametrize(
    ("text", "name", "of"),
    [
        ("arn:aws:s3:::invoices", "invoices", "s3"),
        ("arn:aws:s3:::invoices/2026/10.pdf", "invoices", "s3"),
        ("s3://invoices/2026/10.pdf", "invoices", "s3"),
        ("gs://invoices/a", "invoices", None),
        ("invoices", "invoices", None),
        (" invoices ", "invoices", None),
        ("arn:aws:lambda:us-east-1:1:function:resize", "resize", "lambda"),
        ("arn:aws:lambda:us-east-1:1:function:resize:live", "resize", "lambda"),
        ("arn:aws:rds:us-east-1:1:db:prod", "prod", "rds"),
        ("arn:aws:rds:us-east-1:1:cluster:main", "main", "rds"),
        ("arn:aws:dynamodb:us-east-1:1:table/users/index/by-mail", "users", "dynamodb"),
        ("arn:aws:ec2:us-east-1:1:instance/i-0abc", "i-0abc", "ec2"),
        ("arn:aws:sqs:us-east-1:1:jobs", "jobs", "sqs"),
        ("arn:aws:s3", "arn:aws:s3", None),
        ("/subscriptions/1/resourceGroups/RG/providers/Microsoft.Storage/storageAccounts/Data", "data", None),
        ("//storage.googleapis.com/projects/_/buckets/invoices/", "invoices", None),
        ("", "", None),
    ],
)
def test_resources(text: str, name: str, of: str | None) -> None:
    assert resource(text) == (name, of)


def test_services_and_operations() -> None:
    assert service("AmazonS3") == service("Amazon Simple Storage Service") == "s3"
    assert service("AWSDataTransfer") is None
    assert service(None) is None
    assert operation("GetObject") == operation("get_object") == operation("get-object") == "getobject"
