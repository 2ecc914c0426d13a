#!/usr/bin/env python3
"""Every bad input gets its answer, leaves no trace, and leaves the service serving (tearDown asks it)."""

import socket
import threading
import time

import grpc

import harness
import sosp_wire as wire
import tiny_model
from harness import GroupCase, Wire

MIB = 1 << 20


class BadModels(GroupCase):
    def refuse(self, what, *words, **files):
        """Refused with a reason; then the tag is free: unknown to a query, and good for a good model."""
        with self.subTest(what=what):
            answer = self.group.client("installmodel", "2", *self.model("bad", **files))
            self.assert_refused_by_return_code(answer, *words)
            self.assert_refused(self.group.client("inference", "2", self.photo), "tag 2")

    def tearDown(self):
        self.assert_done(self.group.client("installmodel", "2", *self.good_model))
        self.assert_done(self.group.client("removemodel", "2"))
        super().tearDown()

    def test_params(self):
        for what, params in tiny_model.spoiled_params():
            self.refuse(what, params=params)

    def test_symbols(self):
        for what, symbol in tiny_model.spoiled_symbols():
            self.refuse(what, symbol=symbol)

    def test_the_reason_names_the_thing(self):
        symbols, params = dict(tiny_model.spoiled_symbols()), dict(tiny_model.spoiled_params())
        self.refuse("an unknown op", "Frobnicate", symbol=symbols["an unknown op"])
        self.refuse("a cycle", "pool", symbol=symbols["a cycle"])
        self.refuse("a shape mismatch", "fc", symbol=symbols["a shape mismatch"])
        self.refuse("no array of that name", "fc_weight", params=params["no array of that name"])

    def test_synsets(self):
        self.refuse("fewer lines than outputs", "2", "3", synset=b"red\ngreen\n")
        self.refuse("not text", synset=b"\xff\xfe\0\0" * 3)

    def test_files_in_the_wrong_order(self):
        synset, symbol, params = self.good_model
        for order in ((symbol, synset, params), (synset, params, symbol), (params, symbol, synset)):
            self.assert_refused_by_return_code(self.group.client("installmodel", "2", *order))

    def test_duplicate_tag(self):
        again = self.group.client("installmodel", "1", *self.good_model)
        self.assert_refused_by_return_code(again, "tag 1")
        other = self.model("flowers", synset=tiny_model.synset(tiny_model.FLOWERS))
        self.assert_refused_by_return_code(self.group.client("installmodel", "1", *other), "tag 1")
        self.assert_serving()  # the first model, still

    def test_recipes(self):
        for recipe in ("no-such-recipe", self.file("odd.recipe", b"size = -1\nfilter = magic\n")):
            answer = self.group.client("installmodel", "2", *self.good_model, "--recipe", recipe)
            self.assert_refused_by_return_code(answer)

    def test_onnx_that_is_none(self):
        synset, symbol, params = self.good_model
        for what, data, words in (("text", b"this is not onnx", ("not a whole ONNX file",)),
                                  ("versions and no graph", b"\x08\x08\x42\x02\x10\x0d", ("graph",)),
                                  ("an old opset", b"\x08\x08\x42\x02\x10\x05", ("opset 5",)),
                                  ("a length past the end", b"\x08\x08\x3a\xff\xff\xff\xff\x07", ("ONNX",)),
                                  ("MXNet's symbol", self.bytes_of(symbol), ("ONNX",)),
                                  ("MXNet's params", self.bytes_of(params), ("ONNX",))):
            with self.subTest(what=what):
                answer = self.group.client("installmodel", "2", synset, self.file("m.onnx", data))
                self.assert_refused_by_return_code(answer, *words)
                self.assert_refused(self.group.client("inference", "2", self.photo), "tag 2")

    @staticmethod
    def bytes_of(path):
        with open(path, "rb") as file:
            return file.read()


class BadPhotos(GroupCase):
    def test_photos(self):
        for what, photo in tiny_model.spoiled_photos():
            with self.subTest(what=what):
                self.assert_refused(self.group.client("inference", "1", self.file("bad.png", photo)))

    def test_the_reason_names_the_size(self):
        photo = self.file("huge.png", tiny_model.png(claimed=(100000, 100000)))
        self.assert_refused(self.group.client("inference", "1", photo), "100000")

    def test_an_output_that_is_no_number(self):
        """NaN weights load, but what they say about a photo is no answer."""
        nan = float("nan")
        params = tiny_model.params({"arg:fc_weight": ((3, 3), (1, 0, 0, 0, nan, 0, 0, 0, 1))})
        self.assert_done(self.group.client("installmodel", "5", *self.model("nan", params=params)))
        self.assert_refused(self.group.client("inference", "5", self.photo), "not finite")
        self.assert_done(self.group.client("removemodel", "5"))

    def test_tags_that_hold_nothing(self):
        self.assert_refused(self.group.client("inference", "9", self.photo), "tag 9")
        self.assert_refused(self.group.client("inference", "1,9", self.photo), "tag 9")
        self.assert_refused_by_return_code(self.group.client("removemodel", "9"), "tag 9")


