"""The pages of a ledger: which statements they ask, and what they show of them."""
