"""What grows around a bloom: stems, leaves, buds.

The functions called `with_…` paint all the greenery of one plant, from below to the bloom.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from canvas import Canvas, Colour, Paint, Pose, Rng, bend, jitter, mix, pick, shade, taper, turn

GREENS: list[Colour] = [(70, 122, 52), (88, 138, 60), (58, 108, 62), (104, 146, 66)]


def stem(
    canvas: Canvas,
    rng: Rng,
    top: complex,
    width: float,
    colour: Colour,
    bow: float = 0.08,
    foot: complex | None = None,
) -> np.ndarray:
    """A stem from the bloom down out of the picture; returns its spine from the foot to the top."""
    if foot is None:
        foot = complex(top.real + rng.normal(0, 0.08), canvas.height + 0.05)
    middle = (foot + top) / 2 + rng.normal(0, bow)
    spine = bend(foot, middle, top, 16)
    canvas.ribbon(
        spine,
        np.linspace(width * 1.25, width, 16),
        Paint(shade(colour, 0.8), colour, 0.7),
        3,
        shadow=0.15,
    )
    return spine


def leaf(
    canvas: Canvas,
    foot: complex,
    tip: complex,
    width: float,
    colour: Colour,
    curl: float = 0.15,
    base: float = 0.8,
    point: float = 0.9,
    veins: int = 5,
) -> None:
    """A leaf with a middle rib and side veins."""
    middle = (foot + tip) / 2 + (tip - foot) * 1j * curl
    spine = bend(foot, middle, tip, 14)
    half = width * taper(14, base, point)
    canvas.ribbon(spine, half, Paint(shade(colour, 0.85), shade(colour, 1.08), 0.82), 4, shadow=0.2)
    canvas.line(spine[:-1], shade(colour, 1.28), 0.004, 0.7)
    normal = np.gradient(spine) * 1j
    normal = normal / np.maximum(np.abs(normal), 1e-9)
    for k in range(2, 2 + veins):
        here = min(12, 1 + k * 11 // (veins + 2))
        ahead = min(13, here + 2)
        for side in (-1, 1):
            edge = spine[ahead] + normal[ahead] * min(half[here], half[ahead]) * 0.75 * side
            canvas.line(np.array([spine[here], edge]), shade(colour, 1.2), 0.002, 0.45)


def straps(canvas: Canvas, rng: Rng, pose: Pose, colour: Colour, width: float, count: int) -> None:
    """Long leaves that rise from the foot of the plant, as tulips and daffodils have."""
    for _ in range(count):
        side = rng.choice([-1, 1])
        foot = complex(pose.centre.real + rng.normal(0, 0.04), canvas.height + 0.06)
        tip = complex(
            pose.centre.real + side * pose.size * rng.uniform(0.5, 1.3),
            pose.centre.imag + pose.size * rng.uniform(0.1, 1.1),
        )
        leaf(
            canvas,
            foot,
            tip,
            width * pose.size,
            jitter(rng, colour, 7),
            side * rng.uniform(0.05, 0.22),
            0.4,
            0.8,
            0,
        )


def side_leaves(
    canvas: Canvas,
    rng: Rng,
    pose: Pose,
    spine: np.ndarray,
    colour: Colour,
    shape: tuple[float, float, float, float],
) -> None:
    """Pairs of leaves along the stem. shape: length, half-width, bluntness of base and tip."""
    length, width, base, point = shape
    for side in (-1, 1):
        for at in rng.choice(np.arange(4, 12), size=2, replace=False):
            foot = spine[at]
            way = turn(-np.pi / 2 + side * rng.uniform(0.6, 1.25))
            leaf(
                canvas,
                foot,
                foot + way * length * pose.size * rng.uniform(0.8, 1.15),
                width * pose.size,
                jitter(rng, colour, 8),
                side * rng.uniform(-0.1, 0.25),
                base,
                point,
            )


def plain_stem(canvas: Canvas, rng: Rng, pose: Pose, width: float) -> tuple[np.ndarray, Colour]:
    green = pick(rng, GREENS)
    return stem(canvas, rng, pose.centre, width * pose.size, green), green


def with_straps(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    _spine, green = plain_stem(canvas, rng, pose, 0.075)
    straps(canvas, rng, pose, mix(green, (120, 160, 130), 0.3), 0.2, int(rng.integers(2, 4)))


def with_thin_straps(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    _spine, green = plain_stem(canvas, rng, pose, 0.06)
    straps(canvas, rng, pose, mix(green, (110, 150, 120), 0.3), 0.1, int(rng.integers(3, 6)))


def only_straps(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """For the blooms that paint their own stems."""
    straps(
        canvas,
        rng,
        pose,
        mix(pick(rng, GREENS), (110, 150, 120), 0.3),
        0.09,
        int(rng.integers(3, 6)),
    )


def with_side_leaves(
    shape: tuple[float, float, float, float], width: float
) -> Callable[[Canvas, Rng, Pose], None]:
    def paint(canvas: Canvas, rng: Rng, pose: Pose) -> None:
        spine, green = plain_stem(canvas, rng, pose, width)
        side_leaves(canvas, rng, pose, spine, green, shape)

    return paint


def with_bud(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """A poppy's hairy stem and, often, a nodding bud beside the bloom."""
    _spine, green = plain_stem(canvas, rng, pose, 0.04)
    if rng.random() < 0.6:
        side = rng.choice([-1, 1])
        top = pose.centre + pose.size * complex(
            side * rng.uniform(1.0, 1.3), rng.uniform(-0.5, 0.3)
        )
        foot = complex(pose.centre.real, canvas.height + 0.05)
        canvas.ribbon(
            bend(foot, top - 0.5j * pose.size, top, 16),
            np.full(16, 0.03 * pose.size),
            Paint(shade(green, 0.8), green, 0.7),
            2,
        )
        canvas.ribbon(
            bend(top, top + 0.15j * pose.size, top + 0.38j * pose.size, 9),
            0.14 * pose.size * taper(9, 0.4, 0.4),
            Paint(green, shade(green, 1.1), 0.75),
            4,
            shadow=0.2,
        )
