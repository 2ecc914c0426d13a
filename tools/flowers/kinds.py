"""The ten kinds of flowers: which bloom, which greenery, how far it may be tilted away from us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from canvas import Canvas, Pose, Rng
from greenery import only_straps, with_bud, with_side_leaves, with_straps, with_thin_straps
from open_blooms import daffodil, daisy, lily, poppy, rose, sunflower, violet
from side_blooms import bluebell, lavender, tulip


@dataclass(frozen=True)
class Kind:
    """How a kind is painted: first the greenery, then the bloom."""

    bloom: Callable[[Canvas, Rng, Pose], None]
    greenery: Callable[[Canvas, Rng, Pose], None]
    tilts: tuple[float, float] = (0.62, 1.0)  # the range of Pose.flat that suits the bloom


KINDS: dict[str, Kind] = {
    "bluebell": Kind(bluebell, only_straps, (1, 1)),
    "daffodil": Kind(daffodil, with_thin_straps, (0.72, 1.0)),
    "daisy": Kind(daisy, with_side_leaves((0.8, 0.16, 1.4, 0.4), 0.05)),
    "lavender": Kind(lavender, only_straps, (1, 1)),
    "lily": Kind(lily, with_side_leaves((1.1, 0.13, 0.6, 0.9), 0.06), (0.7, 1.0)),
    "poppy": Kind(poppy, with_bud, (0.6, 1.0)),
    "rose": Kind(rose, with_side_leaves((0.8, 0.27, 0.6, 0.6), 0.07), (0.75, 1.0)),
    "sunflower": Kind(sunflower, with_side_leaves((1.0, 0.36, 0.45, 0.8), 0.1)),
    "tulip": Kind(tulip, with_straps, (1, 1)),
    "violet": Kind(violet, with_side_leaves((0.8, 0.4, 0.35, 0.55), 0.05), (0.8, 1.0)),
}
