"""Told by tritonclient's asyncio clients, unmodified: tritonclient_aio_story.py http|grpc HOST:PORT FOLDER-WITH-PHOTOS; run by
test_v2_clients.py."""

import asyncio
import os
import sys

import numpy as np

WIRE, ADDRESS, FOLDER = sys.argv[1:]
if WIRE == "http":
    import tritonclient.http as triton
    import tritonclient.http.aio as aio
else:
    import tritonclient.grpc as triton
    import tritonclient.grpc.aio as aio
from tritonclient.utils import InferenceServerException

COLOURS = {"red": 0, "blue": 2}


def photos(*names):
    tensor = triton.InferInput("data", [len(names)], "BYTES")
    read = [open(os.path.join(FOLDER, n + ".png"), "rb").read() for n in names]
    tensor.set_data_from_numpy(np.array(read, dtype=object))
    return [tensor]


async def main():
    client = aio.InferenceServerClient(ADDRESS)
    assert await client.is_server_live() and await client.is_server_ready()
    assert await client.is_model_ready("1") and not await client.is_model_ready("9")
    facts = await client.get_model_metadata("1", **({} if WIRE == "http" else {"as_json": True}))
    output = facts["outputs"][0]["name"]

    # many at once, each gets its own answer
    asked = ["red", "blue"] * 10
    answers = await asyncio.gather(*(client.infer("1", photos(name)) for name in asked))
    assert [int(a.as_numpy(output).argmax()) for a in answers] == [COLOURS[name] for name in asked]

    try:
        await client.infer("9", photos("red"))
    except InferenceServerException as why:
        assert "unknown model" in str(why), why
    else:
        raise AssertionError("not refused")

    if WIRE == "grpc":
        async def requests():
            for model in ("1", "9", "1"):
                yield {"model_name": model, "inputs": photos("blue")}
        told = [pair async for pair in client.stream_infer(requests())]
        assert [error is None for _, error in told] == [True, False, True], told
        assert told[2][0].as_numpy(output).argmax() == COLOURS["blue"]
    await client.close()


asyncio.run(main())
print("told")
