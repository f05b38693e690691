"""Readers of files: each turns one format into facts, and never touches a ledger. One module per format."""
