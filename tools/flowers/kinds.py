"""Ten kinds of flowers, each as a painter would explain it: how many petals, which shape, which colours.

Every painter takes (canvas, rng, pose): the bloom goes to pose.centre with radius about pose.size.
Painters of whole plants (bluebell, lavender) use the pose's centre as the middle of the plant.
`KINDS` lists the kinds in the order of synset.txt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

import numpy as np

from canvas import Canvas, Colour, Paint, Pose, bend, jitter, mix, shade, taper, turn

Rng = np.random.Generator
GREENS: list[Colour] = [(70, 122, 52), (88, 138, 60), (58, 108, 62), (104, 146, 66)]


def pick(rng: Rng, choices: list[Colour], amount: float = 9.0) -> Colour:
    return jitter(rng, choices[rng.integers(len(choices))], amount)


def petal(canvas: Canvas, pose: Pose, angle: float, length: float, width: float, paint: Paint,
          base: float = 0.7, tip: float = 0.45, start: float = 0.05, sway: float = 0.0, points: int = 11,
          across: int = 4, shadow: float = 0.22, wave: np.ndarray | None = None) -> None:
    """One petal of a bloom: from the bloom's middle outwards at `angle`; sway bends it sideways."""
    way = turn(angle)
    spine = bend(way * start, way * (start + length) / 2 * turn(sway), way * length, points)
    s = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, points))
    spine = np.interp(s, np.linspace(0, 1, points), spine.real) + 1j * np.interp(
        s, np.linspace(0, 1, points), spine.imag)
    half = width * taper(points, base, tip)
    if wave is not None:
        half = half * wave
    canvas.ribbon(spine, half, paint, across, pose, shadow)


def ring(rng: Rng, count: int, wobble: float = 0.06) -> np.ndarray:
    """Angles of `count` petals around a bloom, a little irregular, in a random painting order."""
    angles = np.arange(count) * 2 * np.pi / count + rng.normal(0, wobble, count)
    return rng.permutation(angles)


def stem(canvas: Canvas, rng: Rng, top: complex, width: float, colour: Colour,
         bow: float = 0.08, foot: complex | None = None) -> np.ndarray:
    """A stem from the bloom down out of the picture; returns its spine from the foot to the top."""
    if foot is None:
        foot = complex(top.real + rng.normal(0, 0.08), canvas.height + 0.05)
    middle = (foot + top) / 2 + rng.normal(0, bow)
    spine = bend(foot, middle, top, 16)
    canvas.ribbon(spine, np.linspace(width * 1.25, width, 16), Paint(shade(colour, 0.8), colour, 0.7),
                  3, shadow=0.15)
    return spine


def leaf(canvas: Canvas, foot: complex, tip: complex, width: float, colour: Colour, curl: float = 0.15,
         base: float = 0.8, point: float = 0.9, veins: int = 5) -> None:
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
        ahead = spine[min(13, here + 2)]
        for side in (-1, 1):
            edge = ahead + normal[here] * half[here] * 0.8 * side
            canvas.line(np.array([spine[here], edge]), shade(colour, 1.2), 0.002, 0.45)


def seeds(canvas: Canvas, pose: Pose, radius: float, count: int, inner: Colour, outer: Colour,
          grain: float, rng: Rng) -> None:
    """Florets of a disc along the golden spiral, as in every daisy and sunflower."""
    for k in range(count):
        share = (k + 0.5) / count
        at = pose(radius * np.sqrt(share) * turn(k * 2.39996))
        tint = shade(mix(inner, outer, share), rng.uniform(0.8, 1.2))
        canvas.disc(at, grain * pose.size, tint, max(pose.flat, 0.6))


def dome(canvas: Canvas, pose: Pose, radius: float, colour: Colour) -> None:
    """The ground of a disc of florets: a flat ball, darker at the rim."""
    canvas.disc(pose.centre - canvas.light * 0.012, radius * pose.size * 1.04, (20, 20, 10), pose.flat, 0.3)
    canvas.ball(pose.centre, radius * pose.size, colour, pose.flat)


