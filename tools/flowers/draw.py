#!/usr/bin/env python3
"""Draws pictures of flowers and writes them as photos.

    tools/flowers/draw.py OUT [--count 3] [--seed 0] [--kind rose]   every kind, or one
    tools/flowers/draw.py --sheet sheet.png [--seed 0]               all on one page, to look at
    tools/flowers/draw.py --photos models/flowers/photos             the model's own ten photos

The same arguments give the same pictures. Each folder gets labels.tsv (file, kind).
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from kinds import KINDS
from scene import render

# Seeds decide what a picture is for: training never sees the others.
TRAINING_SEEDS = 0
HELD_OUT_SEEDS = 1_000_000
PHOTO_SEEDS = 2_000_000

# How an upright picture is stored so that a viewer which obeys EXIF turns it upright again.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Photo:
    """One committed photo: its file, kind, seed and how it is stored."""

    name: str
    kind: str
    seed: int
    size: tuple[int, int]
    orientation: int = 1


PHOTOS = [
    Photo("bluebell.jpg", "bluebell", 0, (480, 640)),
    Photo("daffodil.jpg", "daffodil", 0, (640, 480)),
    Photo("daisy-rotated.jpg", "daisy", 0, (480, 640), orientation=6),
    Photo("lavender.jpg", "lavender", 0, (600, 600)),
    Photo("lily.webp", "lily", 0, (560, 700)),
    Photo("poppy.jpg", "poppy", 0, (800, 600)),
    Photo("rose.jpg", "rose", 5, (500, 500)),
    Photo("sunflower-mirrored.jpg", "sunflower", 0, (640, 640), orientation=5),
    Photo("tulip.jpg", "tulip", 4, (480, 640)),
    Photo("violet.png", "violet", 0, (400, 300)),
]


def encode(image: Image.Image, form: str, quality: int = 88, orientation: int = 1) -> bytes:
    """A file of the picture. form: JPEG, PNG or WEBP; orientation: 1..8 as in EXIF, JPEG only."""
    out = io.BytesIO()
    if form == "PNG":
        image.save(out, "PNG", optimize=True)
    elif form == "WEBP":
        image.save(out, "WEBP", quality=quality)
    else:
        exif = Image.Exif()
        if orientation != 1:
            image = image.transpose(STORED[orientation])
            exif[ORIENTATION_TAG] = orientation
        image.save(out, "JPEG", quality=quality, subsampling=2 if quality < 92 else 0, exif=exif)
    return out.getvalue()


def random_size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height as photos have them; most are small, which is quicker to draw."""
    short = int(
        rng.choice(
            [160, 200, 240, 280, 320, 480, 640], p=[0.14, 0.24, 0.24, 0.18, 0.12, 0.05, 0.03]
        )
    )
    ratio = float(rng.choice([1.0, 4 / 3, 3 / 2, 16 / 9], p=[0.3, 0.4, 0.2, 0.1]))
    return (short, int(short * ratio)) if rng.random() < 0.5 else (int(short * ratio), short)


def photograph(kind: str, seed: int, clear: bool = False) -> tuple[bytes, str]:
    """A drawing stored as one of many cameras would: (file, file name ending)."""
    rng = np.random.default_rng([seed, 99])
    image = render(kind, seed, random_size(rng), clear)
    form = str(rng.choice(["JPEG", "PNG", "WEBP"], p=[0.9, 0.05, 0.05]))
    orientation = int(rng.integers(2, 9)) if rng.random() < 0.2 else 1
    ending = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[form]
    return encode(image, form, int(rng.integers(55, 96)), orientation), ending


def write_labels(folder: Path, labels: list[tuple[str, str]]) -> None:
    (folder / "labels.tsv").write_text("".join(f"{name}\t{kind}\n" for name, kind in labels))


def write_pictures(folder: Path, kinds: list[str], count: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = []
    for kind in kinds:
        for k in range(seed, seed + count):
            encoded, ending = photograph(kind, k)
            name = f"{kind}-{k}.{ending}"
            (folder / name).write_bytes(encoded)
            labels.append((name, kind))
    write_labels(folder, labels)


def write_photos(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for photo in PHOTOS:
        image = render(photo.kind, PHOTO_SEEDS + photo.seed, photo.size, clear=True)
        form = {".png": "PNG", ".webp": "WEBP"}.get(Path(photo.name).suffix, "JPEG")
        (folder / photo.name).write_bytes(encode(image, form, 88, photo.orientation))
    write_labels(folder, [(photo.name, photo.kind) for photo in PHOTOS])


def write_sheet(path: Path, seed: int, columns: int = 6, size: int = 220) -> None:
    sheet = Image.new("RGB", (columns * size, len(KINDS) * size))
    for row, kind in enumerate(sorted(KINDS)):
        for column in range(columns):
            sheet.paste(render(kind, seed + column, (size, size)), (column * size, row * size))
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", help="folder for pictures")
    parser.add_argument("--count", type=int, default=3, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=TRAINING_SEEDS)
    parser.add_argument("--kind", choices=sorted(KINDS))
    parser.add_argument("--sheet", type=Path, help="write a contact sheet")
    parser.add_argument("--photos", type=Path, help="write the model's own ten photos")
    options = parser.parse_args()
    if not (options.out or options.sheet or options.photos):
        parser.error("nothing to write: give OUT, --sheet or --photos")
    if options.out:
        write_pictures(
            options.out,
            [options.kind] if options.kind else sorted(KINDS),
            options.count,
            options.seed,
        )
    if options.sheet:
        write_sheet(options.sheet, options.seed)
    if options.photos:
        write_photos(options.photos)


if __name__ == "__main__":
    main()
