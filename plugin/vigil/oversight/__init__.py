"""Drift, performance, feedback, stop rules, replay: the room is kept; its work comes later."""
