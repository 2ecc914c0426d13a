#!/usr/bin/env python3
"""Draws the test photos in tests/data/image and what PIL and OpenCV make of them.

Origin of the goldens: Pillow 13.0 (triangle filter, exif_transpose) and OpenCV 5.0 (INTER_LINEAR), numpy 2.4.
Needs: pip install pillow opencv-python-headless numpy. Usage: tools/goldens/image.py tests/data/image
"""
import io
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

OUT = Path(sys.argv[1])
EVERY = 149  # tensors are kept as every 149th value


def picture(w, h):
    """The same formula stands in tests/unit/image_pictures.h: smooth, and different in each corner and channel."""
    y, x = np.mgrid[0:h, 0:w].astype(np.int64)
    return np.stack([(x * 255) // max(w - 1, 1), (y * 255) // max(h - 1, 1),
                     ((x + 2 * y) * 7) % 256 // 2 + 32], axis=-1).astype(np.uint8)


def smooth(w, h):
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    r = 128 + 100 * np.sin(x / w * 9) * np.cos(y / h * 7)
    g = 128 + 100 * np.cos(x / w * 5 + y / h * 8)
    b = 40 + 180 * x / w * y / h
    return np.clip(np.stack([r, g, b], axis=-1), 0, 255).astype(np.uint8)


def save(name, image, **options):
    image.save(OUT / name, **options)


def png_kinds():
    p = picture(37, 23)
    im = Image.fromarray(p)
    save("rgb8.png", im, optimize=True)
    alpha = np.full(p.shape[:2] + (1,), 77, np.uint8)
    save("rgba8.png", Image.fromarray(np.concatenate([p, alpha], -1)))
    save("grey8.png", Image.fromarray(p[:, :, 0]))
    save("palette.png", im.quantize(16))
    (OUT / "palette.rgb").write_bytes(np.asarray(im.quantize(16).convert("RGB")).tobytes())
    save("grey1.png", Image.fromarray(p[:, :, 0]).point(lambda v: 255 * (v > 127)).convert("1"))
    wide = p.astype(np.uint16) * 256 + 99  # the lower byte is to be dropped
    (OUT / "rgb16.png").write_bytes(cv2.imencode(".png", wide[:, :, ::-1])[1].tobytes())
    (OUT / "grey16.png").write_bytes(cv2.imencode(".png", wide[:, :, 0])[1].tobytes())


def jpeg_kinds():
    im = Image.fromarray(smooth(40, 30))
    save("444.jpg", im, quality=95, subsampling=0)
    save("420.jpg", im, quality=95, subsampling=2)
    save("progressive.jpg", im, quality=95, progressive=True)
    save("grey.jpg", im.convert("L"), quality=95)
    save("cmyk.jpg", im.convert("CMYK"), quality=90)
    save("lossy.webp", im, quality=90)
    save("lossless.webp", im, lossless=True)
    (OUT / "smooth40x30.rgb").write_bytes(np.asarray(im).tobytes())


def exif_block(orientation, order):
    e = "<" if order == "II" else ">"
    tiff = order.encode() + struct.pack(e + "HI", 42, 8) + struct.pack(e + "H", 2)
    tiff += struct.pack(e + "HHII", 0x0100, 3, 1, 40)
    tiff += struct.pack(e + "HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack(e + "I", 0)
    return b"Exif\0\0" + tiff


def orientations():
    upright = Image.fromarray(smooth(40, 24))
    undo = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}
    for o, how in undo.items():
        stored = upright.transpose(how) if how is not None else upright
        name = f"orientation{o}.jpg"
        save(name, stored, quality=98, subsampling=0, exif=exif_block(o, "II" if o % 2 else "MM"))
        seen = ImageOps.exif_transpose(Image.open(OUT / name))
        assert seen.size == upright.size
        assert np.abs(np.asarray(seen).astype(int) - np.asarray(upright)).max() < 12, o
    save("orientation6.png", upright.transpose(undo[6]), exif=exif_block(6, "MM")[6:])
    save("orientation6.webp", upright.transpose(undo[6]), lossless=True, exif=exif_block(6, "MM"))


def resizes():
    p = picture(37, 23)
    for w, h in ((16, 16), (50, 41), (37, 23), (7, 60)):
        (OUT / f"bilinear{w}x{h}.rgb").write_bytes(cv2.resize(p, (w, h), interpolation=cv2.INTER_LINEAR).tobytes())
        triangle = Image.fromarray(p).resize((w, h), Image.Resampling.BILINEAR)
        (OUT / f"triangle{w}x{h}.rgb").write_bytes(np.asarray(triangle).tobytes())


def keep(name, tensor):
    flat = np.ascontiguousarray(tensor, np.float32).ravel()[::EVERY]
    (OUT / name).write_bytes(flat.astype("<f4").tobytes())


def short_side_crop(im, size, crop):
    w, h = im.size
    if w <= h:
        w, h = size, int(size * h / w)
    else:
        w, h = int(size * w / h), size
    im = im.resize((w, h), Image.Resampling.BILINEAR)
    x, y = (w - crop) // 2, (h - crop) // 2
    return np.asarray(im.crop((x, y, x + crop, y + crop))).astype(np.float32)


def recipes():
    data = io.BytesIO()
    Image.fromarray(smooth(300, 200)).save(data, "JPEG", quality=92, subsampling=0)
    (OUT / "recipe.jpg").write_bytes(data.getvalue())
    bgr = cv2.imdecode(np.frombuffer(data.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    demo = cv2.resize(bgr, (256, 256), interpolation=cv2.INTER_LINEAR)[16:240, 16:240, ::-1]
    keep("demo-2019.f32", demo.transpose(2, 0, 1).astype(np.float32) / 256)
    cut = short_side_crop(Image.open(io.BytesIO(data.getvalue())), 256, 224)
    mean, std = np.array([.485, .456, .406], np.float32), np.array([.229, .224, .225], np.float32)
    keep("imagenet.f32", ((cut / 255 - mean) / std).transpose(2, 0, 1))
    keep("caffe-bgr.f32", (cut[:, :, ::-1] - np.array([104, 117, 123], np.float32)).transpose(2, 0, 1))
    keep("raw-255.f32", cut.transpose(2, 0, 1))
    grey = Image.fromarray(picture(28, 28)).convert("L")
    save("digit.png", Image.fromarray(picture(28, 28)))
    keep("grey-255.f32", np.asarray(grey).astype(np.float32)[None] / 255)
    save("large.jpg", Image.fromarray(smooth(1100, 900)), quality=50)


OUT.mkdir(parents=True, exist_ok=True)
for step in (png_kinds, jpeg_kinds, orientations, resizes, recipes):
    step()
