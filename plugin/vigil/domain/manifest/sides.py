"""How large a tensor a manifest may ask for: what no machine can hold is refused when the manifest is read."""

from __future__ import annotations

from math import prod

Sides = tuple[int, int, int]

LEAST_SIDE, LARGEST_SIDE = 16, 512
"""Of volumes whose sides are all the manifest's."""
LARGEST_TENSOR_BYTES = 2 << 30
FLOAT32_BYTES = 4


def insist_on_sides(name: str, shape: Sides) -> None:
    """Raises: ValueError."""
    if any(not LEAST_SIDE <= side <= LARGEST_SIDE for side in shape):
        raise ValueError(f"each side of {name} must lie from {LEAST_SIDE} to {LARGEST_SIDE}")


def insist_it_can_be_held(name: str, shape: tuple[int, ...]) -> None:
    """Raises: ValueError for a tensor of more than 2 GiB in float32."""
    needed = FLOAT32_BYTES * prod(shape)
    if needed > LARGEST_TENSOR_BYTES:
        raise ValueError(f"{name} asks for a tensor of {needed / (1 << 30):.1f} GiB; at most {LARGEST_TENSOR_BYTES >> 30} GiB "
                         "are given: use a sliding window or larger voxels")
