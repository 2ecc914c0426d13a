"""A model small enough to know its answers by heart: the class is the colour channel that is strongest.

    photo (1,3,H,W) -> global average -> flatten -> fully connected with the identity (or a permutation)

Written as genuine MXNet symbol JSON and V2 params with the standard library alone, and photos to go
with it. Every way of spoiling the files that the tests need is a parameter or a function here.
"""

import json
import struct
import zlib

RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)
COLOURS = ("red", "green", "blue")
FLOWERS = ("rose", "leaf", "bluebell")


def synset(classes=COLOURS):
    return "".join("%s\n" % name for name in classes).encode()


def symbol_nodes():
    return [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "Pooling", "name": "pool", "inputs": [[0, 0, 0]],
         "attrs": {"global_pool": "True", "kernel": "(1, 1)", "pool_type": "avg"}},
        {"op": "Flatten", "name": "flat", "inputs": [[1, 0, 0]]},
        {"op": "null", "name": "fc_weight", "inputs": []},
        {"op": "FullyConnected", "name": "fc", "inputs": [[2, 0, 0], [3, 0, 0]],
         "attrs": {"no_bias": "True", "num_hidden": "3"}},
    ]


def symbol(nodes=None, heads=None):
    nodes = symbol_nodes() if nodes is None else nodes
    return json.dumps({
        "nodes": nodes,
        "arg_nodes": [i for i, node in enumerate(nodes) if node["op"] == "null"],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": heads or [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10500]},
    }, indent=2).encode()


def params(arrays=None):
    """name -> (shape, values); dense float32 arrays, version 2 of the format."""
    if arrays is None:
        arrays = {"arg:fc_weight": ((3, 3), (1, 0, 0, 0, 1, 0, 0, 0, 1))}
    out = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for shape, values in arrays.values():
        out += struct.pack("<Iii%dq" % len(shape), 0xF993FAC9, 0, len(shape), *shape)
        out += struct.pack("<iii", 1, 0, 0) + struct.pack("<%df" % len(values), *values)
    out += struct.pack("<Q", len(arrays))
    for name in arrays:
        out += struct.pack("<Q", len(name)) + name.encode()
    return out


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(colour=RED, width=64, height=48, claimed=None):
    """A picture of one colour; `claimed` (width, height) is what its header says instead."""
    rows = (b"\0" + bytes(colour) * width) * height
    head = struct.pack(">IIBBBBB", *(claimed or (width, height)), 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) +
            _chunk(b"IEND", b""))


def spoiled_symbols():
    """(what is wrong, symbol bytes)"""
    def changed(change):
        nodes = symbol_nodes()
        change(nodes)
        return symbol(nodes)

    yield "not JSON", b"\x89PNG\r\n\x1a\n not a symbol"
    yield "cut JSON", symbol()[:100]
    yield "no nodes", b'{"nodes": [], "arg_nodes": [], "heads": []}'
    yield "deep JSON", b"[" * 100000
    yield "a cycle", changed(lambda n: n[1].update(inputs=[[2, 0, 0]]))
    yield "an input of itself", changed(lambda n: n[1].update(inputs=[[1, 0, 0]]))
    yield "an input out of range", changed(lambda n: n[1].update(inputs=[[99, 0, 0]]))
    yield "a negative input", changed(lambda n: n[1].update(inputs=[[-1, 0, 0]]))
    yield "a head out of range", symbol(heads=[[99, 0, 0]])
    yield "an unknown op", changed(lambda n: n[1].update(op="Frobnicate"))
    yield "a number that is none", changed(lambda n: n[4]["attrs"].update(num_hidden="many"))
    yield "a huge layer", changed(lambda n: n[4]["attrs"].update(num_hidden="4000000000"))
    yield "a shape mismatch", changed(lambda n: n[4]["attrs"].update(num_hidden="4"))
    yield "a weight without values", changed(lambda n: n[3].update(name="other_weight"))


def spoiled_params():
    """(what is wrong, params bytes)"""
    good = params()
    yield "cut in the header", good[:11]
    yield "cut in the data", good[:-40]
    yield "cut in the names", good[:-4]
    yield "bytes after the end", good + b"\0" * 16
    yield "foreign", png()
    yield "another list magic", b"\x13" + good[1:]
    yield "a count without arrays", struct.pack("<QQQ", 0x112, 0, 1 << 60) + good[24:]
    yield "a shape that overflows", good[:36] + struct.pack("<qq", 1 << 40, 1 << 40) + good[52:]
    yield "a negative shape", good[:36] + struct.pack("<qq", -3, 3) + good[52:]
    yield "a shape mismatch", params({"arg:fc_weight": ((3, 4), (1,) * 12)})
    yield "no array of that name", params({"arg:something": ((3, 3), (1,) * 9)})
    yield "no array at all", params({})


def spoiled_photos():
    """(what is wrong, photo bytes)"""
    good = png()
    yield "text", b"this is not a picture, whatever its name says"
    yield "one byte", b"\x89"
    yield "a PNG header alone", good[:8]
    yield "a cut PNG", good[:len(good) // 2]
    yield "a PNG that claims 100,000 x 100,000", png(claimed=(100000, 100000))
    yield "a PNG that claims 0 x 0", png(claimed=(0, 0))
    yield "a JPEG header alone", b"\xff\xd8\xff\xe0"
    yield "zeros", bytes(5000)
