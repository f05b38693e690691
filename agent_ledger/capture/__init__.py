"""Live capture: every LLM call and every tool call of a runtime becomes a row, and the agent never notices."""
