"""The models and what people did with them, as JSON and as lines for a person at a terminal."""

from __future__ import annotations

from typing import Any

from vigil.inference.standing import Standing
from vigil.pipeline.roster import site_of
from vigil.records.model_events import Happened, ModelEvent, Use
from vigil.settings import Settings

BREAK = "\n"
IN_USE = {Use.MAIN: "in use", Use.SHADOW: "in silence"}


def state(standing: Standing, settings: Settings) -> dict[str, Any]:
    """A package and where it stands."""
    package, manifest = standing.package, standing.package.manifest
    site = site_of(settings, package)
    stage = "off" if site is None or standing.use is None else "shadow" if standing.use is Use.SHADOW else site.stage
    approval = standing.approval
    return {
        "id": package.model_id, "version": package.version, "name": None if manifest is None else manifest.name,
        "regulatory_status": None if manifest is None else manifest.regulatory.status.value,
        "package_sha256": package.sha256, "weights_sha256": None if manifest is None else manifest.weights_sha256,
        "state": standing.state.value, "use": None if standing.use is None else standing.use.value, "before": standing.before,
        "stage": stage,
        "approved_by": approval.by if approval is not None else "the release" if standing.released else None,
        "approved_at": None if approval is None else approval.at.isoformat(timespec="seconds"),
        "problem": None if package.problem is None else {
            "category": package.problem.category.value, "text": package.problem.text},
        "folder": str(package.folder),
    }


def event(happened: ModelEvent) -> dict[str, Any]:
    return {
        "at": happened.at.isoformat(timespec="seconds"), "id": happened.model_id, "version": happened.version,
        "package_sha256": happened.package_sha256, "event": happened.event.value,
        "use": None if happened.use is None else happened.use.value, "by": happened.by, "evidence": dict(happened.evidence),
    }


def listed(states: list[dict[str, Any]]) -> str:
    if not states:
        return "no model is installed"
    lines = [f"{'model':<34}{'version':<10}{'status':<10}{'state':<11}{'use':<12}{'stage':<8}problem"]
    for item in states:
        use = "before" if item["use"] is None and item["before"] else "" if item["use"] is None else IN_USE[Use(item["use"])]
        problem = "" if item["problem"] is None else item["problem"]["text"]
        lines.append(f"{item['id']:<34}{item['version'] or '?':<10}{item['regulatory_status'] or '?':<10}{item['state']:<11}"
                     f"{use:<12}{item['stage']:<8}{problem}".rstrip())
    return BREAK.join(lines)


def shown(content: dict[str, Any]) -> str:
    lines = [listed(content["versions"])]
    lines += [f"  {item['version']}: manifest SHA-256 {item['package_sha256']}, approved by {item['approved_by'] or 'nobody'}"
              for item in content["versions"]]
    return BREAK.join([*lines, "", *(_event_line(item) for item in content["events"])]).rstrip()


def done(happened: dict[str, Any]) -> str:
    told = {Happened.APPROVED: "is approved", Happened.RETIRED: "is retired", Happened.ROLLED_BACK: "is in use again"}
    where = " to run in silence" if happened["use"] == Use.SHADOW else ""
    return (f"{happened['id']} {happened['version']} {told[Happened(happened['event'])]}{where}; a running Orthanc takes it up "
            "within seconds")


def tested(result: dict[str, Any]) -> str:
    name = f"{result['model_id']} {result['version'] or '?'}"
    if result["problem"] is not None:
        return f"{name} does not run: {result['problem']}"
    if not result["cases"]:
        return f"{name} has no golden case; docs/model-authors.md says how one is made"
    lines = [f"{name} on {result['runtime']}"]
    for case in result["cases"]:
        verdict = "passed" if case["problem"] is None else f"FAILED: {case['problem']}"
        lines.append(f"  {case['name']}: {case['kind']}, value {case['value']} (expected {case['expected_value']}), "
                     f"{sum(case['differing'].values())} voxels differ, {case['seconds']:.1f} s: {verdict}")
    lines.append(f"largest difference of a value: {result['largest_difference']}")
    return BREAK.join(lines)


def made(case: dict[str, Any]) -> str:
    regions = "".join(f", {count} voxels of '{name}'" for name, count in case["voxels"].items())
    return BREAK.join([
        f"{case['file']} ({case['bytes'] // 1024} KiB, {case['slices']} slices) is in the package, and named in its manifest.",
        f"The model says: {case['kind']}, value {case['value']}{regions}.", f"  {case['sentence']}",
        "Is that right? Correct the value in the manifest to what you know. A case that nobody looked at proves nothing."])


def _event_line(item: dict[str, Any]) -> str:
    use = "" if item["use"] is None else f" ({IN_USE[Use(item['use'])]})"
    return f"  {item['at']}  {item['version']}  {item['event']}{use} by {item['by']}, {item['package_sha256'][:12]}"


def begun(made: dict[str, Any]) -> str:
    ports = [f"  {name}  {port['name']} {port['shape']} {port['dtype']}" for name in ("inputs", "outputs") for port in made[name]]
    return "\n".join([
        f"{made['manifest']}", *ports,
        f"  taken for {made['layout']}, and its output for a {made['output']}: look whether that is so",
        f"Fill in what is empty (~), then: vigil models validate {made['folder']}"])


def costs(cost: dict[str, Any]) -> str:
    return "\n".join([
        f"{cost['model_id']} {cost['version']}, '{cost['case']}', {cost['runtime']}",
        f"  load       {cost['load_s']:.3f} s",
        f"  first run  {cost['first_run_s']:.3f} s",
        f"  run        {cost['run_s']:.3f} s, {cost['run_cpu_s']:.3f} s of processor (medians of {cost['runs']})",
        f"  memory     at most {cost['peak_mib']} MiB in this process, interpreter and libraries included"])
