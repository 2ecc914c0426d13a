"""Blooms that look at us. Each goes to pose.centre, with a radius of about pose.size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from canvas import Canvas, Paint, Pose, Rng, bend, jitter, mix, pick, shade, taper, turn
from petals import dome, petal, ring, seeds


def daisy(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Many narrow white petals around a yellow dome."""
    white = pick(rng, [(250, 250, 246), (244, 246, 252), (252, 246, 248)], 3)
    blush = mix(white, (226, 150, 180), rng.uniform(0, 0.35))
    count = int(rng.integers(15, 24))
    width = rng.uniform(1.05, 1.4) * np.pi / count * 0.62
    for layer in range(2):
        paint = Paint(
            shade(white, 0.86 if layer == 0 else 0.93),
            shade(blush, 0.93 + 0.07 * layer),
            0.86,
            0.97,
        )
        for angle in ring(rng, count) + layer * np.pi / count:
            petal(
                canvas,
                pose,
                angle,
                rng.uniform(0.9, 1.04) - 0.06 * layer,
                width,
                paint,
                0.6,
                0.36,
                sway=rng.normal(0, 0.08),
                points=10,
                shadow=0.2,
            )
    yellow = pick(rng, [(244, 196, 28), (238, 180, 22), (250, 208, 50)], 6)
    radius = rng.uniform(0.27, 0.36)
    dome(canvas, pose, radius, yellow)
    seeds(canvas, pose, radius * 0.95, 90, shade(yellow, 0.84), shade(yellow, 1.04), 0.02, rng)


