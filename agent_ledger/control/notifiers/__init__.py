"""Who tells an owner what happened: one file per way."""
