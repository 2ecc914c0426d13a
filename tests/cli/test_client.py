#!/usr/bin/env python3
"""`nexus client` against a scripted function tier: transcripts, bytes on the wire, every bad input.

Usage: test_client.py NEXUS [--sanitized] [unittest arguments]. Exit status 77: skipped.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

try:
    import grpc
    from fake_tier import FakeTier
except ImportError as missing:
    print("SKIP: %s (package python3-grpcio)" % missing)
    sys.exit(77)

import sosp_wire as wire

NEXUS = None
SANITIZED = False
MIB = 1 << 20
# Of an authority that has signed nothing.
CERTIFICATE = b"""-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUNZleeFJ9zGZ0vveJKzxTpH9J2dEwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMTA5MjI1NloYDzIxMjYxMDI4MDky
MjU2WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARA+43erbuxxH6lcQBptaMMkaE6wmb7G29Fd+3C8T6rxHiOhVCrpmWDShEYU4X8
aytVIsWDFuwXS9w5FhFLPvlNo1MwUTAdBgNVHQ4EFgQU2NiBPP1NBmkND1HGquvM
tSLsOEYwHwYDVR0jBBgwFoAU2NiBPP1NBmkND1HGquvMtSLsOEYwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAFSpZc1csTo9dlqWxbt0EEp7bB/UCw
TLGlkJ12JGJcwgIgP6GLeq9GlqNsh1bikwg9MC0w3P4axvHsj6c+kMANNAs=
-----END CERTIFICATE-----
"""
WAIT_S = 60  # a bound for a test that went wrong, never a pause


class Run:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


def resident_bytes_max(pid):
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise ValueError("no VmHWM")


def nexus(*args, **kwargs):
    done = subprocess.run([NEXUS, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=WAIT_S, **kwargs)
    return Run(done.returncode, done.stdout, done.stderr)


def start(*args, **kwargs):
    return subprocess.Popen([NEXUS, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **kwargs)


def relay(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def finish(process):
    out, err = process.communicate(timeout=WAIT_S)
    return Run(process.returncode, out, err)


class ClientCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.tier = FakeTier()
        self.addCleanup(self.tier.stop)

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, data):
        with open(self.path(name), "wb") as out:
            out.write(data)
        return self.path(name)

    def model(self, params=b"params bytes"):
        return (self.file("synset.txt", b"rose\nbeagle\n"), self.file("m-symbol.json", b'{"nodes":[]}'),
                self.file("m-0000.params", params))

    def client(self, *args, **kwargs):
        return nexus("client", self.tier.address, *args, **kwargs)

    def reply(self, data):
        def answer(method, messages, context):
            self.tier.read_all(messages)
            return data
        self.tier.answer = answer

    def fail_with(self, code, text):
        def answer(method, messages, context):
            self.tier.read_all(messages)
            context.abort(code, text)
        self.tier.answer = answer

    def assert_refused(self, run, *words, out=None):
        """Exit status not 0, and one line on stderr with these words in it."""
        self.assertNotEqual(run.code, 0, run.out + run.err)
        self.assertGreater(run.code, 0, "died of a signal: " + run.err)
        self.assertEqual(run.err.count("\n"), 1, run.err)
        for word in words:
            self.assertIn(word, run.err)
        if out is not None:
            self.assertEqual(run.out, out)

    @property
    def head(self):
        return "Use function tier node: %s\n" % self.tier.address


class Transcripts(ClientCase):
    def test_install(self):
        self.reply(wire.outcome_reply(0, "install model successfully."))
        run = self.client("installmodel", "1", *self.model())
        self.assertEqual(run.out, self.head + "return code:0\ndescription:install model successfully.\n")
        self.assertEqual((run.code, run.err), (0, ""))

    def test_one_tag(self):
        self.reply(wire.blob(1, b"rose"))
        run = self.client("inference", "1", self.file("flower.jpg", b"\xff\xd8 picture"))
        self.assertEqual(run.out, self.head + "photo description:rose\n")
        self.assertEqual((run.code, run.err), (0, ""))

    def test_two_tags(self):
        self.reply(wire.blob(1, b"rose or beagle"))
        run = self.client("inference", "1,2", self.file("flower.jpg", b"\xff\xd8 picture"))
        self.assertEqual(run.out, self.head + "photo description:rose or beagle\n")
        self.assertEqual((run.code, run.err), (0, ""))

    def test_remove(self):
        self.reply(wire.outcome_reply(0, "remove model successfully."))
        run = self.client("removemodel", "7")
        self.assertEqual(run.out, self.head + "return code:0\ndescription:remove model successfully.\n")
        self.assertEqual((run.code, run.err), (0, ""))

    def test_usage_and_version(self):
        bare = nexus()
        self.assertEqual((bare.code, bare.err), (0, ""))
        call = "nexus client <function-tier-node> inference <models> <photo>"
        self.assertIn(call, bare.out)
        for args in (["--help"], ["-h"]):
            run = nexus(*args)
            self.assertEqual((run.code, run.out, run.err), (0, bare.out, ""), args)
        own = nexus("client", "--help")
        self.assertEqual((own.code, own.err), (0, ""))
        self.assertIn(call, own.out)
        self.assertNotIn("nexus server", own.out)
        for args in (["client", "-h"], ["client", "127.0.0.1:1", "--help"], ["client", "127.0.0.1:1", "inference", "-h"]):
            run = nexus(*args)
            self.assertEqual((run.code, run.out, run.err), (0, own.out, ""), args)
        self.assertEqual(nexus("model", "run", "--help").out, nexus("model", "-h").out)
        version = nexus("--version")
        self.assertRegex(version.out, r"\Anexus \d+\.\d+\.\d+\n\Z")
        self.assertEqual(version.code, 0)

    def test_unknown_command(self):
        for command in ("clinet", "", "-x", "--halp"):
            run = nexus(command)
            self.assertEqual((run.code, run.out), (2, ""))
            self.assertEqual(run.err, 'nexus: unknown command "%s"; see nexus --help\n' % command)


class OnTheWire(ClientCase):
    def sent(self):
        self.assertEqual(len(self.tier.calls), 1)
        return self.tier.calls[0]

    def test_install_bytes(self):
        self.reply(wire.outcome_reply(0, "ok"))
        params = os.urandom(600 * 1024)
        synset, symbol, params_path = self.model(params)
        self.assertEqual(self.client("installmodel", "4294967295", synset, symbol, params_path).code, 0)
        method, messages = self.sent()
        self.assertEqual(method, wire.INSTALL)
        metadata = dict(wire.fields(wire.field(messages[0], 1)))
        self.assertEqual([metadata[k] for k in (1, 2, 3, 4)],
                         [4294967295, 12, 12, len(params)])
        self.assertEqual(len(metadata[16]), 16)
        self.assertNotIn(17, metadata)
        self.assertNotIn(18, metadata)
        self.assertNotIn(20, metadata)
        data = b"".join(wire.field(m, 2) for m in messages[1:])
        self.assertEqual(data, b'rose\nbeagle\n{"nodes":[]}' + params)
        self.assertTrue(all(len(wire.field(m, 2)) <= 256 * 1024 for m in messages[1:]))

    def test_request_ids_differ(self):
        self.reply(wire.outcome_reply(0, "ok"))
        for _ in range(2):
            self.assertEqual(self.client("removemodel", "1").code, 0)
        ids = [wire.field(messages[0], 16) for _, messages in self.tier.calls]
        self.assertEqual([len(i) for i in ids], [16, 16])
        self.assertNotEqual(ids[0], ids[1])

    def test_onnx_form(self):
        self.reply(wire.outcome_reply(0, "ok"))
        synset, onnx = self.file("s", b"a\n"), self.file("m.onnx", b"onnx bytes")
        self.assertEqual(self.client("installmodel", "3", synset, onnx).code, 0)
        metadata = dict(wire.fields(wire.field(self.sent()[1][0], 1)))
        self.assertEqual((metadata[2], metadata[3], metadata.get(4, 0), metadata[18]),
                         (2, 10, 0, b"onnx"))

    def test_a_calibration_is_the_last_file(self):
        self.reply(wire.outcome_reply(0, "ok"))
        synset, onnx, calibration = self.file("s", b"a\n"), self.file("m.onnx", b"onnx bytes"), self.file("c", b"ranges\n")
        self.assertEqual(self.client("installmodel", "3", synset, onnx, "--calibration", calibration).code, 0)
        messages = self.sent()[1]
        metadata = dict(wire.fields(wire.field(messages[0], 1)))
        self.assertEqual((metadata[2], metadata[3], metadata.get(4, 0), metadata[20]), (2, 10, 0, 7))
        self.assertEqual(b"".join(wire.field(m, 2) for m in messages[1:]), b"a\nonnx bytesranges\n")

    def test_recipe_name_and_file(self):
        self.reply(wire.outcome_reply(0, "ok"))
        text = "size = 224\nmean = .485 .456 .406 # é\n".encode()
        self.file("imagenet", b"not meant: a name is a name")
        for recipe, expected in (("imagenet", b"imagenet"), (self.file("my.recipe", text), text)):
            self.tier.calls.clear()
            run = self.client("installmodel", "1", *self.model(), "--recipe", recipe, cwd=self.folder)
            self.assertEqual(run.code, 0, run.err)
            self.assertEqual(wire.field(wire.field(self.sent()[1][0], 1), 17), expected)

    def test_photo_bytes(self):
        self.reply(wire.blob(1, b"x"))
        photo = os.urandom(300 * 1024)
        self.assertEqual(self.client("inference", "3,1,0", self.file("p", photo)).code, 0)
        method, messages = self.sent()
        self.assertEqual(method, wire.WHATSTHIS)
        metadata = wire.field(messages[0], 1)
        self.assertEqual(wire.field(metadata, 1), len(photo))
        self.assertEqual(wire.field(metadata, 2), bytes([3, 1, 0]))
        self.assertEqual(b"".join(wire.field(m, 2) for m in messages[1:]), photo)

    def test_models_by_name(self):
        self.reply(wire.blob(1, b"x"))
        photo = self.file("p", b"photo")
        for asked, expected in (("rose", [(b"rose", None)]), ("rose:3", [(b"rose", 3)]), ("7:2", [(b"7", 2)]),
                                ("007,rose,a_b-c.d:18446744", [(b"7", None), (b"rose", None),
                                                               (b"a_b-c.d", 18446744)])):
            with self.subTest(asked=asked):
                self.tier.calls.clear()
                self.assertEqual(self.client("inference", asked, photo).code, 0)
                metadata = wire.field(self.sent()[1][0], 1)
                self.assertIsNone(wire.field(metadata, 2))  # no tags beside them
                self.assertEqual([(wire.field(m, 1), wire.field(m, 2)) for m in [v for k, v in wire.fields(metadata) if k == 16]],
                                 expected)

    def test_a_big_model_needs_little_memory(self):
        seen, sizes, high_water = hashlib.sha256(), [], []

        def answer(method, messages, context):
            for message in messages:
                data = wire.field(message, 2, b"")
                seen.update(data)
                sizes.append(len(data))
                self.tier.calls[-1][1].clear()
            high_water.append(resident_bytes_max(process.pid))
            return wire.outcome_reply(0, "ok")
        self.tier.answer = answer
        block = os.urandom(MIB)
        model = self.model(block * 95)
        process = start("client", self.tier.address, "installmodel", "1", *model)
        run = finish(process)
        self.assertEqual(run.code, 0, run.err)
        whole = hashlib.sha256(b'rose\nbeagle\n{"nodes":[]}' + block * 95)
        self.assertEqual(seen.hexdigest(), whole.hexdigest())
        self.assertLessEqual(max(sizes), 256 * 1024)
        if not SANITIZED:
            self.assertLess(high_water[0], 32 * MIB)


class BadArguments(ClientCase):
    """Nothing is sent: the fake tier sees no call at all."""

    def tearDown(self):
        self.assertEqual(self.tier.calls, [])

    def test_operands(self):
        photo, model = self.file("p", b"x"), self.model()
        for args, word in (
                ([], "missing argument"),
                (["instalmodel", "1"], 'unknown command "instalmodel"'),
                (["installmodel"], "missing argument"),
                (["installmodel", "1"], "missing argument"),
                (["installmodel", "1", *model[:1]], "missing argument"),
                (["installmodel", "1", *model[:2]], "does not end in .onnx"),
                (["installmodel", "1", *model, "more"], 'superfluous argument "more"'),
                (["inference"], "missing argument"),
                (["inference", "1"], "missing argument"),
                (["inference", "1", photo, "more"], 'superfluous argument "more"'),
                (["removemodel"], "missing argument"),
                (["removemodel", "1", "2"], 'superfluous argument "2"'),
                (["removemodel", "1", "--force"], "unknown option --force"),
                (["removemodel", "1", "--timeout"], "--timeout needs a value"),
                (["removemodel", "1", "--recipe", "imagenet"], "--recipe belongs to installmodel"),
        ):
            with self.subTest(args=args):
                self.assert_refused(self.client(*args), word, out="")
        self.assert_refused(nexus("client"), "missing argument", out="")

    def test_tags(self):
        for tag in ("x", "", "1x", "0x1", "+1", " 1", "4294967296", "99999999999999999999999", "1.0",
                    "1,2"):
            with self.subTest(tag=tag):
                self.assert_refused(self.client("removemodel", tag), 'tag "%s"' % tag, out="")
                self.assert_refused(self.client("installmodel", tag, *self.model()), 'tag "%s"' % tag)
        self.assert_refused(self.client("removemodel", "--", "-1"), 'tag "-1"', out="")

    def test_tag_lists(self):
        photo = self.file("p", b"x")
        for tags in ("1,,2", "1,2,", ",1", "", ",", "1 2", "1,4294967296", "1, 2", "rose:", "rose:x",
                     "rose:0", "rose:3:4", ":3", "röschen", "a/b", "x" * 128, "4294967296:1",
                     "rose:99999999999999999999", ",".join(["1"] * 65)):
            with self.subTest(tags=tags):
                self.assert_refused(self.client("inference", tags, photo), "tags", out="")

    def test_node(self):
        for node in ("127.0.0.1", "127.0.0.1:", ":28000", "127.0.0.1:0", "127.0.0.1:65536",
                     "127.0.0.1:http", "::1:28000", "[::1:28000", "", "a b:1", "unix:/tmp/x", "h" * 300 + ":1"):
            with self.subTest(node=node):
                self.assert_refused(nexus("client", node, "removemodel", "1"), "is not host:port", out="")

    def test_timeouts(self):
        for seconds in ("0", "-1", "x", "1.5", "86401", "", "99999999999"):
            with self.subTest(seconds=seconds):
                self.assert_refused(self.client("removemodel", "1", "--timeout=" + seconds),
                                    '--timeout "%s"' % seconds, out="")

    def test_recipes(self):
        model = self.model()
        for recipe, word in (
                ("", 'recipe ""'), ("ImageNet", 'recipe "ImageNet"'),
                (self.path("no.recipe"), "No such file"),
                (self.file("empty.recipe", b""), "is empty"),
                (self.file("nul.recipe", b"a\0b"), "not UTF-8"),
                (self.file("latin.recipe", b"\xe9t\xe9"), "not UTF-8"),
                (self.file("big.recipe", b"a" * 70000), "70000 bytes"),
                (self.folder, "is a directory")):
            with self.subTest(recipe=recipe):
                self.assert_refused(self.client("installmodel", "1", *model, "--recipe", recipe), word,
                                    out="")


class BadFiles(ClientCase):
    def tearDown(self):
        self.assertEqual(self.tier.calls, [])

    def check(self, path, word):
        good = self.model()
        self.assert_refused(self.client("inference", "1", path), path, word, out="")
        for i in range(3):
            paths = [*good[:i], path, *good[i + 1:]]
            self.assert_refused(self.client("installmodel", "1", *paths), path, word, out="")

    def test_missing(self):
        self.check(self.path("nothing"), "No such file or directory")

    def test_directory(self):
        self.check(self.folder, "is a directory")

    def test_empty(self):
        self.check(self.file("empty", b""), "is empty")

    def test_fifo(self):
        os.mkfifo(self.path("fifo"))
        self.check(self.path("fifo"), "not a plain file")

    def test_device(self):
        self.check("/dev/zero", "not a plain file")

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_unreadable(self):
        os.chmod(self.file("secret", b"x"), 0)
        self.check(self.path("secret"), "Permission denied")

    def test_over_4_gib(self):
        path = self.file("huge", b"")
        os.truncate(path, 1 << 32)
        self.check(path, "4294967296 bytes")


class BadNodes(ClientCase):
    def listener(self):
        taker = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taker.close)
        return taker, "127.0.0.1:%d" % taker.getsockname()[1]

    def test_nobody_listens(self):
        taker, address = self.listener()
        taker.close()
        run = nexus("client", address, "removemodel", "1")
        self.assert_refused(run, "no function tier node answers at %s: connection refused" % address,
                            out="Use function tier node: %s\n" % address)

    def test_unknown_host(self):
        run = nexus("client", "no-such-host.invalid:1", "removemodel", "1")
        self.assert_refused(run, "no function tier node answers at no-such-host.invalid:1: ")

    def test_silent_listener(self):
        _, address = self.listener()
        begun = time.monotonic()
        run = nexus("client", address, "removemodel", "1", "--timeout", "1")
        self.assert_refused(run, "no function tier node answers at %s" % address)
        self.assertLess(time.monotonic() - begun, 20)

    def answers(self, says):
        """Something that says this to whoever comes, and hangs up."""
        taker, address = self.listener()

        def talk():
            while True:
                try:
                    peer, _ = taker.accept()
                    peer.sendall(says)
                    peer.shutdown(socket.SHUT_WR)
                    with peer:
                        while peer.recv(4096):
                            pass
                except OSError:
                    return
        threading.Thread(target=talk, daemon=True).start()
        return address

    def test_not_grpc(self):
        """What no further attempt would change is told at once, and by its cause."""
        settings = bytes(3) + b"\4" + bytes(5)
        ca = self.file("ca.pem", CERTIFICATE)
        for says, flags, words in (
                (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", (), "does not speak gRPC"),
                (b"\x15\x03\x03\x00\x02\x02\x46", (), "wants TLS (--ca)"),
                (settings, ("--ca", ca), "speaks gRPC without TLS"),
                (b"\x15\x03\x03\x00\x02\x02\x46", ("--ca", ca), "no TLS connection could be agreed on")):
            with self.subTest(words=words):
                address = self.answers(says)
                run = nexus("client", address, "removemodel", "1", *flags)
                self.assert_refused(run, "no function tier node answers at %s: " % address, words)

    def test_one_that_hangs_up(self):
        address = self.answers(b"")
        run = nexus("client", address, "removemodel", "1", "--timeout", "1")
        self.assert_refused(run, "no function tier node answers at %s: " % address, "hangs up")

    def test_a_node_that_is_found_later(self):
        """The first connections are hung up, as by a node that starts, or makes room: the client comes again."""
        self.reply(wire.outcome_reply(0, "ok"))
        taker, address = self.listener()
        host, port = self.tier.address.rsplit(":", 1)

        def serve():
            for _ in range(3):
                taker.accept()[0].close()
            while True:
                peer, _ = taker.accept()
                tier = socket.create_connection((host, int(port)))
                for pair in ((peer, tier), (tier, peer)):
                    threading.Thread(target=relay, args=pair, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
        run = nexus("client", address, "removemodel", "1")
        self.assertEqual((run.code, run.err), (0, ""), run.out)

    def test_proxy_of_the_environment_is_not_asked(self):
        self.reply(wire.outcome_reply(0, "ok"))
        env = dict(os.environ, http_proxy="http://127.0.0.1:9", grpc_proxy="http://127.0.0.1:9")
        self.assertEqual(self.client("removemodel", "1", env=env).code, 0)


class Answers(ClientCase):
    def test_refusal_in_the_reply(self):
        self.reply(wire.outcome_reply(-17, "tag 1 is installed already"))
        for args in (["installmodel", "1", *self.model()], ["removemodel", "1"]):
            run = self.client(*args)
            self.assert_refused(run, "return code -17", "tag 1 is installed already",
                                out=self.head + "return code:-17\ndescription:tag 1 is installed already\n")

    def test_status(self):
        self.fail_with(grpc.StatusCode.NOT_FOUND, "tag 9 is not installed")
        for args in (["installmodel", "1", *self.model()], ["removemodel", "9"],
                     ["inference", "9", self.file("p", b"x")]):
            run = self.client(*args)
            self.assert_refused(run, "tag 9 is not installed", "NOT_FOUND", out=self.head)

    def test_unknown_method(self):
        bare = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
        port = bare.add_insecure_port("127.0.0.1:0")
        bare.start()
        self.addCleanup(lambda: bare.stop(None).wait(5))
        run = nexus("client", "127.0.0.1:%d" % port, "removemodel", "1")
        self.assert_refused(run, "UNIMPLEMENTED")

    def test_refusal_before_the_upload_is_read(self):
        def answer(method, messages, context):
            next(messages)
            return wire.outcome_reply(3, "tag 1 is installed already")
        self.tier.answer = answer
        run = self.client("installmodel", "1", *self.model(b"\0" * (32 * MIB)))
        self.assert_refused(run, "tag 1 is installed already")

    def test_success_before_the_upload_is_read_is_no_success(self):
        def answer(method, messages, context):
            next(messages)
            return wire.outcome_reply(0, "install model successfully.")
        self.tier.answer = answer
        run = self.client("installmodel", "1", *self.model(b"\0" * (32 * MIB)))
        self.assert_refused(run, "answered before all of the request was sent")

    def test_replies_that_overtake_the_half_close(self):
        """A server that counts answers as soon as the last byte is there: no reason for a complaint."""
        def answer(method, messages, context):
            left = None
            for message in messages:
                sizes = dict(wire.fields(wire.field(message, 1, b"")))
                left = sum(sizes[k] for k in (2, 3, 4)) if left is None else \
                    left - len(wire.field(message, 2))
                if left == 0:
                    return wire.outcome_reply(0, "ok")
        model = self.model()
        for _ in range(25):
            self.tier.answer = lambda method, messages, context: wire.outcome_reply(0, "ok")
            self.assertEqual(self.client("removemodel", "1").err, "")
            self.tier.answer = answer
            self.assertEqual(self.client("installmodel", "1", *model).err, "")

    def test_malformed_replies(self):
        for reply in (b"\x08", b"\x12\x7fshort", b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 30, b"\x03"):
            with self.subTest(reply=reply):
                self.reply(reply)
                self.assert_refused(self.client("removemodel", "1"), "malformed", out=self.head)
                run = self.client("inference", "1", self.file("p", b"x"))
                self.assert_refused(run, "malformed", out=self.head)

    def test_oversized_reply(self):
        self.reply(wire.blob(1, b"x" * (2 * MIB)))
        run = self.client("inference", "1", self.file("p", b"x"))
        self.assert_refused(run, "RESOURCE_EXHAUSTED", out=self.head)

    def test_text_moves_no_cursor(self):
        self.reply(wire.blob(1, "ro\n\x1b[2Jse\x9b1m Röschen".encode()))
        run = self.client("inference", "1", self.file("p", b"x"))
        self.assertEqual(run.out, self.head + "photo description:ro??[2Jse?1m Röschen\n")
        self.assertEqual(run.code, 0)

    def test_unknown_fields_of_a_later_server(self):
        self.reply(wire.blob(1, b"rose") + wire.blob(16, b"\0\0\x80?") + wire.blob(17, b"rose") +
                   wire.blob(99, b"later"))
        self.assertEqual(self.client("inference", "1", self.file("p", b"x")).out,
                         self.head + "photo description:rose\n")

    def test_deadline(self):
        done = threading.Event()
        self.addCleanup(done.set)
        self.tier.answer = lambda method, messages, context: done.wait(WAIT_S) and b""
        run = self.client("removemodel", "1", "--timeout", "5")
        self.assert_refused(run, "%s gave no answer within 5 s" % self.tier.address, out=self.head)

    def test_node_dies_during_the_call(self):
        self.tier.answer = lambda method, messages, context: self.tier.ended.wait(WAIT_S) and b""
        process = start("client", self.tier.address, "removemodel", "1")
        self.assertTrue(self.tier.began.wait(WAIT_S))
        self.tier.stop()
        self.assert_refused(finish(process), self.tier.address)

    def test_closed_output(self):
        self.reply(wire.blob(1, b"rose"))
        with open("/dev/full", "w") as full:
            done = subprocess.run([NEXUS, "client", self.tier.address, "inference", "1",
                                   self.file("p", b"x")], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=WAIT_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write the answer", done.stderr)


class Midway(ClientCase):
    def hold(self):
        """The tier reads one message of the upload and then waits for `resume`."""
        resume = threading.Event()
        self.addCleanup(resume.set)

        def answer(method, messages, context):
            next(messages)
            resume.wait(WAIT_S)
            self.tier.read_all(messages)
            return wire.outcome_reply(0, "ok")
        self.tier.answer = answer
        return resume

    def interrupt(self, number, code):
        self.hold()
        process = start("client", self.tier.address, "installmodel", "1", *self.model(b"\0" * (32 * MIB)))
        self.assertTrue(self.tier.began.wait(WAIT_S))
        process.send_signal(number)
        run = finish(process)
        self.assertEqual(run.code, code, run.err)
        self.assertEqual(run.err, "nexus client: interrupted\n")
        self.assertTrue(self.tier.ended.wait(WAIT_S))  # the call was cancelled, not left open

    def test_control_c(self):
        self.interrupt(signal.SIGINT, 130)

    def test_terminate(self):
        self.interrupt(signal.SIGTERM, 143)

    def test_control_c_while_waiting_for_the_answer(self):
        self.tier.answer = lambda method, messages, context: self.tier.ended.wait(WAIT_S) and b""
        process = start("client", self.tier.address, "removemodel", "1")
        self.assertTrue(self.tier.began.wait(WAIT_S))
        process.send_signal(signal.SIGINT)
        self.assertEqual(finish(process).code, 130)

    def change(self, how, word):
        resume = self.hold()
        synset, symbol, params = self.model(b"\0" * (32 * MIB))
        process = start("client", self.tier.address, "installmodel", "1", synset, symbol, params)
        self.assertTrue(self.tier.began.wait(WAIT_S))
        how(params)
        resume.set()
        self.assert_refused(finish(process), params, word)
        self.assertTrue(self.tier.ended.wait(WAIT_S))
        received = sum(len(wire.field(m, 2, b"")) for m in self.tier.calls[0][1])
        self.assertLess(received, 24 + 32 * MIB)  # a receiver that counts never had it whole

    def test_file_shrinks(self):
        self.change(lambda path: os.truncate(path, 31 * MIB), "and now has 32505856")

    def test_file_grows(self):
        self.change(lambda path: os.truncate(path, 33 * MIB), "and now has 34603008")

    def test_file_is_rewritten(self):
        self.change(lambda path: os.utime(path, (1, 1)), "was written to")

    def test_progress_only_on_a_terminal(self):
        self.reply(wire.outcome_reply(0, "ok"))
        model = self.model(b"\0" * (9 * MIB))
        self.assertEqual(self.client("installmodel", "1", *model).err, "")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        done = subprocess.run([NEXUS, "client", self.tier.address, "installmodel", "1", *model],
                              stdout=subprocess.PIPE, stderr=theirs, timeout=WAIT_S)
        os.close(theirs)
        self.assertEqual(done.returncode, 0)
        shown = os.read(ours, 65536)
        self.assertIn(b"sent 9 of 9 MiB", shown)
        self.assertIn(b"\r[" + b"#" * 30 + b"] 100 %  sent 9", shown)
        self.assertRegex(shown, rb"\r\[#{3}\.{27}\]  1[01] %  sent 1 of 9 MiB")
        self.assertTrue(shown.endswith(b"\r\x1b[K"))


if __name__ == "__main__":
    NEXUS = os.path.abspath(sys.argv.pop(1))
    if "--sanitized" in sys.argv:
        sys.argv.remove("--sanitized")
        SANITIZED = True
    unittest.main()