class BadStreams(GroupCase):
    """What no client of ours sends. Each is refused: by a status, or by a return code."""

    def setUp(self):
        self.files = tiny_model.synset(), tiny_model.symbol(), tiny_model.params()
        self.whole = b"".join(self.files)
        self.sizes = [len(f) for f in self.files]

    def test_an_upload_that_stalls_gives_its_room_back(self):
        """It announces all the memory there is and sends no byte more; after a while others have room again."""
        start = wire.install_start(7, MIB, MIB, 4000 * MIB)
        with Wire(self.group.address()) as calls:
            stalled = calls.start_stream(wire.INSTALL, self.stall(start), timeout_s=60)
            with self.assertRaises(grpc.RpcError) as ended:
                stalled.result()
            self.assertEqual(ended.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED, ended.exception)
        self.assert_done(self.group.client("installmodel", "7", *self.model()))
        self.assert_done(self.group.client("removemodel", "7"))

    @staticmethod
    def stall(first):
        yield first
        time.sleep(40)

    def refuse(self, what, method, messages, timeout_s=None):
        with self.subTest(what=what), Wire(self.group.address()) as calls:
            try:
                reply = calls.stream(method, messages, timeout_s)
            except grpc.RpcError as error:
                self.assertNotIn(error.code(), (grpc.StatusCode.DEADLINE_EXCEEDED,
                                                grpc.StatusCode.UNKNOWN), what)
                self.assertTrue(error.details(), what)
                return
            self.assertEqual(method, wire.INSTALL, "answered: %r" % reply)
            code, text = wire.outcome(reply)
            self.assertNotEqual(code, 0, text)
            self.assertTrue(text)

    def test_installs(self):
        start = wire.install_start(2, *self.sizes)
        for what, messages in (
                ("nothing at all", []),
                ("no metadata", wire.chunks(self.whole)),
                ("an empty first message", [b"", *wire.chunks(self.whole)]),
                ("metadata and no bytes", [start]),
                ("a byte too few", [start, wire.chunk(self.whole[:-1])]),
                ("a byte too many", [start, wire.chunk(self.whole + b"\0")]),
                ("a chunk too many", [start, wire.chunk(self.whole), wire.chunk(b"x" * MIB)]),
                ("metadata twice", [start, start, wire.chunk(self.whole)]),
                ("metadata in the middle", [start, wire.chunk(self.whole[:50]), start,
                                            wire.chunk(self.whole[50:])]),
                ("no sizes", [wire.install_start(2, 0, 0, 0)]),
                ("an empty file", [wire.install_start(2, 0, *self.sizes[1:]),
                                   wire.chunk(self.whole[self.sizes[0]:])]),
                ("not protobuf", [b"\xff" * 40]),
                ("a cut message", [start, wire.chunk(self.whole)[:-5]]),
                ("a length beyond the end", [start, b"\x12\xff\xff\xff\x7f" + b"x" * 9]),
                ("a recipe that is not UTF-8", [wire.install_start(
                    2, *self.sizes, extra=wire.blob(17, b"\xff\xfe")), wire.chunk(self.whole)]),
                ("a format nobody knows", [wire.install_start(
                    2, *self.sizes, extra=wire.blob(18, b"caffe")), wire.chunk(self.whole)]),
                ("a request id too long", [wire.install_start(
                    2, *self.sizes, extra=wire.blob(16, b"i" * 100000)), wire.chunk(self.whole)])):
            self.refuse(what, wire.INSTALL, messages)
        with Wire(self.group.address()) as calls:  # nothing of it stayed
            self.assertEqual(calls.install(2, *self.files)[0], 0)
            self.assertEqual(calls.remove(2)[0], 0)

    def test_photos(self):
        photo = tiny_model.png()
        start = wire.photo_start(len(photo), [1])
        for what, messages in (
                ("nothing at all", []),
                ("no metadata", wire.chunks(photo)),
                ("metadata and no bytes", [start]),
                ("a byte too few", [start, wire.chunk(photo[:-1])]),
                ("a byte too many", [start, wire.chunk(photo + b"\0")]),
                ("metadata twice", [start, start, wire.chunk(photo)]),
                ("no tag", [wire.photo_start(len(photo), []), wire.chunk(photo)]),
                ("ten thousand tags", [wire.photo_start(len(photo), [1] * 10000), wire.chunk(photo)]),
                ("no size", [wire.photo_start(0, [1])]),
                ("not protobuf", [b"\x0a\xff\xff\xff\xff\xff"]),
                ("a tag that holds nothing", [wire.photo_start(len(photo), [9]), wire.chunk(photo)])):
            self.refuse(what, wire.WHATSTHIS, messages)

    def test_sizes_that_no_memory_is_taken_for(self):
        """Announced, not sent: refused or awaited, but nothing is allocated for it."""
        before = self.group.nodes[0].resident_bytes()
        stop = threading.Event()
        self.addCleanup(stop.set)

        def announced(start):
            yield start
            stop.wait(harness.WAIT_S)
        with Wire(self.group.address()) as calls:
            huge = 0xFFFFFFFF
            starts = ((wire.INSTALL, wire.install_start(2, huge, huge, huge)),
                      (wire.WHATSTHIS, wire.photo_start(huge, [1])))
            futures = [calls.start_stream(method, announced(start))
                       for _ in range(20) for method, start in starts]
            self.assertEqual(calls.whatsthis([1], tiny_model.png()), "red")
            self.assertLess(self.group.nodes[0].resident_bytes() - before, 256 * MIB)
            stop.set()
            for future in futures:
                if future.exception(harness.WAIT_S) is None:  # then it is an install's return code
                    self.assertNotEqual(wire.outcome(future.result())[0], 0)

    def test_an_upload_that_is_given_up(self):
        """Cancelled half way, many times: no trace, no descriptor, no memory kept."""
        params = tiny_model.params() + bytes(4 * MIB)
        start = wire.install_start(2, self.sizes[0], self.sizes[1], len(params))
        self.assert_serving()
        files = self.group.nodes[0].open_files()
        for _ in range(20):
            half_sent, resume = threading.Event(), threading.Event()

            def upload():
                yield start
                yield from wire.chunks(self.whole[:-10] + bytes(2 * MIB))
                half_sent.set()
                resume.wait(harness.WAIT_S)
            with Wire(self.group.address()) as calls:
                future = calls.start_stream(wire.INSTALL, upload())
                self.assertTrue(half_sent.wait(harness.WAIT_S))
                future.cancel()
                resume.set()
        self.assert_serving()
        harness.wait_until(lambda: self.group.nodes[0].open_files() < files + 10,
                           "descriptors of cancelled calls stay open")
        with Wire(self.group.address()) as calls:
            self.assertEqual(calls.install(2, *self.files)[0], 0)
            self.assertEqual(calls.remove(2)[0], 0)

    def test_unknown_methods(self):
        with Wire(self.group.address()) as calls:
            for method in ("/sospdemo.FunctionTierService/Frobnicate", "/no.Such/Service"):
                with self.assertRaises(grpc.RpcError) as caught:
                    calls.unary(method, b"")
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_bad_removals(self):
        with Wire(self.group.address()) as calls:
            self.assertNotEqual(calls.remove(9)[0], 0)
            for message in (b"\xff\xff", b"\x08"):
                with self.assertRaises(grpc.RpcError):
                    calls.unary(wire.REMOVE, message)

    def test_strangers_on_the_port(self):
        """Bytes that are no HTTP/2, and connections that say nothing, cost nobody else anything."""
        host, port = self.group.address().split(":")
        silent = [socket.create_connection((host, int(port))) for _ in range(50)]
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096,
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 999):
            with socket.create_connection((host, int(port))) as stranger:
                stranger.sendall(data)
                self.assert_serving()
        for connection in silent:
            connection.close()

    def fabric_port(self, k):
        """The port of node k that no configuration names."""
        known = self.group.gms_ports + self.group.client_ports
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return [int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and
                row[9] in self.group.nodes[k].socket_inodes() and int(row[1].split(":")[1], 16) not in known][0]

    def test_strangers_on_the_fabric_port(self):
        """Ten thousand call where only members do, at a time when none is awaited: nothing is kept of them, and the node sleeps."""
        node, at = self.group.nodes[1], ("127.0.0.1", self.fabric_port(1))
        before = node.open_files()
        for _ in range(20):
            batch = [socket.socket() for _ in range(500)]
            for stranger in batch:
                stranger.setblocking(False)
                stranger.connect_ex(at)
            self.assertLess(node.open_files(), before + 8)
            for stranger in batch:
                stranger.close()
        harness.wait_until_asleep([node], 2, 0.1)
        self.assertLess(node.open_files(), before + 8)
        self.assert_serving()

    def test_bytes_on_the_group_port(self):
        """The group's own port is open to strangers as well."""
        for port in self.group.gms_ports:
            for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, b""):
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=harness.WAIT_S) as stranger:
                        stranger.sendall(data)
                except OSError:
                    pass  # closed to strangers once the group stands: as good
        self.assert_serving()


if __name__ == "__main__":
    harness.main()
