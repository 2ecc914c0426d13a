"""A whole picture: background, one to three plants, what hides them, light, lens.

`render` is a pure function of (kind, seed, size): the same three give the same pixels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from canvas import Canvas, Colour, Paint, Pose, Rng, bend, jitter, mix, pick, shade, taper
from greenery import GREENS
from kinds import KINDS, Kind

OVERSIZE = 2  # painted this much larger than asked for, then shrunk: smooth edges
SIDES = ("bluebell", "lavender", "tulip")  # blooms that keep upright


def gradient(width: int, height: int, stops: list[Colour]) -> np.ndarray:
    """(height, width, 3) floats, from the first colour at the top to the last at the bottom."""
    at = np.linspace(0, 1, len(stops))
    column = np.stack(
        [np.interp(np.linspace(0, 1, height), at, [s[c] for s in stops]) for c in range(3)], -1
    )
    return np.repeat(column[:, None, :], width, axis=1)


def blots(
    rng: Rng,
    picture: np.ndarray,
    count: int,
    colours: list[Colour],
    radius: tuple[float, float],
    strength: tuple[float, float],
    soft: float,
) -> None:
    """Adds soft-edged discs in place: what leaves and lights become when they are out of focus."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    for _ in range(count):
        r = rng.uniform(*radius) * min(width, height)
        away = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height)) / r
        share = np.clip((1 - away) / soft, 0, 1)[:, :, None] * rng.uniform(*strength)
        picture += (np.array(pick(rng, colours, 14)) - picture) * share


def background(rng: Rng, width: int, height: int) -> Image.Image:
    """One of five settings, painted small and enlarged: it is out of focus anyway."""
    small_w, small_h = max(8, width // 8), max(8, height // 8)
    setting = rng.choice(["meadow", "foliage", "dusk", "studio", "sky"])
    greens = [jitter(rng, g, 14) for g in GREENS]
    sky = pick(rng, [(168, 206, 236), (206, 226, 240), (140, 186, 228), (240, 224, 196)], 8)
    if setting == "meadow":
        picture = gradient(
            small_w, small_h, [sky, mix(sky, greens[0], 0.4), greens[0], shade(greens[1], 0.75)]
        )
        blots(rng, picture, 26, greens, (0.05, 0.22), (0.2, 0.6), 0.8)
        blots(
            rng,
            picture,
            6,
            [(250, 250, 230), (240, 200, 90), (220, 150, 180)],
            (0.015, 0.04),
            (0.2, 0.5),
            0.6,
        )
    elif setting == "foliage":
        picture = gradient(small_w, small_h, [shade(greens[0], 0.75), shade(greens[1], 0.5)])
        blots(
            rng,
            picture,
            34,
            [shade(g, f) for g in greens for f in (0.45, 0.8, 1.15)],
            (0.07, 0.3),
            (0.2, 0.6),
            0.7,
        )
        blots(rng, picture, 8, [(226, 240, 190), (250, 250, 220)], (0.03, 0.09), (0.15, 0.4), 0.3)
    elif setting == "dusk":
        low = pick(rng, [(44, 54, 50), (60, 44, 60), (38, 46, 66)], 8)
        picture = gradient(small_w, small_h, [shade(low, 1.5), low, shade(low, 0.6)])
        blots(
            rng,
            picture,
            16,
            [(236, 190, 120), (120, 150, 120), (190, 130, 120)],
            (0.03, 0.12),
            (0.08, 0.3),
            0.25,
        )
    elif setting == "studio":
        wall = pick(
            rng,
            [(226, 220, 210), (206, 216, 222), (232, 214, 210), (190, 200, 190), (122, 132, 140)],
            8,
        )
        picture = gradient(small_w, small_h, [shade(wall, 1.06), wall, shade(wall, 0.84)])
        blots(rng, picture, 3, [shade(wall, 1.1)], (0.4, 0.8), (0.3, 0.7), 1.0)
    else:
        picture = gradient(small_w, small_h, [shade(sky, 0.9), sky, mix(sky, (250, 250, 250), 0.5)])
        blots(rng, picture, 9, [(252, 252, 252)], (0.1, 0.35), (0.2, 0.7), 0.9)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(1.2)).resize(
        (width, height), Image.Resampling.BICUBIC
    )


