"""`python -m agent_ledger` is `agent-ledger`."""

from agent_ledger.cli import cli

if __name__ == "__main__":
    cli(prog_name="agent-ledger")
