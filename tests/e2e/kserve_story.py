"""Told by the KServe SDK's clients, unmodified: kserve_story.py http|grpc HOST:PORT FOLDER-WITH-PHOTOS; run by test_v2_clients.py."""

import asyncio
import os
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

WIRE, ADDRESS, FOLDER = sys.argv[1:]
COLOURS = {"red": 0, "blue": 2}


def ask(name, model="1"):
    with open(os.path.join(FOLDER, name + ".png"), "rb") as f:
        photo = f.read()
    tensor = InferInput("data", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([photo], dtype=object), binary_data=True)
    return InferRequest(infer_inputs=[tensor], model_name=model)


async def by_http():
    client, base = InferenceRESTClient(RESTConfig(protocol="v2")), "http://" + ADDRESS
    assert await client.is_server_ready(base) and await client.is_server_live(base)
    assert await client.is_model_ready(base, "1")
    for name, place in COLOURS.items():
        reply = await client.infer(base, ask(name), model_name="1")
        assert np.argmax(reply.outputs[0].as_numpy()) == place, reply
    await client.close()


async def by_grpc():
    client = InferenceGRPCClient(url=ADDRESS)
    assert await client.is_server_ready() and await client.is_server_live()
    assert await client.is_model_ready("1")
    for name, place in COLOURS.items():
        reply = await client.infer(ask(name))
        assert np.argmax(reply.outputs[0].as_numpy()) == place, reply
    await client.close()


asyncio.run(by_http() if WIRE == "http" else by_grpc())
print("told")
