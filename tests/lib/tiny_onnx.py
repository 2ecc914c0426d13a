"""ONNX and .npy files with the standard library alone, for tests: as right or as wrong as wanted."""

import ast
import struct

FLOAT, UINT8, INT32, INT64 = 1, 2, 6, 7


def varint(value):
    out = b""
    value &= (1 << 64) - 1
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, value):
    if isinstance(value, list):
        return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)
    return field(1, name) + field(3, value) + field(20, 2)


def node(op, inputs, outputs, domain="", name="", **attributes):
    return (b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(3, name) +
            field(4, op) + (field(7, domain) if domain else b"") +
            b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))


def weight(name, shape, values):
    return (b"".join(field(1, d) for d in shape) + field(2, FLOAT) + field(8, name) +
            field(9, struct.pack("<%df" % len(values), *values)))


def info(name, dtype, shape):
    dims = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, dtype) + field(2, dims)))


def model(nodes, inputs, outputs, weights=(), opset=13, producer="test", version="1.2"):
    graph = (b"".join(field(1, n) for n in nodes) + b"".join(field(5, w) for w in weights) +
             b"".join(field(11, i) for i in inputs) + b"".join(field(12, o) for o in outputs))
    return (field(1, 8) + field(2, producer) + field(3, version) + field(7, graph) + field(8, field(2, opset)))


def npy(descr, shape, values):
    dims = "".join("%d, " % d for d in shape)
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descr, dims)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"<f4": "f", "<i8": "q", "<i4": "i", "|u1": "B"}[descr]
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
            struct.pack("<%d%s" % (len(values), code), *values))


def read_npy(path):
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack_from("<H", data, 8)
    header = ast.literal_eval(data[10:10 + length].decode())
    code = {"<f4": "f", "<i8": "q", "<i4": "i", "|u1": "B"}[header["descr"]]
    values = [v for (v,) in struct.iter_unpack("<" + code, data[10 + length:])]
    return header["descr"], tuple(header["shape"]), values
