"""Shared by every kind of test."""