def sunflower(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Two rings of pointed golden petals around a wide brown disc of seeds."""
    gold = pick(rng, [(250, 190, 20), (255, 202, 40), (246, 172, 12)], 6)
    count = int(rng.integers(18, 27))
    for layer in range(2):
        paint = Paint(
            shade(mix(gold, (226, 110, 0), 0.45), 0.85 + 0.1 * layer),
            shade(gold, 0.92 + 0.12 * layer),
            0.86,
            0.9,
        )
        for angle in ring(rng, count) + layer * np.pi / count:
            petal(
                canvas,
                pose,
                angle,
                rng.uniform(0.92, 1.1) - 0.08 * layer,
                rng.uniform(0.1, 0.13),
                paint,
                0.75,
                0.8,
                start=0.3,
                sway=rng.normal(0, 0.08),
                points=9,
                shadow=0.2,
            )
    brown = pick(rng, [(84, 50, 22), (66, 40, 20), (102, 62, 24)], 6)
    radius = rng.uniform(0.46, 0.56)
    dome(canvas, pose, radius, brown)
    seeds(
        canvas,
        pose,
        radius * 0.97,
        210,
        shade(brown, rng.uniform(0.6, 1.5)),
        mix(brown, gold, 0.4),
        0.022,
        rng,
    )


def poppy(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Four to six wide crinkled petals, a black blotch on each, a capsule in black stamens."""
    red = pick(rng, [(222, 34, 22), (232, 58, 24), (206, 26, 34), (240, 84, 34)], 7)
    count = int(rng.integers(4, 7))
    for angle in ring(rng, count, 0.12):
        points = 20
        wave = 1 + 0.035 * np.sin(np.linspace(0, rng.uniform(16, 26), points) + rng.uniform(0, 6))
        paint = Paint(shade(red, 0.66), shade(red, 1.06), 0.84, 0.94, streak=0.16, fade=0.7)
        petal(
            canvas,
            pose,
            angle,
            rng.uniform(0.9, 1.02),
            rng.uniform(0.58, 0.68) * (1.12 if count == 4 else 0.96),
            paint,
            0.8,
            0.4,
            points=points,
            across=12,
            shadow=0.3,
            wave=wave,
        )
    for angle in ring(rng, count, 0.1):
        spine = bend(0.04 * turn(angle), 0.2 * turn(angle), 0.36 * turn(angle), 7)
        canvas.ribbon(
            spine, 0.13 * taper(7, 0.5, 0.4), Paint((20, 10, 14), (56, 8, 16), 0.9), 2, pose
        )
    for _ in range(46):
        way, reach = turn(rng.uniform(0, 2 * np.pi)), rng.uniform(0.2, 0.34)
        canvas.line(pose(np.array([0.1 * way, reach * way])), (30, 22, 34), 0.003)
        canvas.disc(pose(reach * way), 0.022 * pose.size, jitter(rng, (36, 28, 42), 8))
    dome(canvas, pose, 0.14, pick(rng, [(128, 150, 84), (110, 136, 76)]))
    for k in range(8):
        canvas.line(pose(np.array([0, 0.12 * turn(k * np.pi / 4)])), (60, 70, 44), 0.003)


def violet(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Five petals: two up, two aside, a broad one below with dark whiskers on a pale throat."""
    pose = replace(pose, angle=pose.angle * 0.1, flat=max(pose.flat, 0.8))
    upper = pick(rng, [(92, 54, 168), (110, 62, 182), (76, 40, 142), (124, 84, 196)], 8)
    lower = mix(upper, (190, 160, 236), rng.uniform(0.05, 0.5))
    throat = pick(rng, [(250, 226, 120), (250, 244, 226), (248, 206, 60)], 5)
    down = np.pi / 2
    shape = dict(base=0.7, tip=0.38, points=20, across=8, shadow=0.3)
    for angle in (-down - 0.48, -down + 0.48):
        petal(
            canvas,
            pose,
            angle + rng.normal(0, 0.05),
            0.96,
            0.42,
            Paint(shade(upper, 0.7), upper, 0.85, streak=0.16),
            **shape,
        )
    for angle in (down + 1.3, down - 1.3):
        petal(
            canvas,
            pose,
            angle + rng.normal(0, 0.05),
            0.86,
            0.38,
            Paint(mix(lower, throat, 0.3), lower, 0.87, streak=0.16),
            **shape,
        )
    petal(
        canvas, pose, down, 0.98, 0.5, Paint(throat, lower, 0.88, fade=0.62, streak=0.16), **shape
    )
    for spread in np.linspace(-0.42, 0.42, 5):
        canvas.line(
            pose(
                bend(
                    0.1 * turn(down + spread),
                    0.3 * turn(down + spread * 0.8),
                    0.52 * turn(down + spread),
                    6,
                )
            ),
            shade(upper, 0.4),
            0.007 * pose.size / 0.3,
            0.8,
        )
    for spread in (1.25, 1.4, -1.25, -1.4):
        canvas.line(
            pose(np.array([0.1, 0.36]) * turn(down + spread)),
            shade(upper, 0.4),
            0.005 * pose.size / 0.3,
            0.7,
        )
    canvas.ball(pose(0.03j), 0.09 * pose.size, (246, 196, 40))


def lily(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """A star of six long pointed petals with a pale rib and freckles, six long stamens."""
    tint = pick(
        rng, [(246, 240, 236), (240, 150, 184), (244, 140, 50), (250, 222, 196), (226, 96, 140)], 6
    )
    heart = mix(tint, (226, 226, 120), 0.45)
    pale = mix(tint, (255, 255, 255), 0.6)
    start = rng.uniform(0, np.pi / 3)
    for layer in range(2):
        for k in range(3):
            angle = start + (2 * k + layer) * np.pi / 3 + rng.normal(0, 0.05)
            sway, wide = rng.normal(0, 0.12), 0.2 + 0.08 * layer
            reach = rng.uniform(0.97, 1.1)
            petal(
                canvas,
                pose,
                angle,
                reach,
                wide,
                Paint(heart, tint, 0.84, 1.06, 0.14, 0.8),
                0.62,
                0.85,
                sway=sway,
                points=14,
                across=8,
                shadow=0.32,
            )
            spine = bend(
                0.08 * turn(angle), 0.5 * turn(angle + sway), reach * 0.82 * turn(angle), 10
            )
            canvas.line(pose(spine), pale, 0.03 * pose.size, 0.55)
            for _ in range(14):
                spot = turn(angle + rng.normal(0, 0.14)) * rng.uniform(0.22, 0.62)
                canvas.disc(
                    pose(spot),
                    rng.uniform(0.008, 0.016) * pose.size,
                    mix(shade(tint, 0.5), (120, 20, 50), 0.6),
                )
    canvas.disc(pose.centre, 0.09 * pose.size, (176, 190, 84), pose.flat, 0.8)
    for k in range(6):
        way = turn(start + k * np.pi / 3 + 0.4 + rng.normal(0, 0.1))
        end = rng.uniform(0.42, 0.56) * way
        canvas.line(
            pose(bend(0, 0.3 * way * turn(0.15), end, 7)), (206, 220, 150), 0.022 * pose.size
        )
        canvas.line(
            pose(end + way * 1j * np.array([-0.075, 0.075])),
            pick(rng, [(134, 62, 20), (160, 84, 24)]),
            0.05 * pose.size,
        )
    canvas.line(
        pose(bend(0, 0.3 + 0.1j, 0.62 * turn(start + 0.1), 7)), (196, 214, 130), 0.03 * pose.size
    )
    canvas.ball(pose(0.62 * turn(start + 0.1)), 0.04 * pose.size, (150, 170, 90))


def daffodil(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Six pale petals and, in front of them, a frilled trumpet of a stronger yellow or orange."""
    pale = pick(rng, [(252, 232, 96), (250, 246, 222), (250, 224, 60), (252, 240, 150)], 5)
    strong = pick(rng, [(250, 176, 20), (244, 140, 24), (252, 200, 34)], 6)
    start = rng.uniform(0, np.pi / 3)
    for layer in range(2):
        for k in range(3):
            petal(
                canvas,
                pose,
                start + (2 * k + layer) * np.pi / 3 + rng.normal(0, 0.05),
                rng.uniform(0.94, 1.04),
                0.33,
                Paint(shade(pale, 0.78), pale, 0.9, 0.96, 0.16),
                0.6,
                0.55,
                points=19,
                across=6,
                shadow=0.3,
            )
    frill = rng.integers(12, 20)
    around = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    mouth = pose.centre + 0.12 * pose.size * (1 - pose.flat) * 1j
    for share in np.linspace(0, 1, 7):
        radius = 0.24 + 0.22 * share
        rim = radius * (1 + 0.07 * share * np.sin(frill * around)) * np.exp(1j * around)
        outline = replace(pose, centre=pose.centre + (mouth - pose.centre) * share)(rim)
        canvas.polygon(outline, shade(strong, 0.78 + 0.26 * share))
    for share in np.linspace(0, 1, 8):
        radius = 0.4 - 0.3 * share
        canvas.polygon(
            replace(pose, centre=mouth)(radius * np.exp(1j * around)),
            shade(mix(strong, (170, 90, 0), 0.75 * share), 0.96),
        )
    for k in range(frill):
        way = turn(k * 2 * np.pi / frill)
        canvas.line(
            replace(pose, centre=mouth)(np.array([0.18, 0.42]) * way),
            shade(strong, 0.7),
            0.008 * pose.size,
            0.5,
        )
    for k in range(6):
        canvas.disc(
            replace(pose, centre=mouth)(0.07 * turn(k * np.pi / 3)),
            0.03 * pose.size,
            (250, 220, 90),
        )


def rose(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Rounded petals that overlap in ever smaller rings, wound into a spiral heart."""
    tint = pick(
        rng,
        [
            (196, 22, 44),
            (222, 70, 110),
            (240, 150, 170),
            (246, 214, 190),
            (248, 206, 90),
            (236, 120, 90),
            (168, 14, 40),
            (246, 240, 232),
        ],
        6,
    )
    deep = shade(mix(tint, (150, 10, 40), 0.28), 0.66)
    twist = rng.uniform(0, 2 * np.pi)
    reach = 1.0
    for layer in range(6):
        count = [6, 6, 5, 5, 4, 3][layer]
        for k in range(count):
            angle = twist + k * 2 * np.pi / count + rng.normal(0, 0.07)
            light = 1.16 - 0.07 * (layer % 2) - 0.03 * layer
            petal(
                canvas,
                pose,
                angle,
                reach * rng.uniform(0.93, 1.06),
                reach * 0.58,
                Paint(deep, shade(tint, light), 0.92, fade=1.5),
                0.85,
                0.42,
                start=0.0,
                points=15,
                across=6,
                shadow=0.42,
            )
        twist += np.pi / count + 0.2
        reach *= 0.77
    turns = np.linspace(0, 5 * np.pi, 60)
    spiral = reach * 1.05 * (1 - turns / (5.6 * np.pi)) * np.exp(1j * (turns + twist))
    canvas.disc(pose.centre, reach * 1.02 * pose.size, shade(tint, 0.8), max(pose.flat, 0.7))
    canvas.line(pose(spiral), shade(deep, 0.75), 0.028 * pose.size)
