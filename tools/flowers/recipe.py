"""The recipe `demo-2019`: how a photo becomes the net's input. Training and serving must agree.

decode to RGB with EXIF orientation applied → squash to 256x256, bilinear without antialiasing →
rows and columns 16..239 → value / 256. No mean, no deviation.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

SQUASHED = 256
CROP = 224
BORDER = (SQUASHED - CROP) // 2


def decode(encoded: bytes) -> np.ndarray:
    """(height, width, 3) bytes, upright; transparency is dropped."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    return np.asarray(image.convert("RGB"))


def _taps(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of 256 places: two source places and the weight of the second.

    Centres of pixels are at halves, and the picture's edge goes on for ever.
    """
    at = np.clip((np.arange(SQUASHED) + 0.5) * size / SQUASHED - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)


def squash(pixels: np.ndarray) -> np.ndarray:
    """(256, 256, 3) bytes from (height, width, 3): OpenCV's INTER_LINEAR within one level."""
    top, bottom, down = _taps(pixels.shape[0])
    left, right, across = _taps(pixels.shape[1])
    across = across[None, :, None]
    rows = []
    for row in (pixels[top], pixels[bottom]):
        rows.append(row[:, left] * (1 - across) + row[:, right] * across)
    mixed = rows[0] + (rows[1] - rows[0]) * down[:, None, None]
    return np.rint(mixed).astype(np.uint8)


def tensor(squashed: np.ndarray) -> np.ndarray:
    """(N, 3, 224, 224) floats from (N, 256, 256, 3) bytes."""
    cut = squashed[:, BORDER : BORDER + CROP, BORDER : BORDER + CROP]
    return np.ascontiguousarray(cut.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(256)
