"""Where facts are shipped to: one file per kind of place."""
