"""The ledger of what was decided, made, sent and told; the chained audit of who and when."""
