"""Blooms seen from the side, always upright. The pose's centre is the middle of the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from canvas import Canvas, Colour, Paint, Pose, Rng, bend, mix, pick, shade, taper, turn
from greenery import GREENS


def tulip(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """An upright cup of six petals: three behind, two aside, one broad in front."""
    pose = replace(pose, angle=0.0, flat=1.0)
    tint = pick(
        rng,
        [
            (214, 30, 44),
            (250, 204, 36),
            (232, 96, 150),
            (126, 50, 132),
            (244, 128, 34),
            (246, 238, 230),
        ],
        7,
    )
    rim = mix(tint, (255, 244, 200), rng.uniform(0, 0.45))
    foot, open_ = 0.86j, rng.uniform(0.75, 1.1)
    behind = Paint(shade(tint, 0.6), shade(rim, 0.74), 0.9, streak=0.16)
    aside = Paint(shade(tint, 0.82), shade(rim, 0.94), 0.8, streak=0.16)
    front = Paint(shade(tint, 0.9), rim, 0.84, 1.05, streak=0.16)

    def cup(tip: complex, belly: complex, width: float, paint: Paint, blunt: float) -> None:
        canvas.ribbon(
            bend(foot, belly, tip, 24), width * taper(24, 0.45, blunt), paint, 8, pose, 0.28
        )

    for x in (-0.28, 0.28, 0.0):
        cup(x * open_ - 0.96j, x * 1.5 - 0.1j, 0.28, behind, 0.45)
    for side in rng.permutation([-1, 1]):
        cup(
            side * 0.42 * open_ - rng.uniform(0.82, 0.96) * 1j,
            side * 0.74 + 0.15j,
            0.28,
            aside,
            0.5,
        )
    cup(
        rng.normal(0, 0.04) - rng.uniform(0.66, 0.84) * 1j,
        rng.normal(0, 0.05) + 0.1j,
        0.37,
        front,
        0.42,
    )


def bluebell(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """An arching stem with a row of nodding bells, their six tips curled back."""
    side = 1 if rng.random() < 0.5 else -1
    blue = pick(rng, [(84, 92, 206), (104, 104, 220), (112, 92, 204), (76, 106, 214)], 7)
    green = pick(rng, GREENS)
    size = pose.size * 1.15
    top = pose.centre + size * complex(side * 0.62, -0.62)
    foot = complex(pose.centre.real - side * size * 0.5, canvas.height + 0.05)
    middle = complex(pose.centre.real - side * size * 0.62, pose.centre.imag - size * 1.25)
    spine = bend(foot, middle, top, 40)
    canvas.ribbon(
        spine,
        np.linspace(0.04, 0.016, 40) * size,
        Paint(shade(green, 0.8), mix(green, blue, 0.4), 0.7),
        3,
        shadow=0.15,
    )
    count = int(rng.integers(5, 9))
    for k, at in enumerate(np.linspace(17, 39, count).astype(int)):
        length = size * (0.5 - 0.2 * k / count) * rng.uniform(0.9, 1.1)
        out = side * (1 if k % 2 else -0.35)
        hook = spine[at] + size * complex(0.13 * out, -0.02)
        canvas.line(
            bend(spine[at], spine[at] + size * complex(0.08 * out, -0.1), hook, 6),
            mix(green, blue, 0.5),
            0.018 * size,
        )
        bell(canvas, rng, hook, length, np.pi / 2 - out * rng.uniform(0.05, 0.4), blue)


def bell(canvas: Canvas, rng: Rng, hook: complex, length: float, way: float, blue: Colour) -> None:
    """One bell hanging from `hook` towards the angle `way`."""
    blue = shade(blue, rng.uniform(0.88, 1.12))
    along = length * turn(way)
    t = np.linspace(0, 1, 12)
    half = length * (0.17 + 0.11 * np.sqrt(t)) * np.minimum(1, 0.35 + 3 * t)
    for tip in (-1.0, -0.35, 0.35, 1.0):
        start = hook + along * (0.8 + 0.04j * tip) + along * 0.2j * tip
        end = hook + along * (1.02 + 0.44j * tip - 0.08 * abs(tip))
        canvas.ribbon(
            bend(start, hook + along * (1.12 + 0.28j * tip), end, 8),
            length * 0.12 * taper(8, 0.3, 0.6),
            Paint(blue, mix(blue, (220, 220, 255), 0.4), 0.85),
            3,
        )
    canvas.ribbon(
        hook + along * t,
        half,
        Paint(shade(blue, 0.8), mix(blue, (190, 196, 250), 0.35), 0.72, 1.12, 0.16),
        7,
        shadow=0.2,
    )


def lavender(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """A bunch of thin stems, each ending in a spike of whorls of small purple florets."""
    purple = pick(rng, [(128, 92, 186), (144, 104, 204), (108, 84, 176), (150, 118, 196)], 7)
    green = mix(pick(rng, GREENS), (150, 164, 140), 0.5)
    count = int(rng.integers(4, 8))
    for k in rng.permutation(count):
        lean = (k - (count - 1) / 2) / count + rng.normal(0, 0.05)
        top = pose.centre + pose.size * complex(
            1.5 * lean, -1.0 + abs(lean) * 0.5 + rng.normal(0, 0.12)
        )
        foot = complex(
            pose.centre.real + pose.size * lean * 0.35,
            max(canvas.height + 0.05, pose.centre.imag + pose.size),
        )
        spine = bend(
            foot,
            complex(
                (foot.real + top.real) / 2 - pose.size * lean * 0.2, (foot.imag + top.imag) / 2
            ),
            top,
            30,
        )
        canvas.ribbon(
            spine, np.full(30, 0.016 * pose.size), Paint(shade(green, 0.8), green, 0.75), 2
        )
        spike(canvas, rng, top, spine[-2] - top, pose.size, purple)


def spike(
    canvas: Canvas, rng: Rng, top: complex, down: complex, size: float, purple: Colour
) -> None:
    """The flowering end of one lavender stem, painted from below upwards."""
    down = down / abs(down)
    whorls = int(rng.integers(8, 12))
    for w in reversed(range(whorls)):
        gap = 0.02 * max(0, w - whorls + 3)
        middle = top + down * size * (0.1 * w + gap)
        reach = size * (0.045 + 0.07 * min(1.0, (w + 0.6) / 3.5))
        canvas.ribbon(
            bend(middle, middle - down * reach, middle - down * reach * 1.9, 6),
            reach * 0.6 * taper(6, 0.4, 0.5),
            Paint(shade(purple, 0.55), shade(purple, 0.8), 0.8),
            2,
        )
        for k in rng.permutation(7):
            way = -down * turn((k - 3) * 0.42 + rng.normal(0, 0.1))
            tint = shade(mix(purple, (214, 190, 250), rng.uniform(0, 0.5)), rng.uniform(0.75, 1.1))
            canvas.ribbon(
                bend(middle, middle + way * reach * 0.6, middle + way * reach * 1.25, 6),
                reach * 0.3 * taper(6, 0.5, 0.35),
                Paint(shade(tint, 0.7), tint, 0.85),
                2,
            )
