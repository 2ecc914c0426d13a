#!/usr/bin/env python3
"""Quantises an ONNX file by ONNX Runtime's own tools, to compare its int8 with ours.

    tools/ort_quantize.py NET.onnx OUT.onnx

Static, weights in s8 for each channel, activations in u8, as QDQ nodes; ranges are the least and largest values of four
made-up inputs from 0 to 1, which is enough for a measurement of time, and not for answers. Needs onnxruntime, onnx and numpy.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class MadeUp(CalibrationDataReader):
    """Four inputs of the first port's shape."""

    def __init__(self, path: str):
        port = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()[0]
        rng = np.random.default_rng(1)
        shape = [1] + port.shape[1:]
        self.inputs = iter([{port.name: rng.random(shape, dtype=np.float32)} for _ in range(4)])

    def get_next(self):
        return next(self.inputs, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("net")
    parser.add_argument("out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "net.onnx")
        quant_pre_process(options.net, prepared)
        quantize_static(prepared, options.out, MadeUp(prepared), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    main()