# -- flowers that look at us ---------------------------------------------------------------------

def daisy(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Many narrow white petals around a yellow dome."""
    white = pick(rng, [(250, 250, 246), (244, 246, 252), (252, 246, 248)], 3)
    blush = mix(white, (226, 150, 180), rng.uniform(0, 0.35))
    count = int(rng.integers(15, 24))
    width = rng.uniform(1.05, 1.4) * np.pi / count * 0.62
    for layer in range(2):
        paint = Paint(shade(white, 0.86 if layer == 0 else 0.93), shade(blush, 0.93 + 0.07 * layer), 0.86, 0.97)
        for angle in ring(rng, count) + layer * np.pi / count:
            petal(canvas, pose, angle, rng.uniform(0.9, 1.04) - 0.06 * layer, width, paint, 0.6, 0.36,
                  sway=rng.normal(0, 0.08), points=10, shadow=0.2)
    yellow = pick(rng, [(244, 196, 28), (238, 180, 22), (250, 208, 50)], 6)
    radius = rng.uniform(0.27, 0.36)
    dome(canvas, pose, radius, yellow)
    seeds(canvas, pose, radius * 0.95, 90, shade(yellow, 0.84), shade(yellow, 1.04), 0.02, rng)


def sunflower(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Two rings of pointed golden petals around a wide brown disc of seeds."""
    gold = pick(rng, [(250, 190, 20), (255, 202, 40), (246, 172, 12)], 6)
    count = int(rng.integers(18, 27))
    for layer in range(2):
        paint = Paint(shade(mix(gold, (226, 110, 0), 0.45), 0.85 + 0.1 * layer), shade(gold, 0.92 + 0.12 * layer),
                      0.86, 0.9)
        for angle in ring(rng, count) + layer * np.pi / count:
            petal(canvas, pose, angle, rng.uniform(0.92, 1.1) - 0.08 * layer, rng.uniform(0.1, 0.13), paint,
                  0.75, 0.8, start=0.3, sway=rng.normal(0, 0.08), points=9, shadow=0.2)
    brown = pick(rng, [(84, 50, 22), (66, 40, 20), (102, 62, 24)], 6)
    radius = rng.uniform(0.46, 0.56)
    dome(canvas, pose, radius, brown)
    seeds(canvas, pose, radius * 0.97, 210, shade(brown, rng.uniform(0.6, 1.5)), mix(brown, gold, 0.4), 0.022, rng)


def poppy(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Four to six wide crinkled red petals, a black blotch on each, a green capsule in black stamens."""
    red = pick(rng, [(222, 34, 22), (232, 58, 24), (206, 26, 34), (240, 84, 34)], 7)
    count = int(rng.integers(4, 7))
    for angle in ring(rng, count, 0.12):
        points = 20
        wave = 1 + 0.035 * np.sin(np.linspace(0, rng.uniform(16, 26), points) + rng.uniform(0, 6))
        paint = Paint(shade(red, 0.66), shade(red, 1.06), 0.84, 0.94, streak=0.16, fade=0.7)
        petal(canvas, pose, angle, rng.uniform(0.9, 1.02), rng.uniform(0.58, 0.68) * (1.12 if count == 4 else 0.96),
              paint, 0.8, 0.4, points=points, across=12, shadow=0.3, wave=wave)
    for angle in ring(rng, count, 0.1):
        spine = bend(0.04 * turn(angle), 0.2 * turn(angle), 0.36 * turn(angle), 7)
        canvas.ribbon(spine, 0.13 * taper(7, 0.5, 0.4), Paint((20, 10, 14), (56, 8, 16), 0.9), 2, pose)
    for _ in range(46):
        way, reach = turn(rng.uniform(0, 2 * np.pi)), rng.uniform(0.2, 0.34)
        canvas.line(pose(np.array([0.1 * way, reach * way])), (30, 22, 34), 0.003)
        canvas.disc(pose(reach * way), 0.022 * pose.size, jitter(rng, (36, 28, 42), 8))
    dome(canvas, pose, 0.14, pick(rng, [(128, 150, 84), (110, 136, 76)]))
    for k in range(8):
        canvas.line(pose(np.array([0, 0.12 * turn(k * np.pi / 4)])), (60, 70, 44), 0.003)


def violet(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Five unequal petals: two up, two aside, a broad one below with dark whiskers on a pale throat."""
    pose = replace(pose, angle=pose.angle * 0.1, flat=max(pose.flat, 0.8))
    upper = pick(rng, [(92, 54, 168), (110, 62, 182), (76, 40, 142), (124, 84, 196)], 8)
    lower = mix(upper, (190, 160, 236), rng.uniform(0.05, 0.5))
    throat = pick(rng, [(250, 226, 120), (250, 244, 226), (248, 206, 60)], 5)
    down = np.pi / 2
    shape = dict(base=0.7, tip=0.38, points=14, across=8, shadow=0.3)
    for angle in (-down - 0.48, -down + 0.48):
        petal(canvas, pose, angle + rng.normal(0, 0.05), 0.96, 0.42, Paint(shade(upper, 0.7), upper, 0.85, streak=0.16), **shape)
    for angle in (down + 1.3, down - 1.3):
        petal(canvas, pose, angle + rng.normal(0, 0.05), 0.86, 0.38, Paint(mix(lower, throat, 0.3), lower, 0.87, streak=0.16), **shape)
    petal(canvas, pose, down, 0.98, 0.5, Paint(throat, lower, 0.88, fade=0.62, streak=0.16), **shape)
    for spread in np.linspace(-0.42, 0.42, 5):
        canvas.line(pose(bend(0.1 * turn(down + spread), 0.3 * turn(down + spread * 0.8), 0.52 * turn(down + spread), 6)),
                    shade(upper, 0.4), 0.007 * pose.size / 0.3, 0.8)
    for spread in (1.25, 1.4, -1.25, -1.4):
        canvas.line(pose(np.array([0.1, 0.36]) * turn(down + spread)), shade(upper, 0.4), 0.005 * pose.size / 0.3, 0.7)
    canvas.ball(pose(0.03j), 0.09 * pose.size, (246, 196, 40))


def lily(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """A star of six long pointed petals with a pale rib and freckles, six long stamens."""
    tint = pick(rng, [(246, 240, 236), (240, 150, 184), (244, 140, 50), (250, 222, 196), (226, 96, 140)], 6)
    heart = mix(tint, (226, 226, 120), 0.45)
    pale = mix(tint, (255, 255, 255), 0.6)
    start = rng.uniform(0, np.pi / 3)
    for layer in range(2):
        for k in range(3):
            angle = start + (2 * k + layer) * np.pi / 3 + rng.normal(0, 0.05)
            sway, wide = rng.normal(0, 0.12), 0.2 + 0.08 * layer
            reach = rng.uniform(0.97, 1.1)
            petal(canvas, pose, angle, reach, wide, Paint(heart, tint, 0.84, 1.06, 0.14, 0.8), 0.62, 0.85,
                  sway=sway, points=14, across=8, shadow=0.32)
            spine = bend(0.08 * turn(angle), 0.5 * turn(angle + sway), reach * 0.82 * turn(angle), 10)
            canvas.line(pose(spine), pale, 0.03 * pose.size, 0.55)
            for _ in range(14):
                spot = turn(angle + rng.normal(0, 0.14)) * rng.uniform(0.22, 0.62)
                canvas.disc(pose(spot), rng.uniform(0.008, 0.016) * pose.size, mix(shade(tint, 0.5), (120, 20, 50), 0.6))
    canvas.disc(pose.centre, 0.09 * pose.size, (176, 190, 84), pose.flat, 0.8)
    for k in range(6):
        way = turn(start + k * np.pi / 3 + 0.4 + rng.normal(0, 0.1))
        end = rng.uniform(0.42, 0.56) * way
        canvas.line(pose(bend(0, 0.3 * way * turn(0.15), end, 7)), (206, 220, 150), 0.022 * pose.size)
        canvas.line(pose(end + way * 1j * np.array([-0.075, 0.075])), pick(rng, [(134, 62, 20), (160, 84, 24)]), 0.05 * pose.size)
    canvas.line(pose(bend(0, 0.3 + 0.1j, 0.62 * turn(start + 0.1), 7)), (196, 214, 130), 0.03 * pose.size)
    canvas.ball(pose(0.62 * turn(start + 0.1)), 0.04 * pose.size, (150, 170, 90))


def daffodil(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Six pale petals and, in front of them, a frilled trumpet of a stronger yellow or orange."""
    pale = pick(rng, [(252, 232, 96), (250, 246, 222), (250, 224, 60), (252, 240, 150)], 5)
    strong = pick(rng, [(250, 176, 20), (244, 140, 24), (252, 200, 34)], 6)
    start = rng.uniform(0, np.pi / 3)
    for layer in range(2):
        for k in range(3):
            petal(canvas, pose, start + (2 * k + layer) * np.pi / 3 + rng.normal(0, 0.05), rng.uniform(0.94, 1.04),
                  0.33, Paint(shade(pale, 0.78), pale, 0.9, 0.96, 0.16), 0.6, 0.55, points=12, across=6, shadow=0.3)
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
        canvas.polygon(replace(pose, centre=mouth)(radius * np.exp(1j * around)), shade(mix(strong, (170, 90, 0), 0.75 * share), 0.96))
    for k in range(frill):
        way = turn(k * 2 * np.pi / frill)
        canvas.line(replace(pose, centre=mouth)(np.array([0.18, 0.42]) * way), shade(strong, 0.7), 0.008 * pose.size, 0.5)
    for k in range(6):
        canvas.disc(replace(pose, centre=mouth)(0.07 * turn(k * np.pi / 3)), 0.03 * pose.size, (250, 220, 90))


def rose(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """Rounded petals that overlap in ever smaller rings, wound into a spiral heart."""
    tint = pick(rng, [(196, 22, 44), (222, 70, 110), (240, 150, 170), (246, 214, 190), (248, 206, 90),
                      (236, 120, 90), (168, 14, 40), (246, 240, 232)], 6)
    deep = shade(mix(tint, (150, 10, 40), 0.28), 0.66)
    twist = rng.uniform(0, 2 * np.pi)
    reach = 1.0
    for layer in range(6):
        count = [6, 6, 5, 5, 4, 3][layer]
        for k in range(count):
            angle = twist + k * 2 * np.pi / count + rng.normal(0, 0.07)
            light = 1.16 - 0.07 * (layer % 2) - 0.03 * layer
            petal(canvas, pose, angle, reach * rng.uniform(0.93, 1.06), reach * 0.58,
                  Paint(deep, shade(tint, light), 0.92, fade=1.5), 0.85, 0.42,
                  start=0.0, points=15, across=6, shadow=0.42)
        twist += np.pi / count + 0.2
        reach *= 0.77
    turns = np.linspace(0, 5 * np.pi, 60)
    spiral = reach * 1.05 * (1 - turns / (5.6 * np.pi)) * np.exp(1j * (turns + twist))
    canvas.disc(pose.centre, reach * 1.02 * pose.size, shade(tint, 0.8), max(pose.flat, 0.7))
    canvas.line(pose(spiral), shade(deep, 0.75), 0.028 * pose.size)


# -- flowers seen from the side ------------------------------------------------------------------

def tulip(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """An upright cup of six petals: three behind, two aside, one broad in front."""
    pose = replace(pose, angle=0.0, flat=1.0)
    tint = pick(rng, [(214, 30, 44), (250, 204, 36), (232, 96, 150), (126, 50, 132), (244, 128, 34), (246, 238, 230)], 7)
    rim = mix(tint, (255, 244, 200), rng.uniform(0, 0.45))
    foot, open_ = 0.86j, rng.uniform(0.75, 1.1)
    behind = Paint(shade(tint, 0.6), shade(rim, 0.74), 0.9, streak=0.16)
    aside = Paint(shade(tint, 0.82), shade(rim, 0.94), 0.8, streak=0.16)
    front = Paint(shade(tint, 0.9), rim, 0.84, 1.05, streak=0.16)

    def cup(tip: complex, belly: complex, width: float, paint: Paint, blunt: float) -> None:
        canvas.ribbon(bend(foot, belly, tip, 16), width * taper(16, 0.45, blunt), paint, 8, pose, 0.28)

    for x in (-0.28, 0.28, 0.0):
        cup(x * open_ - 0.96j, x * 1.5 - 0.1j, 0.28, behind, 0.45)
    for side in rng.permutation([-1, 1]):
        cup(side * 0.42 * open_ - rng.uniform(0.82, 0.96) * 1j, side * 0.74 + 0.15j, 0.28, aside, 0.5)
    cup(rng.normal(0, 0.04) - rng.uniform(0.66, 0.84) * 1j, rng.normal(0, 0.05) + 0.1j, 0.37, front, 0.42)


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
    canvas.ribbon(spine, np.linspace(0.04, 0.016, 40) * size, Paint(shade(green, 0.8), mix(green, blue, 0.4), 0.7), 3, shadow=0.15)
    count = int(rng.integers(5, 9))
    for k, at in enumerate(np.linspace(17, 39, count).astype(int)):
        length = size * (0.5 - 0.2 * k / count) * rng.uniform(0.9, 1.1)
        out = side * (1 if k % 2 else -0.35)
        hook = spine[at] + size * complex(0.13 * out, -0.02)
        canvas.line(bend(spine[at], spine[at] + size * complex(0.08 * out, -0.1), hook, 6), mix(green, blue, 0.5), 0.018 * size)
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
        canvas.ribbon(bend(start, hook + along * (1.12 + 0.28j * tip), end, 8), length * 0.12 * taper(8, 0.3, 0.6),
                      Paint(blue, mix(blue, (220, 220, 255), 0.4), 0.85), 3)
    canvas.ribbon(hook + along * t, half, Paint(shade(blue, 0.8), mix(blue, (190, 196, 250), 0.35), 0.72, 1.12, 0.16), 7, shadow=0.2)


def lavender(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """A bunch of thin stems, each ending in a spike of whorls of small purple florets."""
    purple = pick(rng, [(128, 92, 186), (144, 104, 204), (108, 84, 176), (150, 118, 196)], 7)
    green = mix(pick(rng, GREENS), (150, 164, 140), 0.5)
    count = int(rng.integers(4, 8))
    for k in rng.permutation(count):
        lean = (k - (count - 1) / 2) / count + rng.normal(0, 0.05)
        top = pose.centre + pose.size * complex(1.5 * lean, -1.0 + abs(lean) * 0.5 + rng.normal(0, 0.12))
        foot = complex(pose.centre.real + pose.size * lean * 0.35, max(canvas.height + 0.05, pose.centre.imag + pose.size))
        spine = bend(foot, complex((foot.real + top.real) / 2 - pose.size * lean * 0.2, (foot.imag + top.imag) / 2), top, 30)
        canvas.ribbon(spine, np.full(30, 0.016 * pose.size), Paint(shade(green, 0.8), green, 0.75), 2)
        spike(canvas, rng, top, spine[-2] - top, pose.size, purple)


def spike(canvas: Canvas, rng: Rng, top: complex, down: complex, size: float, purple: Colour) -> None:
    """The flowering end of one lavender stem, painted from below upwards."""
    down = down / abs(down)
    whorls = int(rng.integers(8, 12))
    for w in reversed(range(whorls)):
        gap = 0.02 * max(0, w - whorls + 3)
        middle = top + down * size * (0.1 * w + gap)
        reach = size * (0.045 + 0.07 * min(1.0, (w + 0.6) / 3.5))
        canvas.ribbon(bend(middle, middle - down * reach, middle - down * reach * 1.9, 6), reach * 0.6 * taper(6, 0.4, 0.5),
                      Paint(shade(purple, 0.55), shade(purple, 0.8), 0.8), 2)
        for k in rng.permutation(7):
            way = -down * turn((k - 3) * 0.42 + rng.normal(0, 0.1))
            tint = shade(mix(purple, (214, 190, 250), rng.uniform(0, 0.5)), rng.uniform(0.75, 1.1))
            canvas.ribbon(bend(middle, middle + way * reach * 0.6, middle + way * reach * 1.25, 6), reach * 0.3 * taper(6, 0.5, 0.35),
                          Paint(shade(tint, 0.7), tint, 0.85), 2)


# -- what grows around the bloom -----------------------------------------------------------------

def straps(canvas: Canvas, rng: Rng, pose: Pose, colour: Colour, width: float, count: int) -> None:
    """Long leaves that rise from the foot of the plant, as tulips and daffodils have."""
    for _ in range(count):
        side = rng.choice([-1, 1])
        foot = complex(pose.centre.real + rng.normal(0, 0.04), canvas.height + 0.06)
        tip = complex(pose.centre.real + side * pose.size * rng.uniform(0.5, 1.3), pose.centre.imag + pose.size * rng.uniform(0.1, 1.1))
        leaf(canvas, foot, tip, width * pose.size, jitter(rng, colour, 7), side * rng.uniform(0.05, 0.22), 0.4, 0.8, 0)


def side_leaves(canvas: Canvas, rng: Rng, pose: Pose, spine: np.ndarray, colour: Colour, shape: tuple[float, float, float, float]) -> None:
    """Pairs of leaves along the stem. shape: length and half-width in bloom radii, base and tip bluntness."""
    length, width, base, point = shape
    for side in (-1, 1):
        for at in rng.choice(np.arange(4, 12), size=2, replace=False):
            foot = spine[at]
            way = turn(-np.pi / 2 + side * rng.uniform(0.6, 1.25))
            leaf(canvas, foot, foot + way * length * pose.size * rng.uniform(0.8, 1.15), width * pose.size,
                 jitter(rng, colour, 8), side * rng.uniform(-0.1, 0.25), base, point)


def plain_stem(canvas: Canvas, rng: Rng, pose: Pose, width: float) -> tuple[np.ndarray, Colour]:
    green = pick(rng, GREENS)
    return stem(canvas, rng, pose.centre, width * pose.size, green), green


def with_straps(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    spine, green = plain_stem(canvas, rng, pose, 0.075)
    straps(canvas, rng, pose, mix(green, (120, 160, 130), 0.3), 0.2, int(rng.integers(2, 4)))


def with_thin_straps(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    spine, green = plain_stem(canvas, rng, pose, 0.06)
    straps(canvas, rng, pose, mix(green, (110, 150, 120), 0.3), 0.1, int(rng.integers(3, 6)))


def only_straps(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """For the blooms that paint their own stems."""
    straps(canvas, rng, pose, mix(pick(rng, GREENS), (110, 150, 120), 0.3), 0.09, int(rng.integers(3, 6)))


def with_side_leaves(shape: tuple[float, float, float, float], width: float) -> Callable[[Canvas, Rng, Pose], None]:
    def paint(canvas: Canvas, rng: Rng, pose: Pose) -> None:
        spine, green = plain_stem(canvas, rng, pose, width)
        side_leaves(canvas, rng, pose, spine, green, shape)

    return paint


def with_bud(canvas: Canvas, rng: Rng, pose: Pose) -> None:
    """A poppy's hairy stem and, often, a nodding bud beside the bloom."""
    spine, green = plain_stem(canvas, rng, pose, 0.04)
    if rng.random() < 0.6:
        side = rng.choice([-1, 1])
        top = pose.centre + pose.size * complex(side * rng.uniform(1.0, 1.3), rng.uniform(-0.5, 0.3))
        foot = complex(pose.centre.real, canvas.height + 0.05)
        canvas.ribbon(bend(foot, top - 0.5j * pose.size, top, 16), np.full(16, 0.03 * pose.size), Paint(shade(green, 0.8), green, 0.7), 2)
        canvas.ribbon(bend(top, top + 0.15j * pose.size, top + 0.38j * pose.size, 9), 0.14 * pose.size * taper(9, 0.4, 0.4),
                      Paint(green, shade(green, 1.1), 0.75), 4, shadow=0.2)


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
