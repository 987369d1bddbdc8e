"""The ledger's account as sentences and lines for a person at a terminal."""

from __future__ import annotations

from typing import Any

from vigil.delivery.status import SUCCESS, accepted, status_text

BREAK = "\n"


def status(content: dict[str, Any]) -> str:
    lines = [f"{name:<28}{number:>8}" for name, number in sorted(content["counts"].items())] or ["nothing yet"]
    audit = content["audit"]
    lines.append("")
    lines.append(f"audit: {audit['entries']} entries, the chain is whole" if audit["whole"]
                 else f"audit: THE CHAIN IS BROKEN: {audit['problem']}")
    if content["newest"]:
        lines += ["", "newest analyses:"]
        lines += [f"  {_analysis_line(item)}" for item in content["newest"]]
    return BREAK.join(lines)


def studies(found: list[dict[str, Any]]) -> str:
    return (BREAK * 2).join(_study(item) for item in found)


def settings(content: dict[str, Any]) -> str:
    def listed(names: list[str]) -> str:
        return ", ".join(names) or "none"

    return BREAK.join([
        "The settings are valid.", f"  models that run: {listed(content['models'])}", f"  PACS: {listed(content['pacs'])}",
        f"  RIS: {listed(content['ris'])}", f"  SHA-256 of the settings: {content['settings_sha256']}"])


def first(content: dict[str, Any]) -> str:
    return BREAK.join([
        f"Written: {content['file']}, for its owner alone (mode 0600).",
        "Change what is marked SITE, and make the user of Orthanc its owner.",
        f"  user:     {content['user']}", f"  password: {content['password']}",
        "The password is not shown again. Until RemoteAccessAllowed is true, only this machine is let in."])


def trial(content: dict[str, Any]) -> str:
    """What was sent, a series at a time, with what to look for and how each object was taken."""
    lines = [f"Sent to {content['destination']}, profile {content['profile']}.",
             f"Look in the viewer for the patient {content['patient_name']}, {content['patient_id']}; delete it at will.",
             f"Study {content['study_instance_uid']}"]
    kind: str | None = None
    objects: list[dict[str, Any]] = content["objects"]
    for number in dict.fromkeys(item["series_number"] for item in objects):
        series = [item for item in objects if item["series_number"] == number]
        first = series[0]
        if first["kind"] != kind:
            kind = first["kind"]
            lines += ["", kind.upper().replace("-", " ") if kind else "SOURCE IMAGES"]
        lines.append(f"  series {number}, {first['series_description']}")
        lines.append(f"    look for: {first['look_for']}")
        lines += [f"    {_instances(series, text)}: {text}" for text in dict.fromkeys(item["text"] for item in series)]
    lines += ["", "Every object was taken." if not content["refused"] else
              f"{content['refused']} objects were NOT taken; docs/pacs.md says what each reason means."]
    return BREAK.join(lines)


def _instances(series: list[dict[str, Any]], text: str) -> str:
    told = [item["instance_number"] for item in series if item["text"] == text]
    return f"image {told[0]}" if len(told) == 1 else f"images {min(told)} to {max(told)} ({len(told)})"


def _study(item: dict[str, Any]) -> str:
    lines = [f"study {item['orthanc_study_id']}",
             f"  last image {item['last_image_at'] or 'unknown'}, evaluated {item['evaluated_at'] or 'not yet'}"
             + (f", looked at again {item['next_look_at']}" if item["next_look_at"] else "")]
    for decision in item["decisions"]:
        reason = "" if decision["reason"] is None else f": {decision['reason']['text']}"
        lines.append(f"  {decision['at']}  {decision['model_id']} {decision['model_version']}  {decision['verdict']}{reason}")
    for analysis in item["analyses"]:
        lines += [f"  analysis {_analysis_line(analysis)}"]
        if analysis["answer"] is not None:
            lines.append(f"    {analysis['answer']['sentence']}")
        if analysis["predecessor_id"]:
            lines.append(f"    supersedes {analysis['predecessor_id']}")
        if analysis["superseded_by"]:
            lines.append(f"    superseded by {analysis['superseded_by']}")
        lines.append(f"    {analysis['images']} images, weights {analysis['weights_sha256'][:12]}, operating point "
                     f"{analysis['operating_point']}, settings {analysis['settings_sha256'][:12]}")
        stored = sum(1 for each in analysis["objects"] if each["stored_at"])
        lines.append(f"    {len(analysis['objects'])} objects made, {stored} stored in Orthanc")
        for each in analysis["deliveries"]:
            lines += [f"    {_delivery(each)}", *_refusals(analysis, each)]
    for entry in item["audit"]:
        lines.append(f"  audit {entry['sequence']}  {entry['at']}  {entry['event']} by {entry['actor']} ({entry['role']})")
    return BREAK.join(lines)


def _analysis_line(item: dict[str, Any]) -> str:
    answer = "no answer yet" if item["answer"] is None else item["answer"]["kind"]
    return f"{item['analysis_id'][:12]}  {item['created_at']}  {item['model_id']}  {answer}  [{item['state']}]"


def _delivery(item: dict[str, Any]) -> str:
    told = f"to {item['destination']} ({item['kind']}): {item['state']} after {item['attempts']} attempts"
    if item["committed"]:
        told += f", {item['committed']} objects confirmed"
    if item["acknowledgement"] is not None:
        told += f", acknowledged {item['acknowledgement']['code']}"
    if item["reason"] is not None:
        told += f": {item['reason']['text']}"
    return told


def _refusals(analysis: dict[str, Any], delivery: dict[str, Any]) -> list[str]:
    """Each object that the destination did not take, with its reason."""
    return [f"      not taken: {item['role']} {item['index'] + 1}: {status_text(delivery['statuses'][item['sop_instance_uid']])}"
            for item in analysis["objects"]
            if not accepted(delivery["statuses"].get(item["sop_instance_uid"], SUCCESS))]
