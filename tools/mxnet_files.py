"""Reads and writes MXNet's two model files, `-symbol.json` and `.params`; numpy only.

The symbol text is laid out byte for byte as MXNet 1.9.1 writes it, so a file made here and one
exported by MXNet from the same network can be compared with cmp. The params are format V2
(MXNet >= 0.12):

    u64 0x112, u64 0, u64 count, arrays, u64 count, names (u64 length + bytes)
    array: u32 0xF993FAC9, i32 storage (0 dense), i32 ndim, ndim x i64,
           i32 device type, i32 device, i32 dtype, data

All numbers are little-endian and nothing is aligned.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LIST_MAGIC = 0x112
ARRAY_MAGIC_V2 = 0xF993FAC9
MXNET_VERSION = 10901
DEVICE_CPU = 1
DTYPES = {
    0: np.float32,
    1: np.float64,
    2: np.float16,
    3: np.uint8,
    4: np.int32,
    5: np.int8,
    6: np.int64,
}
CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}


class FormatError(ValueError):
    """A file that is not what its name says: the place, what was expected and what came."""


# -- params --------------------------------------------------------------------------------------


def write_params(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays under their full names: `arg:…` for weights, `aux:…` for statistics."""
    with open(path, "wb") as out:
        out.write(struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays)))
        for array in arrays.values():
            array = np.ascontiguousarray(array)
            out.write(struct.pack("<Iii", ARRAY_MAGIC_V2, 0, array.ndim))
            out.write(struct.pack(f"<{array.ndim}q", *array.shape))
            out.write(struct.pack("<iii", DEVICE_CPU, 0, CODES[array.dtype]))
            out.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        out.write(struct.pack("<Q", len(arrays)))
        for name in arrays:
            encoded = name.encode()
            out.write(struct.pack("<Q", len(encoded)) + encoded)


class _Cursor:
    """Bounds-checked reading of little-endian numbers."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise FormatError(
                f"byte {self.at}: {count} bytes expected, {len(self.data) - self.at} left"
            )
        self.at += count
        return self.data[self.at - count : self.at]

    def numbers(self, layout: str) -> tuple:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))


def _read_array(cursor: _Cursor) -> np.ndarray:
    start = cursor.at
    magic, storage, rank = cursor.numbers("Iii")
    if magic != ARRAY_MAGIC_V2 or storage != 0 or not 0 < rank <= 8:
        raise FormatError(
            f"byte {start}: a dense V2 array expected, "
            f"got magic {magic:#x}, storage {storage}, rank {rank}"
        )
    shape = cursor.numbers(f"{rank}q")
    _device, _device_id, code = cursor.numbers("iii")
    if code not in DTYPES or min(shape) < 0:
        raise FormatError(f"byte {start}: unknown type {code} or negative size in {shape}")
    dtype = np.dtype(DTYPES[code]).newbyteorder("<")
    count = 1
    for size in shape:
        count *= size
    return np.frombuffer(cursor.take(count * dtype.itemsize), dtype).reshape(shape)


def read_params(path: Path) -> dict[str, np.ndarray]:
    """Reads a V2 file of dense arrays; FormatError for anything else, or bytes after the end."""
    cursor = _Cursor(Path(path).read_bytes())
    magic, _reserved, count = cursor.numbers("QQQ")
    if magic != LIST_MAGIC or count > len(cursor.data) // 4:
        raise FormatError(
            f"byte 0: list magic {LIST_MAGIC:#x} expected, got {magic:#x} and {count} arrays"
        )
    arrays = [_read_array(cursor) for _ in range(count)]
    (named,) = cursor.numbers("Q")
    if named != count:
        raise FormatError(f"byte {cursor.at}: {count} names expected, got {named}")
    names = [cursor.take(cursor.numbers("Q")[0]).decode() for _ in range(named)]
    if cursor.at != len(cursor.data) or len(set(names)) != count:
        raise FormatError(f"byte {cursor.at}: end of file and {count} different names expected")
    return dict(zip(names, arrays))


# -- symbol --------------------------------------------------------------------------------------


@dataclass(eq=False)
class Node:
    """An operator or, with op "null", a variable. Each input is output 0 of another node.

    `attrs` are strings, as in the file. `shape` is a variable's real shape (the file may say 0 for
    sizes that MXNet infers). `aux` marks a variable that is updated, not learned: a BatchNorm's
    running statistics.
    """

    op: str
    name: str
    inputs: list["Node"] = field(default_factory=list)
    attrs: dict[str, str] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    aux: bool = False


def topological(head: Node) -> list[Node]:
    """Every node under `head`, inputs first, in the order of MXNet's own depth-first walk."""
    order: list[Node] = []
    seen: set[int] = set()
    stack = [(head, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.inputs))
    return order


