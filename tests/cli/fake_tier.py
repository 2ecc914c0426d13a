"""A function tier that a test scripts: it records what a client sends and answers what it is told."""

import concurrent.futures
import threading

import grpc

import sosp_wire as wire


class FakeTier:
    """`answer(method, tier, messages, context)` gives the reply's bytes; it reads `messages` itself."""

    def __init__(self):
        self.calls = []  # (method, [messages]); a stream's list grows as it is read
        self.answer = lambda method, messages, context: self.read_all(messages) and b""
        self.ended = threading.Event()  # the last call is over, however it ended
        self.began = threading.Event()  # a call is being answered
        self._server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers([_Handler(self)])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def read_all(self, messages):
        for _ in messages:
            pass
        return True

    def stop(self):
        self._server.stop(None).wait(5)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, tier):
        self._tier = tier

    def service(self, details):
        method = details.method
        if method in (wire.WHATSTHIS, wire.INSTALL):
            return grpc.stream_unary_rpc_method_handler(
                lambda messages, context: self._take(method, messages, context))
        if method == wire.REMOVE:
            return grpc.unary_unary_rpc_method_handler(
                lambda message, context: self._take(method, iter([message]), context))
        return None

    def _take(self, method, messages, context):
        tier, seen = self._tier, []
        tier.calls.append((method, seen))
        tier.ended.clear()
        context.add_callback(tier.ended.set)
        tier.began.set()

        def recorded():
            for message in messages:
                seen.append(message)
                yield message

        return tier.answer(method, recorded(), context)