def blades(canvas: Canvas, rng: Rng, count: int, dark: float, reach: tuple[float, float]) -> None:
    """Blades of grass that rise from the lower edge."""
    for _ in range(count):
        foot = complex(rng.uniform(-0.1, canvas.width + 0.1), canvas.height + 0.05)
        tip = foot + complex(rng.normal(0, 0.15), -rng.uniform(*reach) * canvas.height)
        middle = (foot + tip) / 2 + rng.normal(0, 0.06)
        green = shade(pick(rng, GREENS, 12), dark)
        canvas.ribbon(
            bend(foot, middle, tip, 10),
            rng.uniform(0.008, 0.02) * taper(10, 0.15, 0.8),
            Paint(shade(green, 0.8), green, 0.85),
            2,
        )


def pose_for(rng: Rng, kind: str, canvas: Canvas, size: float, spread: float) -> Pose:
    """Where the bloom goes: near the middle; open kinds are turned and tilted."""
    low, high = KINDS[kind].tilts
    centre = complex(
        canvas.width / 2 + rng.normal(0, spread), canvas.height * 0.46 + rng.normal(0, spread)
    )
    if kind in SIDES:
        return Pose(centre, size)
    return Pose(centre, size, rng.uniform(0, 2 * np.pi), rng.uniform(low, high), rng.normal(0, 0.3))


def plant(canvas: Canvas, rng: Rng, kind: Kind, pose: Pose) -> None:
    kind.greenery(canvas, rng, pose)
    kind.bloom(canvas, rng, pose)


def companions(canvas: Canvas, rng: Rng, name: str) -> None:
    """Further blooms of the same kind, smaller and out of focus, behind the one we look at."""
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        size = rng.uniform(0.1, 0.17)
        pose = pose_for(rng, name, canvas, size, 0.0)
        place = complex(
            rng.uniform(0.05, 0.95) * canvas.width, rng.uniform(0.2, 0.7) * canvas.height
        )
        plant(canvas, rng, KINDS[name], replace(pose, centre=place))


def refocus(canvas: Canvas, radius: float) -> Canvas:
    """The canvas so far, out of focus."""
    blurred = canvas.image.filter(ImageFilter.BoxBlur(radius * canvas.unit))
    return Canvas(blurred, canvas.unit, canvas.light)


def hide_some(canvas: Canvas, rng: Rng) -> None:
    """A leaf or a few blades before the bloom: some pictures only."""
    if rng.random() < 0.3:
        blades(canvas, rng, int(rng.integers(1, 5)), 0.9, (0.4, 0.9))
    if rng.random() < 0.12:
        corner = complex(rng.choice([0.0, canvas.width]), rng.uniform(0, canvas.height))
        tip = corner + (complex(canvas.width, canvas.height) / 2 - corner) * rng.uniform(0.5, 0.75)
        green = shade(pick(rng, GREENS), 0.6)
        canvas.ribbon(
            bend(corner, (corner + tip) / 2 + 0.1j, tip, 12),
            0.12 * taper(12, 0.4, 0.8),
            Paint(shade(green, 0.8), green, 0.8),
            4,
        )


def lens(rng: Rng, image: Image.Image) -> Image.Image:
    """Exposure, colour of the light, its fall-off, softness and grain."""
    if rng.random() < 0.35:
        image = image.filter(
            ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2) * min(image.size) / 320)
        )
    height, width = image.height, image.width
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    fall = (
        1
        - rng.uniform(0, 0.22) * (x * x + y * y) / 2
        + rng.normal(0, 0.06) * x
        + rng.normal(0, 0.05) * y
    )
    warm = rng.normal(0, 0.035)
    tone = rng.uniform(0.84, 1.1) * np.array([1 + warm, 1.0, 1 - warm])
    picture = np.asarray(image, np.float32) * (fall[:, :, None] * tone).astype(np.float32)
    grain = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(0, 5))
    picture = picture + grain[:, :, None]
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def render(kind: str, seed: int, size: tuple[int, int], clear: bool = False) -> Image.Image:
    """A picture of a kind. size: (width, height). `clear` centres the bloom and hides nothing."""
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    width, height = size[0] * OVERSIZE, size[1] * OVERSIZE
    light = complex(rng.choice([-1, 1]) * rng.uniform(0.3, 1), -1)
    canvas = Canvas(background(rng, width, height), min(width, height), light / abs(light))
    companions(canvas, rng, kind)
    if rng.random() < 0.5:
        blades(canvas, rng, int(rng.integers(4, 14)), 0.8, (0.15, 0.5))
    canvas = refocus(canvas, rng.uniform(0.006, 0.016))
    reach = rng.uniform(0.3, 0.38) if clear else rng.uniform(0.2, 0.42)
    pose = pose_for(rng, kind, canvas, reach, 0.02 if clear else 0.06)
    plant(canvas, rng, KINDS[kind], pose)
    if not clear:
        hide_some(canvas, rng)
    return lens(rng, canvas.image.reduce(OVERSIZE))
