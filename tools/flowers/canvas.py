"""A small painter for petals, leaves and stems.

Points are complex numbers (x right, y down) in units of the picture's short side, so that one
drawing works at every picture size. The one shape that matters is the *ribbon*: a bent spine with a
width and a grid of colours. Petals, leaves, stems and trumpets are all ribbons. The picture is
painted larger than it will be and shrunk at the end, which is what makes the edges smooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[float, float, float]
Rng = np.random.Generator


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` of the way from `first` to `second`."""
    return tuple(a + (b - a) * share for a, b in zip(first, second))


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor < 1) or lighter, within 0..255."""
    return tuple(min(255.0, max(0.0, c * factor)) for c in colour)


def jitter(rng: Rng, colour: Colour, amount: float = 12.0) -> Colour:
    """A colour near `colour`: no two flowers of a meadow are dyed from one pot."""
    return tuple(float(np.clip(c + rng.normal(0, amount), 0, 255)) for c in colour)


def pick(rng: Rng, choices: list[Colour], amount: float = 9.0) -> Colour:
    """One of the colours, jittered."""
    return jitter(rng, choices[rng.integers(len(choices))], amount)


def turn(radians: float) -> complex:
    """The unit vector at an angle; multiplying by it rotates."""
    return complex(np.cos(radians), np.sin(radians))


def bend(start: complex, middle: complex, end: complex, points: int = 12) -> np.ndarray:
    """A quadratic curve from `start` to `end`, drawn towards `middle`."""
    t = np.linspace(0, 1, points)
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end


def taper(points: int, base: float, tip: float) -> np.ndarray:
    """Half-width along a petal, at most 1: t^base * (1-t)^tip.

    Small exponents are blunt ends, 1 is a pointed end.
    """
    t = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, points))
    width = t**base * (1 - t) ** tip
    return width / width.max()


@dataclass(frozen=True)
class Pose:
    """Where a bloom sits, how large it is, how it is turned, and how far it is tilted away.

    `flat` is the height of a circle seen at this tilt: 1 looks straight at us, 0.4 sideways.
    `angle` turns the bloom before it is tilted, `lean` after.
    """

    centre: complex
    size: float
    angle: float = 0.0
    flat: float = 1.0
    lean: float = 0.0

    def __call__(self, points: np.ndarray | complex) -> np.ndarray | complex:
        turned = points * turn(self.angle)
        tilted = np.real(turned) + 1j * np.imag(turned) * self.flat
        return self.centre + self.size * tilted * turn(self.lean)


@dataclass(frozen=True)
class Paint:
    """The colours of a ribbon: from base to tip, towards its edges, and along its middle."""

    base: Colour
    tip: Colour
    edge: float = 0.86  # brightness at the edges
    rib: float = 1.0  # brightness of the middle line
    streak: float = 0.0  # opacity of fine lines along it
    fade: float = 1.0  # > 1: the base colour reaches further


class Canvas:
    """A picture being painted. `light` is the direction that light comes from."""

    def __init__(self, image: Image.Image, unit: float, light: complex) -> None:
        self.image = image
        self.unit = unit
        self.light = light
        self.pen = ImageDraw.Draw(image, "RGBA")  # blends
        self.solid = ImageDraw.Draw(image)  # replaces: twice as fast, for the many quads

    @property
    def width(self) -> float:
        return self.image.width / self.unit

    @property
    def height(self) -> float:
        return self.image.height / self.unit

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        return np.stack([np.real(points), np.imag(points)], axis=-1) * self.unit

    def polygon(self, points: np.ndarray, colour: Colour, alpha: float = 1.0) -> None:
        fill = (*(int(c) for c in colour), int(alpha * 255))
        self.pen.polygon(self._pixels(points).ravel().tolist(), fill=fill)

    def line(self, points: np.ndarray, colour: Colour, width: float, alpha: float = 1.0) -> None:
        fill = (*(int(c) for c in colour), int(alpha * 255))
        pixels = max(1, round(width * self.unit))
        self.pen.line(self._pixels(points).ravel().tolist(), fill=fill, width=pixels, joint="curve")

    def disc(
        self, centre: complex, radius: float, colour: Colour, flat: float = 1.0, alpha: float = 1.0
    ) -> None:
        x, y = centre.real * self.unit, centre.imag * self.unit
        rx, ry = radius * self.unit, radius * flat * self.unit
        fill = (*(int(c) for c in colour), int(alpha * 255))
        self.pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)

    def ball(self, centre: complex, radius: float, colour: Colour, flat: float = 1.0) -> None:
        """A disc that looks round: dark rim, and lighter towards the light."""
        for step in range(6):
            share = step / 5
            self.disc(
                centre + self.light * radius * 0.35 * share,
                radius * (1 - 0.75 * share),
                shade(colour, 0.72 + 0.5 * share),
                flat,
            )

    def ribbon(
        self,
        spine: np.ndarray,
        half: np.ndarray,
        paint: Paint,
        across: int = 4,
        pose: Pose | None = None,
        shadow: float = 0.0,
    ) -> None:
        """Paints a ribbon. spine: (n,) complex; half: (n,) half-widths, in the spine's units."""
        along = np.gradient(spine)
        normal = 1j * along / np.maximum(np.abs(along), 1e-9)
        u = np.linspace(-1, 1, across + 1)
        grid = spine[:, None] + normal[:, None] * half[:, None] * u[None, :]
        if pose is not None:
            grid = pose(grid)
        outline = np.concatenate([grid[:, 0], grid[::-1, -1]])
        if shadow > 0:
            self.polygon(outline - self.light * 0.012, (10, 14, 10), shadow)
        colours = self._colours(grid, paint)
        quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1)
        rows = len(spine) - 1
        corners = self._pixels(quads).reshape(quads.shape[0], quads.shape[1], 8).tolist()
        for row, tints in zip(corners, colours):
            for quad, tint in zip(row, tints):
                self.solid.polygon(quad, fill=(tint[0], tint[1], tint[2]))
        dark = shade(mix(paint.base, paint.tip, 0.5), 0.55)
        if paint.streak > 0:
            for column in range(1, across):
                reach = 1 + rows * (3 if column % 2 else 4) // 5
                self.line(grid[1:reach, column], dark, 0.0015, paint.streak)
        self.line(np.append(outline, outline[0]), dark, 0.0016, 0.35)

    def _colours(self, grid: np.ndarray, paint: Paint) -> list:
        """Colour of each quad of a ribbon's grid: (n-1, across, 3) whole numbers."""
        rows, across = grid.shape[0] - 1, grid.shape[1] - 1
        t = ((np.arange(rows) + 0.5) / rows)[:, None] ** paint.fade
        u = ((np.arange(across) + 0.5) / across * 2 - 1)[None, :]
        normal = grid[:-1, -1] - grid[:-1, 0]
        normal = normal / np.maximum(np.abs(normal), 1e-9)
        side = np.real(normal * np.conj(self.light))[:, None]  # +1: the right edge faces the light
        bright = 1 - (1 - paint.edge) * np.abs(u) ** 2 + 0.13 * side * u
        bright = bright * (1 + (paint.rib - 1) * np.exp(-((u / 0.3) ** 2)))
        base, tip = np.array(paint.base), np.array(paint.tip)
        colour = base + (tip - base) * t[:, :, None]
        return np.clip(colour * bright[:, :, None], 0, 255).astype(int).tolist()
