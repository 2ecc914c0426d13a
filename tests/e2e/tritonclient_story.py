"""Told by tritonclient, unmodified: tritonclient_story.py http|grpc HOST:PORT FOLDER-WITH-PHOTOS; run by test_v2_clients.py."""

import os
import queue
import sys

import numpy as np

WIRE, ADDRESS, FOLDER = sys.argv[1:]
if WIRE == "http":
    import tritonclient.http as triton
else:
    import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException


def photo(name):
    with open(os.path.join(FOLDER, name + ".png"), "rb") as f:
        return f.read()


def photos(*names):
    tensor = triton.InferInput("data", [len(names)], "BYTES")
    tensor.set_data_from_numpy(np.array([photo(n) for n in names], dtype=object))
    return [tensor]


def plain(reply):
    """By gRPC facts come as messages, by HTTP as JSON."""
    return reply if WIRE == "http" else type(reply).to_dict(reply) if hasattr(reply, "to_dict") else reply


def refused(call, *words):
    try:
        call()
    except InferenceServerException as why:
        assert all(w in str(why) for w in words), why
        return
    raise AssertionError("not refused")


client = triton.InferenceServerClient(ADDRESS)
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("1") and not client.is_model_ready("9")
as_json = {} if WIRE == "http" else {"as_json": True}
assert client.get_server_metadata(**as_json)["name"] == "nexus"
facts = client.get_model_metadata("1", **as_json)
assert (facts["name"], facts["inputs"][0]["name"]) == ("1", "data"), facts
OUTPUT = facts["outputs"][0]["name"]
config = client.get_model_config("1", **as_json)
config = config.get("config", config)
assert config["input"][0]["name"] == "data" and config["max_batch_size"] > 0, config

# photos, their classes, in binary and (HTTP) in JSON
for binary in (True, False) if WIRE == "http" else (None,):
    more = {} if binary is None else {"binary_data": binary}
    reply = client.infer("1", photos("red", "blue"), request_id="id-7",
                         outputs=[triton.InferRequestedOutput(OUTPUT, class_count=1, **more)])
    classes = [c.decode() if isinstance(c, bytes) else c for c in reply.as_numpy(OUTPUT)[:, 0]]
    assert [c.split(":")[2] for c in classes] == ["red", "blue"], classes
    response = reply.get_response()
    assert (response["id"] if WIRE == "http" else response.id) == "id-7"
    scores = client.infer("1", photos("blue"), outputs=[triton.InferRequestedOutput(OUTPUT, **more)])
    assert scores.as_numpy(OUTPUT).argmax() == 2
assert client.infer("1", photos("red")).as_numpy(OUTPUT).argmax() == 0  # no output named

# a tensor of two rows: the mean of each channel
shape = [2] + [int(d) for d in facts["inputs"][0]["shape"][1:]]
values = np.zeros(shape, np.float32)
values[0, 1] = 3.5
values[1, 2] = 1.25
tensor = triton.InferInput("data", shape, "FP32")
tensor.set_data_from_numpy(values)
rows = client.infer("1", [tensor]).as_numpy(OUTPUT)
assert rows.tolist() == [[0, 3.5, 0], [0, 0, 1.25]], rows

# refusals keep their words
refused(lambda: client.infer("9", photos("red")), "unknown model", "9")
bad = triton.InferInput("data", [1, 3, 2, 2], "FP32")
bad.set_data_from_numpy(np.zeros((1, 3, 2, 2), np.float32))
refused(lambda: client.infer("1", [bad]), "[1,3,2,2]", "expected")
refused(lambda: client.infer("1", photos("red"), outputs=[triton.InferRequestedOutput("nope")]), "nope")
refused(lambda: client.infer("1", photos("red"), model_version="2"), "version")

# the repository
client.load_model("loaded")
assert client.is_model_ready("loaded")
index = client.get_model_repository_index(**as_json)
names = [m["name"] for m in (index if WIRE == "http" else index["models"])]
assert names == ["1", "loaded"], names
assert client.infer("loaded", photos("red")).as_numpy(OUTPUT).argmax() == 0
client.load_model("loaded")  # a reload, while the old one answers
assert client.is_model_ready("loaded")
client.unload_model("loaded")
assert not client.is_model_ready("loaded")
refused(lambda: client.unload_model("loaded"))
refused(lambda: client.load_model("absent"), "absent")
stats = client.get_inference_statistics("1", **as_json)
assert int(stats["model_stats"][0]["inference_count"]) >= 5, stats

