#!/usr/bin/env python3
"""One budget of requests and bytes for HTTP, gRPC v2 and the demo's service: who is over it is told when to come again; priorities."""

import contextlib
import json
import queue
import socket

import harness
import sosp_wire as wire
from harness import grpc
from test_http import HttpCase

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


def infer_request(photo, model="1", priority=None):
    """A ModelInferRequest of one BYTES photo, and a parameter."""
    tensor = wire.blob(1, b"data") + wire.blob(2, b"BYTES") + wire.blob(3, wire.varint(1))
    message = wire.blob(1, model.encode()) + wire.blob(5, tensor) + \
        wire.blob(7, len(photo).to_bytes(4, "little") + photo)
    if priority is not None:
        message += wire.blob(4, wire.blob(1, b"priority") + wire.blob(2, wire.number(2, priority)))
    return message


class AdmissionCase(HttpCase):
    held = 0  # uploads of ours that wait

    def infer(self, message=None, metadata=(), timeout=harness.WAIT_S):
        """(code, details, trailers) of a ModelInfer."""
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            try:
                channel.unary_unary(INFER)(message or infer_request(self.red), timeout=timeout, metadata=metadata)
                return "OK", "", {}
            except grpc.RpcError as refused:
                return refused.code().name, refused.details(), dict(refused.trailing_metadata() or ())

    @contextlib.contextmanager
    def held_by_http(self, size, sent=0):
        """An upload that has said how long it is, has sent a part of it, and waits."""
        host, port = self.group.address().split(":")
        with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
            self.wait_exchanges(self.held)  # those of before are over
            s.sendall(b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + bytes(sent))
            self.held += 1
            self.wait_exchanges(self.held)
            try:
                yield
            finally:
                self.held -= 1

    def wait_exchanges(self, count):
        """So many beside the one that asks."""
        harness.wait_until(lambda: self.metric("nexus_http_exchanges") == count + 1, "not %d uploads under way" % count)

    def metric(self, name):
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
        raise AssertionError("no metric")

    @contextlib.contextmanager
    def announced_by_demo(self, photo):
        """A Whatsthis whose metadata has come and whose bytes wait."""
        gate = queue.Queue()
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            def messages():
                yield wire.photo_start(len(photo), [1])
                gate.get(timeout=harness.WAIT_S)
                yield wire.chunk(photo)
            call = channel.stream_unary(wire.WHATSTHIS).future(messages(), timeout=harness.WAIT_S)
            harness.wait_until(lambda: self.metric("nexus_grpc_calls") > 0, "the upload is not under way")
            yield
            gate.put(None)
            call.result()


class Budget(AdmissionCase):
    OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/requests_max", "1", "--CLIENTS/requests_mb", "1")

    def assert_free(self):
        harness.wait_until(lambda: self.ask("POST", "/predictions/1", self.red).status == 200, "the budget is not given back")
        self.assertEqual(self.infer()[0], "OK")
        self.assert_says("red", self.group.client("inference", "1", self.photo))

    def test_what_is_announced_keeps_nobody_out(self):
        with self.held_by_http(1 << 20), self.held_by_http(1 << 20):
            self.assert_free()
        with self.announced_by_demo(self.red):
            self.assert_free()
        self.assert_free()

    def test_what_has_arrived_all_lack(self):
        def refused():
            reply = self.ask("POST", "/predictions/1", self.red)
            return reply.status == 429 and reply.headers["Retry-After"] == "1" and "bytes are under way" in reply.json["message"]
        with self.held_by_http(1 << 20, (1 << 20) - 10):
            harness.wait_until(refused, "what has arrived does not count")
            self.assertEqual(self.ask("GET", "/v2/models/1").status, 200)  # facts are no inferences
        self.assert_free()

    def test_who_is_slow_loses_its_place(self):
        with self.held_by_http(1 << 20, (1 << 20) - 10):
            harness.wait_until(lambda: self.infer()[0] == "OK", "an upload that waits keeps others out")
            self.assert_free()

    def test_a_photo_over_all_bytes(self):
        code, details, trailers = self.infer(infer_request(bytes(2 << 20)))
        self.assertEqual((code, trailers["grpc-retry-pushback-ms"]), ("RESOURCE_EXHAUSTED", "1000"), details)
        self.assertEqual(self.ask("POST", "/predictions/1", bytes(2 << 20)).status, 413)
        self.assert_free()

    def test_failures_and_streams_give_it_back(self):
        for _ in range(3):
            self.assertEqual(self.infer(infer_request(b"nonsense"))[0], "INVALID_ARGUMENT")
            self.assertEqual(self.infer(b"\xff\xff")[0], "INVALID_ARGUMENT")
            self.assertEqual(self.infer(infer_request(self.red, "nobody"))[0], "NOT_FOUND")
            self.assertEqual(self.ask("POST", "/predictions/nobody", self.red).status, 404)
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            requests = [infer_request(self.red), infer_request(b"nonsense"), infer_request(self.red)] * 3
            self.assertEqual(len(list(channel.stream_stream(STREAM)(iter(requests), timeout=harness.WAIT_S))), 9)
        self.assert_free()


