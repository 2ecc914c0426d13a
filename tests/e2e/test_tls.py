#!/usr/bin/env python3
"""TLS and mTLS on the clients' port, with curl, python3-grpcio and `nexus client`: who gets in, who does not, new files, strangers."""

import contextlib
import os
import signal
import socket
import ssl
import tempfile
import threading
import subprocess
import sys

import harness
from harness import grpc
import sosp_wire as wire
import tiny_model
import tls_files
from test_http import HttpCase

if not tls_files.OPENSSL:
    print("SKIP: no openssl(1) to make certificates with")
    sys.exit(77)


class TlsCase(HttpCase):
    MUTUAL = False

    @classmethod
    def setUpClass(cls):
        cls.pki = tempfile.TemporaryDirectory()
        cls.authority = tls_files.Authority(cls.pki.name)
        cls.cert, cls.key = cls.authority.issue("server")
        cls.client_cert, cls.client_key = cls.authority.issue("client")
        cls.OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/tls_cert", cls.cert, "--CLIENTS/tls_key", cls.key)
        if cls.MUTUAL:
            cls.OPTIONS += ("--CLIENTS/tls_client_ca", cls.authority.ca)
        plain = harness.Group.client
        harness.Group.client = lambda group, *args, **kwargs: plain(group, *args, *cls.flags(), **kwargs)
        cls.addClassCleanup(setattr, harness.Group, "client", plain)
        cls.addClassCleanup(cls.pki.cleanup)
        super().setUpClass()

    @classmethod
    def flags(cls):
        return ("--ca", cls.authority.ca,
                *(("--cert", cls.client_cert, "--key", cls.client_key) if cls.MUTUAL else ()))

    def run_client(self, *flags):
        """`nexus client … inference`, with just these flags."""
        done = subprocess.run([harness.nexus(), "client", self.group.address(), "inference", "1", self.photo, *flags],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=harness.WAIT_S)
        return harness.Answer(done.returncode, done.stdout, done.stderr)

    def url(self, path):
        return "https://%s%s" % (self.group.address(), path)

    def curl_fails(self, *args):
        """curl's exit code."""
        done = subprocess.run(["curl", "-sS", "--max-time", str(harness.WAIT_S), *args], capture_output=True,
                              stdin=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0)
        return done.returncode

    def credentials(self, mutual=None):
        mutual = self.MUTUAL if mutual is None else mutual
        return grpc.ssl_channel_credentials(tls_files.read(self.authority.ca),
                                            tls_files.read(self.client_key) if mutual else None,
                                            tls_files.read(self.client_cert) if mutual else None)

    @contextlib.contextmanager
    def channel(self, mutual=None):
        with grpc.secure_channel(self.group.address(), self.credentials(mutual),
                                 [("grpc.enable_http_proxy", 0)]) as channel:
            yield channel

    def whatsthis(self, channel, photo):
        messages = [wire.photo_start(len(photo), [1], True), *wire.chunks(photo, 64 * 1024)]
        return wire.description(channel.stream_unary(wire.WHATSTHIS)(iter(messages), timeout=harness.WAIT_S))

    def open_tls(self, alpn=("http/1.1",), cert=False, version=None, ca=None):
        context = ssl.create_default_context(cafile=ca or self.authority.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if cert:
            context.load_cert_chain(self.client_cert, self.client_key)
        if version:
            context.maximum_version = version
        host, port = self.group.address().split(":")
        raw = socket.create_connection((host, int(port)), timeout=harness.WAIT_S)
        self.addCleanup(raw.close)
        secured = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.addCleanup(secured.close)
        return secured


    def ask_status(self, command, *flags):
        done = subprocess.run([harness.nexus(), command, self.group.address(), *flags], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=harness.WAIT_S)
        return harness.Answer(done.returncode, done.stdout, done.stderr)


PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


class Tls(TlsCase):
    def test_curl_speaks_http_1_1_by_alpn_and_without(self):
        for flags in ([], ["--http1.1"], ["--no-alpn"], ["--tls-max", "1.2"]):
            self.assertIn(b"Healthy", self.curl("--cacert", self.authority.ca, *flags, self.url("/ping")))

    def test_alpn_chooses_http_1_1_before_h2(self):
        self.assertEqual(self.open_tls(("h2", "http/1.1")).selected_alpn_protocol(), "http/1.1")
        self.assertEqual(self.open_tls(("h2",)).selected_alpn_protocol(), "h2")
        self.assertEqual(self.open_tls(("http/1.1",)).selected_alpn_protocol(), "http/1.1")
        self.assertIsNone(self.open_tls(()).selected_alpn_protocol())
        with self.assertRaises(ssl.SSLError):
            self.open_tls(("spdy/3",))

    def test_grpc_asks_and_uploads(self):
        with self.channel() as channel:
            self.assertEqual(self.whatsthis(channel, self.red), "red")
            photo = self.red + bytes(3 << 20)  # what follows a PNG's end is nobody's: many records, many windows
            self.assertEqual(self.whatsthis(channel, photo), "red")

    def test_a_large_body_and_pipelined_requests(self):
        photo = self.red + bytes(5 << 20)
        path = self.file("large.png", photo)
        self.assertIn(b"red", self.curl("--cacert", self.authority.ca, "-X", "POST", "-T", path, self.url("/predictions/1")))
        s = self.open_tls()
        s.sendall(50 * PING)
        got = b""
        while got.count(b"Healthy") < 50:
            more = s.recv(65536)
            self.assertTrue(more, got[-300:])
            got += more

    def test_whoever_speaks_plain_text_gets_nothing(self):
        with contextlib.suppress(OSError):
            self.assertNotIn(b"HTTP/1.1 200", self.raw(PING))
        answer = self.run_client()
        self.assertEqual(answer.code, 1, answer.story)
        self.assertIn("wants TLS (--ca)", answer.err)

    def test_a_client_that_trusts_another_authority_says_so(self):
        other = tls_files.Authority(self.pki.name, "other")
        answer = self.run_client("--ca", other.ca)
        self.assertEqual(answer.code, 1, answer.story)
        self.assertIn("no TLS connection could be agreed on", answer.err)
        self.assertEqual(self.curl_fails("--cacert", other.ca, self.url("/ping")), 60)

    def test_half_open_handshakes_do_not_stop_an_honest_client(self):
        host, port = self.group.address().split(":")
        with contextlib.ExitStack() as stack:
            hello = self.client_hello()
            for i in range(300):
                s = stack.enter_context(socket.create_connection((host, int(port)), timeout=harness.WAIT_S))
                s.sendall((b"", hello[:1], hello[:100], hello, b"\x16\x03\x01\xff\xff" + bytes(50))[i % 5])
            with self.channel() as channel:
                for _ in range(10):
                    self.assertEqual(self.whatsthis(channel, self.red), "red")
            self.assertIn(b"Healthy", self.curl("--cacert", self.authority.ca, self.url("/ping")))

    @staticmethod
    def client_hello():
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        shy = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="x")
        with contextlib.suppress(ssl.SSLWantReadError):
            shy.do_handshake()
        return outgoing.read()

    def test_garbage_within_the_session_ends_only_that_connection(self):
        s = self.open_tls()
        raw = s.detach()
        with socket.socket(fileno=raw) as naked:
            naked.settimeout(harness.WAIT_S)
            naked.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
            with contextlib.suppress(ConnectionError):
                while naked.recv(4096):
                    pass
        self.assertIn(b"Healthy", self.curl("--cacert", self.authority.ca, self.url("/ping")))

    def test_sighup_takes_new_files_and_keeps_old_connections(self):
        node = self.group.nodes[0]
        old = self.open_tls()
        before = old.getpeercert()["serialNumber"]
        self.authority.issue("server")
        node.signal(signal.SIGHUP)

        def renewed():
            return self.open_tls().getpeercert()["serialNumber"] != before
        harness.wait_until(renewed, "the new certificate is not served")
        old.sendall(PING)
        self.assertIn(b"200 OK", old.recv(65536))
        good = tls_files.read(self.cert)
        with open(self.cert, "w") as out:
            out.write("no certificate\n")
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: any("all stays as it was: tls_cert" in line for line in node.errors),
                           "the bad file is not told")
        self.open_tls()
        with open(self.cert, "wb") as out:
            out.write(good)

    def test_uploads_side_by_side(self):
        failures = []

        def ask():
            try:
                with self.channel() as channel:
                    for _ in range(5):
                        assert self.whatsthis(channel, self.red + bytes(1 << 20)) == "red"
            except Exception as why:  # told below, in the test's own thread
                failures.append(why)
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