def outputs(node: Node) -> int:
    """Outputs inside MXNet: BatchNorm keeps mean and variance, max pooling a second one."""
    if node.op == "BatchNorm":
        return 3
    return 2 if node.op == "Pooling" and node.attrs["pool_type"] == "max" else 1


def _numbers(values: list[int]) -> str:
    """MXNet puts more than ten numbers on one line each."""
    if len(values) <= 10:
        return "[" + ", ".join(map(str, values)) + "]"
    return "[\n    " + ", \n    ".join(map(str, values)) + "\n  ]"


def _node_text(node: Node, index: dict[int, int]) -> str:
    lines = [f'"op": {json.dumps(node.op)}', f'"name": {json.dumps(node.name)}']
    pairs = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(node.attrs.items())]
    if len(pairs) == 1:
        lines.append(f'"attrs": {{{pairs[0]}}}')
    elif pairs:
        lines.append('"attrs": {\n        ' + ", \n        ".join(pairs) + "\n      }")
    # The third number is a version: 1 for variables that the operator itself updates.
    links = ", ".join(f"[{index[id(child)]}, 0, {int(child.aux)}]" for child in node.inputs)
    lines.append(f'"inputs": [{links}]')
    return "    {\n      " + ", \n      ".join(lines) + "\n    }"


def symbol_text(head: Node) -> str:
    """The text of `-symbol.json` for the graph that ends in `head`."""
    nodes = topological(head)
    index = {id(node): k for k, node in enumerate(nodes)}
    rows = [0]
    for node in nodes:
        rows.append(rows[-1] + outputs(node))
    variables = [k for k, node in enumerate(nodes) if node.op == "null"]
    body = ", \n".join(_node_text(node, index) for node in nodes)
    return (
        f'{{\n  "nodes": [\n{body}\n  ], \n  "arg_nodes": {_numbers(variables)}, \n'
        f'  "node_row_ptr": {_numbers(rows)}, \n  "heads": [[{index[id(head)]}, 0, 0]], \n'
        f'  "attrs": {{"mxnet_version": ["int", {MXNET_VERSION}]}}\n}}'
    )


def write_model(
    folder: Path, stem: str, head: Node, values: dict[str, np.ndarray], classes: list[str]
) -> list[Path]:
    """Writes stem-symbol.json, stem-0000.params and synset.txt; returns their paths.

    `values` has an array for every variable but the input, under its bare name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    symbol, params, synset = (
        folder / f"{stem}-symbol.json",
        folder / f"{stem}-0000.params",
        folder / "synset.txt",
    )
    arrays = {}
    for node in parameters(head):
        value = values[node.name]
        if value.shape != node.shape:
            raise FormatError(f"{node.name}: shape {node.shape} expected, got {value.shape}")
        arrays[("aux:" if node.aux else "arg:") + node.name] = value
    symbol.write_text(symbol_text(head))
    write_params(params, arrays)
    synset.write_text("".join(f"{name}\n" for name in classes))
    return [symbol, params, synset]


def parameters(head: Node) -> list[Node]:
    """The variables that have values: weights and running statistics, not the input."""
    return [node for node in topological(head) if node.op == "null" and node.shape]


def read_symbol(path: Path, arrays: dict[str, np.ndarray]) -> Node:
    """The last node of a graph. `arrays`, from read_params, say each variable's shape and kind."""
    document = json.loads(Path(path).read_text())
    nodes: list[Node] = []
    for k, entry in enumerate(document["nodes"]):
        links = [link[0] for link in entry["inputs"]]
        if any(not 0 <= link < k for link in links):
            raise FormatError(f"node {k}: inputs before it expected, got {links}")
        name = entry["name"]
        aux = f"aux:{name}" in arrays
        value = arrays.get(f"aux:{name}" if aux else f"arg:{name}")
        shape = value.shape if value is not None else ()
        children = [nodes[link] for link in links]
        nodes.append(Node(entry["op"], name, children, entry.get("attrs", {}), shape, aux))
    heads = document["heads"]
    if len(heads) != 1 or heads[0][1] != 0:
        raise FormatError(f"heads: the first output of one node expected, got {heads}")
    return nodes[heads[0][0]]


def read_model(folder: Path, stem: str) -> tuple[Node, dict[str, np.ndarray], list[str]]:
    """What write_model wrote: the graph, its values under their bare names, and the classes."""
    arrays = read_params(folder / f"{stem}-0000.params")
    head = read_symbol(folder / f"{stem}-symbol.json", arrays)
    values = {name.split(":", 1)[1]: array for name, array in arrays.items()}
    return head, values, (folder / "synset.txt").read_text().splitlines()
