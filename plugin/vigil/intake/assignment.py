"""Which stack serves which input of a model: each stack one input at most, all of them in one frame of reference.

Of all ways to serve every input the one is taken that gives the first input its best stack, then the second, and so on. That a T1
rule also takes a FLAIR series never leaves the FLAIR input without one, where another T1 is there. Stacks that share an image are
one for this purpose. Arrival order plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vigil.intake.selection import Candidate, Selection

Image = tuple[str, int | None]
Options = Mapping[str, Sequence[Candidate]]
"""By input, in the manifest's order, the stacks that could serve it, best first."""


@dataclass(frozen=True)
class Assignment:
    """``chosen``: by input. ``unserved``: inputs for which no stack is left. ``apart``: every input has a stack, and there is no
    frame of reference that has one for each: nobody knows how they lie to one another."""

    chosen: dict[str, Candidate]
    unserved: tuple[str, ...] = ()
    apart: bool = False

    @property
    def whole(self) -> bool:
        return not self.unserved and not self.apart


def assign(selections: Mapping[str, Selection], usable: Callable[[Candidate], bool]) -> Assignment:
    """``selections``: by input, in the manifest's order. ``usable``: which candidates may be taken."""
    options = {name: [item for item in selection.candidates if usable(item)] for name, selection in selections.items()}
    group_of = _groups([candidate for candidates in options.values() for candidate in candidates])
    if len(options) > 1:
        frames = {frame_of(candidate) for candidates in options.values() for candidate in candidates} - {""}
        found = [
            chosen for frame in sorted(frames) if (chosen := _best({
                name: [item for item in candidates if frame_of(item) == frame] for name, candidates in options.items()
            }, group_of)) is not None
        ]
        if found:
            return Assignment(min(found, key=lambda chosen: [options[name].index(chosen[name]) for name in options]))
    held = _matched(options, group_of)
    unserved = tuple(name for name in options if name not in held)
    return Assignment(_best(options, group_of) or held, unserved, apart=not unserved and len(options) > 1)


def frame_of(candidate: Candidate) -> str:
    return candidate.stack.headers[0].frame_of_reference_uid


def _best(options: Options, group_of: Callable[[Candidate], int]) -> dict[str, Candidate] | None:
    """The best way to serve every input; None where there is none."""
    fixed: dict[str, Candidate] = {}
    for name, candidates in options.items():
        for candidate in candidates:
            tried = {**options, **{done: [item] for done, item in fixed.items()}, name: [candidate]}
            if len(_matched(tried, group_of)) == len(options):
                fixed[name] = candidate
                break
        else:
            return None
    return fixed


def _matched(options: Options, group_of: Callable[[Candidate], int]) -> dict[str, Candidate]:
    """As many inputs served as can be, the earlier ones before the later (augmenting paths, Kuhn 1955)."""
    serves: dict[int, tuple[str, Candidate]] = {}

    def find(name: str, seen: set[int]) -> bool:
        for candidate in options[name]:
            group = group_of(candidate)
            if group in seen:
                continue
            seen.add(group)
            if group not in serves or find(serves[group][0], seen):
                serves[group] = name, candidate
                return True
        return False

    for name in options:
        find(name, set())
    held = dict(serves.values())
    return {name: held[name] for name in options if name in held}


def _groups(candidates: Sequence[Candidate]) -> Callable[[Candidate], int]:
    """A number for each candidate: the same for those that share an image, also by way of a third."""
    parent = list(range(len(candidates)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    first: dict[Image, int] = {}
    for index, candidate in enumerate(candidates):
        for header in candidate.stack.headers:
            parent[root(index)] = root(first.setdefault((header.sop_instance_uid, header.frame), index))
    number = {id(candidate): root(index) for index, candidate in enumerate(candidates)}
    return lambda candidate: number[id(candidate)]