class MutualTls(TlsCase):
    MUTUAL = True

    def test_a_signed_client_is_served_by_all_wires(self):
        flags = ("--cert", self.client_cert, "--key", self.client_key, "--cacert", self.authority.ca)
        self.assertIn(b"Healthy", self.curl(*flags, self.url("/ping")))
        with self.channel() as channel:
            self.assertEqual(self.whatsthis(channel, self.red), "red")
        self.assert_serving()

    def test_status_and_top_show_theirs(self):
        for command in ("status", "top"):
            told = self.ask_status(command, *self.flags())
            self.assertEqual((told.code, told.err), (0, ""), told.story)
            self.assertIn("categorizer", told.out)
            for flags in ((), ("--ca", self.authority.ca)):
                self.assert_refused(self.ask_status(command, *flags), "no function tier node answers")

    def test_a_client_without_a_certificate_is_not(self):
        self.curl_fails("--cacert", self.authority.ca, self.url("/ping"))
        with self.channel(mutual=False) as channel, self.assertRaises(grpc.RpcError) as refused:
            self.whatsthis(channel, self.red)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.run_client("--ca", self.authority.ca).code, 1)

    def test_nor_is_one_whom_another_authority_signed(self):
        cert, key = tls_files.Authority(self.pki.name, "stranger").issue("intruder")
        self.curl_fails("--cert", cert, "--key", key, "--cacert", self.authority.ca, self.url("/ping"))


