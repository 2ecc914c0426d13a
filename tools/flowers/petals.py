"""The parts that open blooms are made of: petals in rings, and the disc in the middle."""

from __future__ import annotations

import numpy as np

from canvas import Canvas, Colour, Paint, Pose, Rng, bend, mix, shade, taper, turn


def petal(
    canvas: Canvas,
    pose: Pose,
    angle: float,
    length: float,
    width: float,
    paint: Paint,
    base: float = 0.7,
    tip: float = 0.45,
    start: float = 0.05,
    sway: float = 0.0,
    points: int = 11,
    across: int = 4,
    shadow: float = 0.22,
    wave: np.ndarray | None = None,
) -> None:
    """One petal of a bloom: from the bloom's middle outwards at `angle`; sway bends it sideways."""
    way = turn(angle)
    spine = bend(way * start, way * (start + length) / 2 * turn(sway), way * length, points)
    s = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, points))
    spine = np.interp(s, np.linspace(0, 1, points), spine.real) + 1j * np.interp(
        s, np.linspace(0, 1, points), spine.imag
    )
    half = width * taper(points, base, tip)
    if wave is not None:
        half = half * wave
    canvas.ribbon(spine, half, paint, across, pose, shadow)


def ring(rng: Rng, count: int, wobble: float = 0.06) -> np.ndarray:
    """Angles of `count` petals around a bloom, a little irregular, in a random painting order."""
    angles = np.arange(count) * 2 * np.pi / count + rng.normal(0, wobble, count)
    return rng.permutation(angles)


def seeds(
    canvas: Canvas,
    pose: Pose,
    radius: float,
    count: int,
    inner: Colour,
    outer: Colour,
    grain: float,
    rng: Rng,
) -> None:
    """Florets of a disc along the golden spiral, as in every daisy and sunflower."""
    for k in range(count):
        share = (k + 0.5) / count
        at = pose(radius * np.sqrt(share) * turn(k * 2.39996))
        tint = shade(mix(inner, outer, share), rng.uniform(0.8, 1.2))
        canvas.disc(at, grain * pose.size, tint, max(pose.flat, 0.6))


def dome(canvas: Canvas, pose: Pose, radius: float, colour: Colour) -> None:
    """The ground of a disc of florets: a flat ball, darker at the rim."""
    canvas.disc(
        pose.centre - canvas.light * 0.012, radius * pose.size * 1.04, (20, 20, 10), pose.flat, 0.3
    )
    canvas.ball(pose.centre, radius * pose.size, colour, pose.flat)
