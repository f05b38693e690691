"""The ledger under other people's tools: one file per tool, imported by who uses it."""
