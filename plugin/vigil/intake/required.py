"""Which attributes that a model needs a header does not give: at its top, or in the functional groups of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import BaseTag

_SHARED, _PER_FRAME = BaseTag(0x52009229), BaseTag(0x52009230)
DEEPEST = 2
"""Levels of sequences below a frame's groups: a group, and a sequence of it (PS3.3 C.8.13.5.9, of diffusion)."""


def missing_attributes(headers: Iterable[Dataset], keywords: Sequence[str]) -> tuple[str, ...]:
    """The keywords, in their order, that one of the headers lacks, or has without a value."""
    if not keywords:
        return ()
    tags = {keyword: BaseTag(tag) for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None}
    missing: set[str] = set()
    for header in {id(header): header for header in headers}.values():
        missing |= {keyword for keyword, tag in tags.items() if not _has(header, tag)}
    return tuple(keyword for keyword in keywords if keyword in missing)


def _has(header: Dataset, tag: BaseTag) -> bool:
    """Of a multi-frame image: in what all frames share, or in what is said of the first."""
    groups = [item for place in (_SHARED, _PER_FRAME) for item in _items(header, place)[:1]]
    return _has_value(header, tag) or any(_has_value(level, tag) for group in groups for level in _levels(group, DEEPEST))


def _levels(item: Dataset, deepest: int) -> Iterator[Dataset]:
    yield item
    if deepest:
        for tag in tuple(item.keys()):  # by itself a data set gives elements, converted
            for inner in _items(item, tag):
                yield from _levels(inner, deepest - 1)


def _has_value(level: Dataset, tag: BaseTag) -> bool:
    if tag not in level:
        return False
    value = level.get_item(tag).value
    return bool(value.strip(b" \0")) if isinstance(value, bytes) else bool(value)


def _items(level: Dataset, tag: BaseTag) -> Sequence[Dataset]:
    try:
        if tag in level and dictionary_VR(tag) == "SQ":
            return tuple(level[tag].value)
    except KeyError:  # a private one
        pass
    return ()
