"""Northwind Support Cloud, which sells customer support as a service: who works there, on what, with which tools."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from agent_ledger import clock

FIRST_DAY, LAST_DAY = "2026-09-01", "2026-11-20"
END = "2026-11-21T00:00:00.000Z"  # what runs on past midnight is not in the ledger yet
WRITTEN_AT = "2026-11-21T05:00:00.000Z"
SEED = "northwind"


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    provider: str
    id_prefix: str  # of its response ids
    caches: str  # "writes" are counted, only "reads" are, or "nothing" is
    reasons: bool = False  # does it say which output is reasoning?


@dataclass(frozen=True, slots=True)
class Tool:
    server: str
    name: str
    operation: str
    resources: tuple[str, ...]  # as the cloud bill names them; none: nothing billable
    unit: str | None
    units: tuple[int, int]
    milliseconds: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Work:
    """What one request of a kind of work looks like: lowest, highest, most frequent."""

    steps: tuple[int, int]  # model calls in a row
    prompt: tuple[int, int, int]
    output: tuple[int, int, int]
    cached: float  # share of the prompt that was there one step before
    kept: str = "5m"  # how long the cache keeps it
    searches: tuple[int, int] = (0, 0)
    tools: tuple[str, ...] = ()
    at_night: bool = False
    evidence: str = "response"


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    team: str
    feature: str
    work: str
    model: str
    requests: float  # on an average working day of October
    customers: bool = True  # does it work on behalf of customers?
    tier: str | None = None
    region: str | None = None


MODELS = {
    "fable": Model("claude-fable-5", "anthropic", "msg_01", "writes"),
    "opus": Model("claude-opus-5", "anthropic", "msg_01", "writes"),
    "sonnet": Model("claude-sonnet-5", "anthropic", "msg_01", "writes"),
    "sonnet45": Model("claude-sonnet-4-5", "anthropic", "msg_01", "writes"),
    "haiku": Model("claude-haiku-4-5", "anthropic", "msg_01", "writes"),
    "sol": Model("gpt-5.6-sol", "openai", "resp_", "reads", reasons=True),
    "pro": Model("gpt-5.5-pro", "openai", "resp_", "nothing", reasons=True),
    "mini": Model("gpt-5.4-mini", "openai", "resp_", "reads", reasons=True),
    "gemini": Model("gemini-2.5-pro", "google", "", "reads", reasons=True),
    "bedrock": Model("us.anthropic.claude-sonnet-5-v1:0", "aws", "msg_bdrk_", "writes"),
    "deepseek": Model("deepseek-v4-flash", "deepseek", "", "reads"),
    "mistral": Model("mistral-large-4", "mistral", "", "reads"),
    "lora": Model("northwind-lora-7b", "vllm", "chatcmpl-", "nothing"),
}

_AWS = "us-east-1:111122223333"  # the account number that AWS uses in its examples

TOOLS = {
    "invoices": Tool("s3", "get_object", "GetObject", ("northwind-invoices",), "Requests", (1, 12), (20, 260)),
    "contracts": Tool("s3", "get_object", "GetObject", ("northwind-contracts",), "Requests", (1, 30), (20, 400)),
    "attachments": Tool(
        "s3", "get_object", "GetObject", ("northwind-ticket-attachments",), "Requests", (1, 4), (15, 180)
    ),
    "lake": Tool(
        "s3", "put_object", "PutObject", ("northwind-lake", "northwind-exports"), "Requests", (1, 40), (40, 900)
    ),
    "billing": Tool(
        "rds", "query", "Query", (f"arn:aws:rds:{_AWS}:cluster:billing-aurora",), "rows", (1, 4000), (4, 1800)
    ),
    "warehouse": Tool(
        "rds",
        "query",
        "Query",
        (f"arn:aws:rds:{_AWS}:cluster:analytics-aurora", f"arn:aws:rds:{_AWS}:cluster:support-aurora"),
        "rows",
        (10, 90_000),
        (30, 9000),
    ),
    "ocr": Tool(
        "lambda",
        "invoke",
        "Invoke",
        (f"arn:aws:lambda:{_AWS}:function:invoice-ocr",),
        "Lambda-GB-Second",
        (1, 45),
        (300, 15_000),
    ),
    "redact": Tool(
        "lambda",
        "invoke",
        "Invoke",
        (f"arn:aws:lambda:{_AWS}:function:redact-pii",),
        "Lambda-GB-Second",
        (1, 6),
        (60, 2500),
    ),
    "retrieve": Tool(
        "bedrock",
        "retrieve",
        "Retrieve",
        (f"arn:aws:bedrock:{_AWS}:knowledge-base/NWKB7Q2HTR", f"arn:aws:bedrock:{_AWS}:knowledge-base/NWKBL0X9PC"),
        "Requests",
        (1, 3),
        (120, 1400),
    ),
    "embed": Tool(
        "bedrock",
        "embed",
        "InvokeModel",
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0",),
        "1K tokens",
        (1, 60),
        (50, 700),
    ),
    "helpdesk": Tool("helpdesk-mcp", "update_ticket", "update", (), None, (0, 0), (30, 900)),
    "crm": Tool("crm-mcp", "find_account", "search", (), None, (0, 0), (40, 1200)),
    "repository": Tool("git-mcp", "read_files", "read", (), None, (0, 0), (10, 300)),
    "tests": Tool("ci-mcp", "run_tests", "run", (), None, (0, 0), (4000, 240_000)),
    "metrics": Tool("metrics-mcp", "query_range", "query", (), None, (0, 0), (60, 4000)),
}

WORK = {
    "chat": Work(
        (1, 3), (3_000, 60_000, 14_000), (150, 2_400, 500), 0.8, tools=("helpdesk", "retrieve"), evidence="stream"
    ),
    "triage": Work((1, 1), (1_500, 40_000, 6_000), (40, 900, 200), 0.6, tools=("helpdesk", "attachments")),
    "report": Work((1, 3), (60_000, 600_000, 190_000), (4_000, 30_000, 10_000), 0.3, tools=("warehouse", "lake")),
    "document": Work((1, 2), (240_000, 940_000, 720_000), (8_000, 70_000, 26_000), 0.4, tools=("contracts", "redact")),
    "invoice": Work(
        (1, 3), (80_000, 620_000, 300_000), (3_000, 24_000, 8_000), 0.5, tools=("invoices", "billing", "ocr")
    ),
    "research": Work(
        (1, 3), (120_000, 620_000, 250_000), (14_000, 70_000, 28_000), 0.4, searches=(3, 24), tools=("crm", "retrieve")
    ),
    "coding": Work(
        (2, 5),
        (160_000, 860_000, 420_000),
        (3_000, 40_000, 12_000),
        0.88,
        kept="1h",
        tools=("repository", "tests"),
        evidence="log",
    ),
    "operations": Work(
        (2, 5),
        (60_000, 500_000, 200_000),
        (1_500, 14_000, 5_000),
        0.6,
        tools=("metrics", "repository"),
        evidence="stream",
    ),
    "nightly": Work(
        (1, 1), (100_000, 800_000, 340_000), (4_000, 40_000, 14_000), 0.2, tools=("lake", "embed"), at_night=True
    ),
}

# fmt: off
AGENTS = (
    Agent("intent-router", "support", "live-chat", "triage", "lora", 8),
    Agent("chat-assistant", "support", "live-chat", "chat", "sonnet", 8),
    Agent("chat-assistant-emea", "support", "live-chat", "chat", "mistral", 5),
    Agent("handover-summarizer", "support", "live-chat", "chat", "haiku", 4),
    Agent("ticket-triage", "support", "ticket-triage", "triage", "haiku", 10),
    Agent("ticket-deduplicator", "support", "ticket-triage", "triage", "mini", 5),
    Agent("sentiment-watch", "support", "ticket-triage", "triage", "deepseek", 5),
    Agent("sla-sentinel", "support", "ticket-triage", "operations", "sonnet", 1.4),
    Agent("article-writer", "support", "knowledge-base", "report", "sonnet", 2.5),
    Agent("article-translator", "support", "knowledge-base", "nightly", "mistral", 5),
    Agent("gap-finder", "support", "knowledge-base", "nightly", "sonnet", 4, tier="batch"),
    Agent("document-classifier", "support", "knowledge-base", "document", "gemini", 7),
    Agent("invoice-reconciler", "finance", "invoice-automation", "invoice", "opus", 3),
    Agent("invoice-extractor", "finance", "invoice-automation", "invoice", "gemini", 4.5),
    Agent("purchase-order-matcher", "finance", "invoice-automation", "invoice", "sol", 7),
    Agent("expense-auditor", "finance", "invoice-automation", "nightly", "opus", 5, False, tier="batch"),
    Agent("dunning-writer", "finance", "collections", "chat", "mini", 3),
    Agent("payment-forecaster", "finance", "collections", "report", "pro", 2.8),
    Agent("dispute-analyst", "finance", "collections", "document", "bedrock", 3),
    Agent("credit-scorer", "finance", "collections", "report", "deepseek", 2),
    Agent("contract-reviewer", "legal", "contract-review", "document", "fable", 33),
    Agent("clause-comparer", "legal", "contract-review", "document", "sonnet45", 16),
    Agent("redline-drafter", "legal", "contract-review", "document", "sol", 17),
    Agent("nda-desk", "legal", "contract-review", "document", "mistral", 5),
    Agent("compliance-auditor", "legal", "compliance", "document", "opus", 14, region="us"),
    Agent("dpa-checker", "legal", "compliance", "document", "bedrock", 3.5),
    Agent("policy-monitor", "legal", "compliance", "research", "sonnet", 2, False),
    Agent("records-archivist", "legal", "compliance", "nightly", "sonnet", 5, False, tier="batch"),
    Agent("code-reviewer", "platform", "code-review", "coding", "fable", 5.5, False),
    Agent("code-migrator", "platform", "code-review", "coding", "fable", 6.5, False),
    Agent("test-writer", "platform", "code-review", "coding", "sonnet45", 2.2, False),
    Agent("dependency-updater", "platform", "code-review", "coding", "sonnet", 1.1, False),
    Agent("incident-commander", "platform", "incident-response", "operations", "opus", 2.6, False),
    Agent("log-investigator", "platform", "incident-response", "operations", "sol", 3, False),
    Agent("runbook-runner", "platform", "incident-response", "operations", "sonnet", 1.4, False),
    Agent("postmortem-writer", "platform", "incident-response", "report", "opus", 2, False),
    Agent("account-researcher", "sales", "lead-research", "research", "pro", 9, False),
    Agent("market-mapper", "sales", "lead-research", "research", "pro", 6.3, False),
    Agent("lead-qualifier", "sales", "lead-research", "triage", "mini", 5, False),
    Agent("meeting-briefer", "sales", "lead-research", "research", "sonnet", 2, False),
    Agent("proposal-writer", "sales", "proposal-drafting", "report", "fable", 6),
    Agent("tender-analyst", "sales", "proposal-drafting", "document", "pro", 4.2),
    Agent("pricing-advisor", "sales", "proposal-drafting", "research", "pro", 4.4),
    Agent("report-builder", "data", "customer-analytics", "report", "sonnet45", 5),
    Agent("churn-explainer", "data", "customer-analytics", "report", "gemini", 3),
    Agent("survey-coder", "data", "customer-analytics", "nightly", "deepseek", 6),
    Agent("sql-assistant", "data", "customer-analytics", "chat", "sonnet", 3.5, False),
)
# fmt: on

OWNERS = {
    "support": ("maria.anders@example.com", "thomas.hardy@example.com"),
    "finance": ("christina.berglund@example.com", "elizabeth.lincoln@example.com"),
    "legal": ("victoria.ashworth@example.com", "patricio.simpson@example.com"),
    "platform": ("yang.wang@example.com", "sven.ottlieb@example.com", "janine.labrune@example.com"),
    "sales": ("ann.devon@example.com", "roland.mendel@example.com"),
    "data": ("aria.cruz@example.com", "diego.roel@example.com"),
}

# The agent that was given to another team in the middle of a month.
MOVED, MOVED_ON = "document-classifier", "2026-10-15T00:00:00.000Z"
MOVED_TO = ("legal", "contract-review", "patricio.simpson@example.com")

_NAMES = (
    "acme",
    "globex",
    "initech",
    "umbrella",
    "hooli",
    "stark",
    "wayne",
    "tyrell",
    "cyberdyne",
    "soylent",
    "wonka",
    "vandelay",
)
_KINDS = ("", "-retail", "-logistics", "-health", "-energy", "-bank", "-foods", "-media", "-labs", "-travel")
CUSTOMERS = tuple(f"{name}{kind}" for kind in _KINDS for name in _NAMES)
# Zipf: the second customer is half as busy as the first, the third a third.
CUSTOMER_WEIGHTS = tuple(accumulate(1 / rank for rank in range(1, len(CUSTOMERS) + 1)))


def assignments() -> list[tuple[str, str, str, str, str, str]]:
    """Rows of agent_assignment: agent, valid from, team, feature, owner, recorded at."""
    hired = "2026-08-31T09:00:00.000Z"
    rows = []
    for number, agent in enumerate(AGENTS):
        owner = OWNERS[agent.team][number % len(OWNERS[agent.team])]
        rows.append((agent.name, clock.BEGINNING, agent.team, agent.feature, owner, hired))
    rows.append((MOVED, MOVED_ON, *MOVED_TO, "2026-10-14T16:20:00.000Z"))
    return rows
