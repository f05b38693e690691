"""What a resource is called, whoever writes it: bills have ARNs and paths, tools often only a name.

Source: AWS's reference of ARN formats (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html); Azure
resource ids and Google Cloud full resource names are paths that end in the name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_SERVICES = {  # what CUR and FOCUS call a service, as ARNs do
    "amazons3": "s3",
    "amazonsimplestorageservice": "s3",
    "awslambda": "lambda",
    "amazonrds": "rds",
    "amazonrelationaldatabaseservice": "rds",
    "amazondynamodb": "dynamodb",
    "amazonec2": "ec2",
    "amazonelasticcomputecloud": "ec2",
    "awsqueueservice": "sqs",
    "amazonsns": "sns",
    "amazonecs": "ecs",
    "amazonecr": "ecr",
    "amazonapigateway": "apigateway",
    "amazonopensearchservice": "es",
    "awssecretsmanager": "secretsmanager",
    "amazonbedrock": "bedrock",
}


class Resource(NamedTuple):
    """`name` as it can be compared; `service` as ARNs write it, None where the text does not say."""

    name: str
    service: str | None


@lru_cache(maxsize=65536)
def resource(text: str) -> Resource:
    """The resource that `text` names: an ARN, a path, a URL such as s3://bucket/key, or a bare name."""
    text = text.strip()
    if text.startswith("arn:") and text.count(":") >= 5:
        service, rest = text.split(":", 5)[2], text.split(":", 5)[5]
        if service == "s3":
            return Resource(rest.split("/")[0], service)
        if service in ("lambda", "rds"):  # function:name:alias, db:name
            parts = rest.split(":")
            return Resource(parts[1] if len(parts) > 1 else parts[0], service)
        if service == "dynamodb":  # table/name/index/other
            parts = rest.split("/")
            return Resource(parts[1] if len(parts) > 1 else parts[0], service)
        return Resource(re.split(r"[:/]", rest)[-1], service)
    if found := re.match(r"(s3|gs|sqs|dynamodb|lambda)://([^/?#]+)", text):
        return Resource(found[2], found[1] if found[1] != "gs" else None)
    if text.startswith("/"):  # Azure's ids ignore case
        return Resource(text.rstrip("/").rpartition("/")[2].lower(), None)
    return Resource(text, None)


def service(name: str | None) -> str | None:
    """What ARNs call the service that a bill names; None where nobody here knows."""
    return _SERVICES.get(re.sub(r"[^a-z0-9]", "", (name or "").lower()))


@lru_cache(maxsize=4096)
def operation(name: str) -> str:
    """An operation as it can be compared: GetObject, get_object and get-object are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
