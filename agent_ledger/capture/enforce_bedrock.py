"""Applies directives to boto3's bedrock-runtime, where botocore shows the parameters that it makes a request of."""

from __future__ import annotations

from typing import Any

from agent_ledger.capture.bedrock import RULING, is_bedrock_runtime
from agent_ledger.capture.bedrock_call import OPERATIONS
from agent_ledger.capture.enforce import Enforcement


def enforce(client: Any, enforcement: Enforcement) -> bool:
    """Apply `enforcement` to the calls of `client`, `boto3.client("bedrock-runtime")`. False: it is something else.
    The last enforcement of a client counts."""
    if not is_bedrock_runtime(client):
        return False
    gate = vars(client).get("agent_ledger_gate")
    if gate is not None:
        gate.enforcement = enforcement
        return True
    gate = client.agent_ledger_gate = _Gate(enforcement)
    for operation in OPERATIONS:
        client.meta.events.register(f"before-parameter-build.bedrock-runtime.{operation}", gate.decide)
    return True


class _Gate:
    """What every call of one client passes."""

    def __init__(self, enforcement: Enforcement) -> None:
        self.enforcement = enforcement

    def decide(self, *, params: Any, context: Any, **_: Any) -> None:
        """botocore's handler. Changes `modelId`; what it raises, the caller gets as it is."""
        model, context[RULING] = self.enforcement.decided(params.get("modelId"))
        if model:
            params["modelId"] = model
