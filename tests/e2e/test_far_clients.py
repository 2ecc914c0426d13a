#!/usr/bin/env python3
"""Who manages models from another machine is refused by every API; who asks is not. In a network namespace of its own, where
10.77.0.2 plays the other machine: skipped with a line where none can be made."""

import os
import sys
import unittest

import netns

HERE, FAR = "10.77.0.1", "10.77.0.2"

if __name__ == "__main__":
    trouble = netns.enter((HERE, FAR))
    if trouble:
        print("SKIP: no network namespace: %s" % trouble)
        sys.exit(77)

import http.client
import json
import time

import harness
import sosp_wire as wire
import tiny_model
from harness import grpc
from test_http import archive, model_entries

V2 = "/inference.GRPCInferenceService/"


class FarClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.group = harness.Group(2)
        cls.addClassCleanup(cls.group.close)
        store = os.path.join(cls.group.folder(0), "store")
        os.makedirs(store)
        for name in ("m.mar", "n.mar"):
            with open(os.path.join(store, name), "wb") as out:
                out.write(archive(model_entries()))
        cls.port, = harness.free_ports(1)
        for k in range(2):
            harness.edit_config(cls.group.config(k), local_ip=HERE, leader_ip=HERE, contacts="")
        cls.node = cls.group.start_node(0, "--CLIENTS/model_store", "store", "--CLIENTS/load_models", "m.mar",
                                        "--CLIENTS/listen", "127.0.0.1:%d" % cls.port, "--RDMA/domain=")
        cls.group.start_node(1, "--RDMA/domain=")
        cls.group.wait_ready()
        harness.wait_until(lambda: cls.http(HERE, HERE, "GET", "/v2/models/m/ready")[0] == 200, cls.node.story())

    @classmethod
    def http(cls, source, to, method, path, body=None, port=None):
        connection = http.client.HTTPConnection(to, port or cls.group.client_ports[0], timeout=harness.WAIT_S, source_address=(source, 0))
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            text = reply.read()
            return reply.status, json.loads(text) if text else None
        finally:
            connection.close()

    def relay(self):
        """grpcio binds no source address: a byte relay whose far side is FAR."""
        import socket
        import threading
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def pump(a, b):
            try:
                while data := a.recv(65536):
                    b.sendall(data)
            except OSError:
                pass
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        def serve():
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                far = socket.create_connection((HERE, self.group.client_ports[0]), source_address=(FAR, 0))
                self.addCleanup(near.close)
                self.addCleanup(far.close)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
        return "127.0.0.1:%d" % listener.getsockname()[1]

    def grpc_code(self, address, method, message, stream=False):
        with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
            call = (channel.stream_unary if stream else channel.unary_unary)(method)
            try:
                call(iter([message]) if stream else message, timeout=harness.WAIT_S)
                return "OK", ""
            except grpc.RpcError as refused:
                return refused.code().name, refused.details()

    def test_http_from_afar(self):
        for method, path in (("POST", "/models?url=n.mar"), ("PUT", "/models/m"), ("DELETE", "/models/m"),
                             ("POST", "/v2/repository/models/n/load"), ("POST", "/v2/repository/models/m/unload")):
            status, body = self.http(FAR, HERE, method, path)
            self.assertEqual(status, 403, path)
            self.assertIn("from this machine only", json.dumps(body))
        self.assertEqual(self.http(FAR, HERE, "POST", "/predictions/m", tiny_model.png(tiny_model.RED))[0], 200)
        self.assertEqual(self.http(FAR, HERE, "GET", "/models")[0], 200)

    def test_strangers_do_not_fill_the_log(self):
        def told():
            return sum("refused: models are managed" in e for e in self.node.errors)
        before, begun = told(), time.monotonic()
        for _ in range(100):
            self.assertEqual(self.http(FAR, HERE, "DELETE", "/models/flood")[0], 403)
        most = 21 + 10 * (time.monotonic() - begun)
        self.assertEqual(self.http(HERE, HERE, "POST", "/models?url=n.mar")[0], 200)
        self.assertEqual(self.http(HERE, HERE, "DELETE", "/models/n")[0], 200)  # its line is behind all of those
        harness.wait_until(lambda: any("model n unregistered" in e for e in self.node.errors), self.node.story())
        self.assertLessEqual(told() - before, most)

    def test_grpc_from_afar(self):
        far = self.relay()
        for method, stream in ((wire.INSTALL, True), (wire.REMOVE, False), (V2 + "RepositoryModelLoad", False),
                               (V2 + "RepositoryModelUnload", False)):
            message = wire.remove_request(1) if method == wire.REMOVE else b""
            self.assertEqual(self.grpc_code(far, method, message, stream),
                             ("PERMISSION_DENIED", "models are managed from this machine only (key management)"), method)
        self.assertEqual(self.grpc_code(far, V2 + "RepositoryIndex", b"")[0], "OK")
        harness.wait_until(lambda: any("audit: %s:" % FAR in e and "InstallModel refused" in e for e in self.node.errors),
                           self.node.story())

    def test_this_machine_is_near_by_any_of_its_addresses(self):
        for source, to, port in ((HERE, HERE, None), ("127.0.0.1", "127.0.0.1", self.port)):
            status, body = self.http(source, to, "POST", "/models?url=n.mar", port=port)
            self.assertEqual(status, 200, body)
            self.assertEqual(self.http(source, to, "DELETE", "/models/n", port=port)[0], 200)
        code, words = self.grpc_code("%s:%d" % (HERE, self.group.client_ports[0]), wire.REMOVE, wire.remove_request(77))
        self.assertEqual(code, "OK", words)


if __name__ == "__main__":
    harness.main()