# several inputs and outputs, each of its own type
client.load_model("pair")
facts = client.get_model_metadata("pair", **as_json)
assert [(t["name"], t["datatype"], [int(d) for d in t["shape"]]) for t in facts["inputs"]] == [
    ("a", "UINT8", [-1, 3]), ("b", "INT64", [-1, 1]), ("scale", "FP32", [1])], facts
assert [(t["name"], t["datatype"]) for t in facts["outputs"]] == [
    ("y", "FP32"), ("kept", "INT64"), ("half", "FP16"), ("many", "BOOL")], facts
config = client.get_model_config("pair", **as_json)
config = config.get("config", config)
assert [t["data_type"] for t in config["input"]] == ["TYPE_UINT8", "TYPE_INT64", "TYPE_FP32"], config
assert [[int(d) for d in t["dims"]] for t in config["input"]] == [[3], [1], [1]], config
a = np.arange(15, dtype=np.uint8).reshape(5, 3)
b = np.array([[-7], [0], [3], [1 << 20], [9]], np.int64)
scale = np.array([2], np.float32)


def pair(**other):
    inputs = []
    for name, value, datatype in (("scale", scale, "FP32"), ("a", a, "UINT8"), ("b", b, "INT64")):
        value, datatype = other.get(name, (value, datatype))
        if value is not None:
            inputs.append(triton.InferInput(name, list(value.shape), datatype))
            inputs[-1].set_data_from_numpy(value, **({"binary_data": other["binary"]} if "binary" in other else {}))
    return inputs


for binary in ({"binary": True}, {"binary": False}) if WIRE == "http" else ({},):
    reply = client.infer("pair", pair(**binary))
    assert (reply.as_numpy("y") == a * 2.0 + b).all() and reply.as_numpy("y").dtype == np.float32
    assert (reply.as_numpy("kept") == 2 * b).all() and reply.as_numpy("kept").dtype == np.int64
    assert (reply.as_numpy("many") == (a * 2 > 2)).all() and reply.as_numpy("many").dtype == bool
    half = reply.as_numpy("half")
    assert half.dtype == np.float16 and half[0] == -7 and np.isinf(half[3]), half
    more = {"binary_data": binary["binary"]} if binary else {}
    reply = client.infer("pair", pair(), outputs=[triton.InferRequestedOutput("many", **more), triton.InferRequestedOutput("kept", **more)])
    assert (reply.as_numpy("many") == (a * 2 > 2)).all() and (reply.as_numpy("kept") == 2 * b).all()
    assert reply.as_numpy("y") is None
top = client.infer("pair", pair(), outputs=[triton.InferRequestedOutput("y", class_count=1)]).as_numpy("y")
assert top.shape == (5, 1) and (top[0, 0] if isinstance(top[0, 0], str) else top[0, 0].decode()).endswith(":2:blue"), top
refused(lambda: client.infer("pair", pair(a=(None, None))), "'a'", "missing")
refused(lambda: client.infer("pair", pair(b=(b.astype(np.int32), "INT32"))), "'b'", "INT32", "INT64")
refused(lambda: client.infer("pair", pair(a=(a[:, :2].copy(), "UINT8"))), "'a'", "[5,2]", "[-1,3]")
refused(lambda: client.infer("pair", pair(b=(b[:4].copy(), "INT64"))), "rows")
refused(lambda: client.infer("pair", pair(), outputs=[triton.InferRequestedOutput("z")]), "'z'", "'y', 'kept', 'half', 'many'")
refused(lambda: client.infer("pair", pair() + pair()[:1]), "'scale'", "twice")
refused(lambda: client.infer("pair", photos("red")), "tensors, not photos")
client.unload_model("pair")

if WIRE == "grpc":  # a stream: answers in the order of the requests, a failure in between
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for model in ("1", "9", "1"):
        client.async_stream_infer(model, photos("blue"))
    got = [answers.get(timeout=20) for _ in range(3)]
    client.stop_stream()
    assert got[0][1] is None and got[0][0].as_numpy(OUTPUT).argmax() == 2
    assert "unknown model" in str(got[1][1]), got[1]
    assert got[2][1] is None
client.close()
print("told")
