"""Migrations of the ledger, from its first table. A migration that was released is never changed."""
