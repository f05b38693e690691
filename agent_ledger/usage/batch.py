"""A line of a batch's results: one response and the id that the caller gave the request.

Source: anthropic SDK 2.12 `types/messages/message_batch_individual_response.py`; OpenAI's batch output file
(https://platform.openai.com/docs/api-reference/batch/request-output). What has failed, expired or was canceled is not
billed.
"""

from __future__ import annotations

from agent_ledger.usage.counts import Body, section


def recognises(body: Body) -> bool:
    return "custom_id" in body and ("result" in body or "response" in body)


def answer(line: Body) -> Body | None:
    """The response in the line, None where there is none."""
    if "result" in line:
        result = section(line, "result")
        return section(result, "message") if result.get("type") == "succeeded" else None
    response = section(line, "response")
    return section(response, "body") if response.get("status_code") == 200 else None
