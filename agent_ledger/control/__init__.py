"""The closed loop: what was spent is held against budgets, and the runtime is told what it may do."""
