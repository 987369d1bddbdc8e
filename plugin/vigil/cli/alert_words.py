"""Alerts and deliveries as lines for a person at a terminal."""

from __future__ import annotations

from typing import Any

BREAK = "\n"


def listed(found: list[dict[str, Any]]) -> str:
    if not found:
        return "no alert"
    lines = [f"{'alert':<14}{'category':<10}{'found':<27}{'state':<14}received by"]
    for item in found:
        lines.append(f"{item['alert_id'][:12]:<14}{item['category'] or '-':<10}{item['found_at']:<27}{_state(item):<14}"
                     f"{'' if item['acknowledged'] is None else item['acknowledged']['by']}")
    return BREAK.join(lines)


def shown(item: dict[str, Any]) -> str:
    category = "no category" if item["category"] is None else f"category {item['category']}"
    lines = [f"alert {item['alert_id']}: {category}, {_state(item)}", f"  {item['sentence'] or item['finding'] or ''}",
             f"  found {item['found_at']} by {item['model_id']} {item['model_version']}",
             f"  study {item['study_instance_uid']}"]
    if item["reason"] is not None:
        lines.append(f"  {item['reason']['text']}")
    if item["withdrawn"] is not None:
        lines.append(f"  {item['withdrawn']['kind']}, by {item['withdrawn']['by'] or 'Vigil'}, {item['withdrawn']['at']}")
    if item["held"] is not None:
        lines.append(f"  {item['held']['why']}, by {item['held']['by']}, {item['held']['at']}")
    for delivery in item["deliveries"]:
        code = "" if delivery["accepted"] is None else f", answered {delivery['accepted']}"
        what = "withdrawal by HL7" if delivery["purpose"] == "retraction" else "HL7"
        lines.append(f"  {what} to {delivery['destination']}: {delivery['state']} after {delivery['attempts']} attempts{code}"
                     f"{_because(delivery)}{_next(delivery)}")
    for note in item["notifications"]:
        what = "withdrawal" if note["step"] == 0 else f"step {note['step']}"
        lines.append(f"  {what}, {note['method']} by {note['channel']}: {note['state']} {note['at']}"
                     f"{_because(note)}{_next(note)}")
    if item["acknowledged"] is not None:
        by = item["acknowledged"]
        way = f" ({by['channel']})" if by["channel"] else ""
        lines.append(f"  received by {by['by']}, {by['at']}, by {by['method']}{way}")
    return BREAK.join(lines)


def acknowledged(item: dict[str, Any]) -> str:
    by = item["acknowledged"]
    return f"alert {item['alert_id'][:12]}: received by {by['by']}, {by['at']}. Nobody else is told of it any more."


def communications(rows: list[dict[str, str]]) -> str:
    if not rows:
        return "no communication of a critical result"
    return BREAK.join(
        f"{row['alert'][:12]}  {row['received_at'] or row['told_at'] or row['found_at']}  {row['method']}"
        f"{' to ' + row['told_to'] if row['told_to'] else ''}: {row['outcome']}"
        f"{' by ' + row['received_by'] if row['received_by'] else ''}" for row in rows)


def deliveries(found: list[dict[str, Any]]) -> str:
    if not found:
        return "no delivery"
    return BREAK.join(
        f"{item['delivery_id']}  {item['kind']} to {item['destination']}: {item['state']} after {item['attempts']} attempts"
        f"{_because(item)}{_next(item)}" for item in found)


def _state(item: dict[str, Any]) -> str:
    if item["withdrawn"] is not None:
        return "withdrawn"
    return "held" if item["held"] is not None and item["state"] != "acknowledged" else str(item["state"])


def _because(item: dict[str, Any]) -> str:
    return "" if item["reason"] is None else f": {item['reason']['text']}"


def _next(item: dict[str, Any]) -> str:
    return "" if item["next_at"] is None else f" (next attempt {item['next_at']})"