class Files(harness.unittest.TestCase):
    """What is wrong with the files is said at the start, in one line."""

    def refused(self, **keys):
        group = harness.Group(2)
        self.addCleanup(group.close)
        args = [word for key, value in keys.items() for word in ("--CLIENTS/" + key, value)]
        node = group.start_node(0, *args)
        self.assertEqual(node.wait(), 1, node.story())
        self.assertEqual(len(node.errors), 1, node.story())
        return node.errors[0]

    def test_each_mistake_has_its_sentence(self):
        with tempfile.TemporaryDirectory() as folder:
            authority = tls_files.Authority(folder)
            cert, key = authority.issue("a")
            _, other_key = authority.issue("b")
            empty, open_key = os.path.join(folder, "empty"), os.path.join(folder, "open")
            for path, data in ((empty, b""), (open_key, tls_files.read(key))):
                with open(path, "wb") as out:
                    out.write(data)
            os.chmod(open_key, 0o644)
            self.assertIn("tls_key is given, but no tls_cert", self.refused(tls_key=key))
            self.assertIn("tls_client_ca is given, but no tls_cert", self.refused(tls_client_ca=authority.ca))
            self.assertIn("no tls_key", self.refused(tls_cert=cert))
            self.assertIn("No such file", self.refused(tls_cert=folder + "/none", tls_key=key))
            self.assertIn("not a plain file", self.refused(tls_cert=folder, tls_key=key))
            self.assertIn("no usable certificate", self.refused(tls_cert=empty, tls_key=key))
            self.assertIn("is no key to", self.refused(tls_cert=cert, tls_key=other_key))
            self.assertIn("open to everybody", self.refused(tls_cert=cert, tls_key=open_key))
            self.assertIn("tls_client_ca", self.refused(tls_cert=cert, tls_key=key, tls_client_ca=empty))


if __name__ == "__main__":
    harness.main()