class Fair(AdmissionCase):
    OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/requests_mb", "8")

    def test_many_bodies_just_under_a_mebibyte_leave_room_for_photos(self):
        """Those that come slowly would lose their places only after five seconds, and there is always another."""
        host, port = self.group.address().split(":")
        head = b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (1 << 20)
        with contextlib.ExitStack() as held:
            for _ in range(12):
                s = held.enter_context(socket.create_connection((host, int(port)), timeout=harness.WAIT_S))
                with contextlib.suppress(OSError):  # refused before it was heard out
                    s.sendall(head + bytes((1 << 20) - 1))
            harness.wait_until(lambda: self.metric("nexus_http_buffered_bytes") > 4 << 20, "nobody holds anything")
            for _ in range(20):
                self.assertEqual(self.ask("POST", "/predictions/1", self.red).status, 200)
                self.assertEqual(self.infer()[0], "OK")
        self.assert_serving()


class Priorities(AdmissionCase):
    """Which goes first is tested in tests/unit/test_batcher.c; here, that each API takes it, and refuses what is none."""

    def test_each_api_takes_it(self):
        body = {"inputs": [{"name": "data", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(self.red) + 4}}]}
        for level in (0, 1, 9):
            self.assertEqual(self.ask("POST", "/predictions/1", self.red, nexus_priority=str(level)).status, 200)
            self.assertEqual(self.infer(infer_request(self.red, priority=level))[0], "OK")
            self.assertEqual(self.infer(metadata=[("nexus-priority", str(level))])[0], "OK")
            self.assertEqual(self.demo(str(level))[0], "OK")
            text = json.dumps(dict(body, parameters={"priority": level})).encode()
            reply = self.ask("POST", "/v2/models/1/infer", text + len(self.red).to_bytes(4, "little") + self.red,
                             Inference_Header_Content_Length=str(len(text)))
            self.assertEqual(reply.status, 200, reply.body)

    def demo(self, level):
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            try:
                channel.stream_unary(wire.WHATSTHIS)(iter([wire.photo_start(len(self.red), [1]), wire.chunk(self.red)]),
                                                     timeout=harness.WAIT_S, metadata=[("nexus-priority", level)])
                return "OK", ""
            except grpc.RpcError as refused:
                return refused.code().name, refused.details()

    def test_what_is_none(self):
        for level in ("10", "-1", "first", ""):
            reply = self.ask("POST", "/predictions/1", self.red, nexus_priority=level)
            self.assertEqual((reply.status, "nexus-priority must be 0 to 9" in reply.json["message"]), (400, True), level)
            for code, details in (self.infer(metadata=[("nexus-priority", level)])[:2], self.demo(level)):
                self.assertEqual((code, "nexus-priority must be 0 to 9" in details), ("INVALID_ARGUMENT", True), details)
        code, details, _ = self.infer(infer_request(self.red, priority=10))
        self.assertEqual((code, details), ("INVALID_ARGUMENT", "parameter priority must be 0 to 9, not 10"))
        code, details, _ = self.infer(infer_request(self.red, priority=-1))
        self.assertEqual((code, details), ("INVALID_ARGUMENT", "parameter priority is no whole number"))
        reply = self.ask("POST", "/v2/models/1/infer", json.dumps({"parameters": {"priority": 10}, "inputs": []}))
        self.assertEqual((reply.status, list(reply.json)), (400, ["error"]), reply.body)


class Unavailable(AdmissionCase):
    """A shard that cannot serve: 503 and UNAVAILABLE, each with when to come again."""

    def tearDown(self):
        pass  # its replica is dead

    def test_no_replica(self):
        self.assertEqual(self.infer()[0], "OK")
        self.group.nodes[1].kill()

        def gone():
            return self.ask("POST", "/predictions/1", self.red).status == 503
        harness.wait_until(gone, "still served")
        reply = self.ask("POST", "/predictions/1", self.red)
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (503, "1"), reply.body)
        code, details, trailers = self.infer()
        self.assertEqual((code, trailers["grpc-retry-pushback-ms"]), ("UNAVAILABLE", "1000"), details)


if __name__ == "__main__":
    harness.main()
