"""Attacks on the wire, each while an honest client goes on being served."""
import threading
import time

from grpc_clients import Client, answer_of, wait_for
from grpc_harness import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, MEMORY_FACTOR,
                          PING, PREFACE, PRIORITY, RST, SETTINGS, WAIT_S, WINDOW, Raw, Server, frame,
                          literal, message, request_headers, run)

MEMORY_KIB_MAX = 60 * 1024 * MEMORY_FACTOR
RST_CANCEL = (8).to_bytes(4, "big")


class Honest:
    """A client that asks all the time, in a thread; every answer must be right."""

    def __init__(self, server):
        self.client, self.answers, self.errors = Client(server), 0, []
        self.stopping = False
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()

    def ask(self):
        while not self.stopping:
            try:
                assert self.client.unary("Unary", b"honest", timeout=WAIT_S) == b"honest"
                self.answers += 1
            except Exception as error:
                self.errors.append(error)
            time.sleep(0.002)

    def __enter__(self):
        wait_for(lambda: self.answers > 0)
        return self

    def __exit__(self, kind, *_):
        before = self.answers
        if kind is None:
            wait_for(lambda: self.answers > before + 10 or self.errors)
        self.stopping = True
        self.thread.join()
        if kind is None:
            assert not self.errors, self.errors[:3]
            assert self.client.stats()["peak_kib"] < MEMORY_KIB_MAX, self.client.stats()
        self.client.channel.close()


def attack(server, build, seconds=0.7, expect_hang_up=True):
    """Sends build(n) over and over, in a new connection whenever the server hangs up; so long, and until it did once."""
    begun, hang_ups, sent, raw = time.monotonic(), 0, 0, Raw(server)
    while time.monotonic() < begun + (WAIT_S if expect_hang_up and not hang_ups else seconds):
        if not raw.send(build(sent)):
            hang_ups += 1
            raw.close()
            raw, sent = Raw(server), 0
            continue
        sent += 1
        raw.socket.setblocking(False)
        try:
            while raw.socket.recv(1 << 20):
                pass
        except OSError:
            pass
        raw.socket.settimeout(WAIT_S)
    raw.close()
    assert hang_ups > 0 or not expect_hang_up
    return hang_ups


def rapid_reset():
    block = request_headers(b"/test.Echo/Slow")

    def resets(n):
        ids = range(n * 200 + 1, n * 200 + 201, 2)
        return b"".join(frame(HEADERS, END_HEADERS, i, block) + frame(RST, 0, i, RST_CANCEL)
                        for i in ids)

    with Server() as server, Honest(server):
        attack(server, resets)


def streams_over_the_limit():
    block = request_headers(b"/test.Echo/Slow")

    def requests(n):
        return b"".join(frame(HEADERS, END_HEADERS, i, block)
                        for i in range(n * 200 + 1, n * 200 + 201, 2))

    with Server() as server, Honest(server):
        attack(server, requests)


def continuation_flood():
    def continuations(n):
        start = frame(HEADERS, 0, 1, request_headers()) if n == 0 else b""
        return start + frame(CONTINUATION, 0, 1, literal(b"x-flood", b"f" * 100)) * 50

    def empty(n):
        start = frame(HEADERS, 0, 1, request_headers()) if n == 0 else b""
        return start + frame(CONTINUATION, 0, 1, b"") * 500

    with Server() as server, Honest(server):
        attack(server, continuations)
        attack(server, empty, expect_hang_up=False)  # older nghttp2 only pays for them


def one_huge_header_list():
    """Over the limit the call is refused; far over it the connection goes."""
    fat = b"".join(literal(b"x-%03d" % i, b"v" * 120) for i in range(120))  # 128 bytes each
    with Server() as server, Honest(server):
        raw = Raw(server)
        raw.send(frame(HEADERS, 0, 1, request_headers()) + frame(CONTINUATION, END_HEADERS, 1, fat))
        answers = [kind for kind, _ in answer_of(raw, 1)]
        assert answers == [HEADERS], answers
        raw.send(frame(HEADERS, 0, 3, request_headers()) + frame(CONTINUATION, 0, 3, fat) * 6)
        assert raw.hung_up()


def control_frame_floods():
    settings = frame(SETTINGS, 0, 0, b"") * 500
    pings = frame(PING, 0, 0, b"12345678") * 500
    acked = frame(PING, ACK, 0, b"12345678") * 500
    priorities = b"".join(frame(PRIORITY, 0, 2 * i + 1, b"\0\0\0\0\1") for i in range(500))
    with Server() as server, Honest(server):
        for flood in (settings, pings, acked, priorities):
            attack(server, lambda n, flood=flood: flood, 0.7)


def empty_data_flood():
    def empties(n):
        start = frame(HEADERS, END_HEADERS, 1, request_headers(b"/test.Echo/Sum")) if n == 0 else b""
        return start + frame(DATA, 0, 1, b"") * 500

    with Server() as server, Honest(server):
        attack(server, empties)


def nobody_reads_the_answers():
    """Requests without end, and no answer ever read: what is unsent stays bounded."""
    block = request_headers(b"/test.Echo/Nothing")
    with Server("stall_ms=1500") as server, Honest(server):
        deaf = [Raw(server, receive_buffer=4096) for _ in range(20)]
        for raw in deaf:
            raw.socket.settimeout(0.3)
            for n in range(200):
                if not raw.send(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
                                         for stream in range(n * 200 + 1, n * 200 + 201, 2))):
                    break
        with Client(server) as client:
            wait_for(lambda: client.stats()["connections"] <= 2)


def a_big_reply_into_a_full_socket():
    window = b"\x7f\xff\x00\x00"
    with Server("stall_ms=3000") as server, Honest(server), Client(server) as client:
        assert client.stats()["buffered"] < 100000
        raw = Raw(server, settings=b"\x00\x04" + window, receive_buffer=4096)
        raw.send(frame(WINDOW, 0, 0, window))
        for stream in range(1, 21, 2):
            raw.send(frame(HEADERS, END_HEADERS, stream, request_headers(b"/test.Echo/Big"))
                     + frame(DATA, END_STREAM, stream, message(b"2000000")))
        wait_for(lambda: client.stats()["buffered"] > 5000000)
        wait_for(lambda: client.stats()["buffered"] < 100000)
        wait_for(lambda: client.stats()["connections"] <= 2)
        raw.close()


def slow_reader_of_a_big_reply():
    """No window for the reply: the call must not stay for ever."""
    no_window = b"\x00\x04\x00\x00\x00\x00"
    with Server("stall_ms=3000") as server, Honest(server), Client(server) as client:
        assert client.stats()["buffered"] < 100000
        raw = Raw(server, settings=no_window)
        for stream in range(1, 21, 2):
            raw.send(frame(HEADERS, END_HEADERS, stream, request_headers(b"/test.Echo/Big"))
                     + frame(DATA, END_STREAM, stream, message(b"1000000")))
        wait_for(lambda: client.stats()["buffered"] > 9000000)
        wait_for(lambda: client.stats()["buffered"] < 100000)
        raw.close()


def slow_writers():
    """An upload that stops, and a request of which half a header comes."""
    with Server("stall_ms=500") as server, Honest(server):
        stopped, half, silent = Raw(server), Raw(server), Raw(server, greet=False)
        stopped.send(frame(HEADERS, END_HEADERS, 1, request_headers(b"/test.Echo/Sum"))
                     + frame(DATA, 0, 1, b"\0\0\0\1\0abc"))
        half.send(frame(HEADERS, 0, 1, request_headers())[:20])
        silent.send(PREFACE[:10])
        with Client(server) as client:
            wait_for(lambda: client.stats()["wire"] == 1)
        assert any(kind == HEADERS for kind, *_ in stopped.frames())
        assert silent.hung_up()


def streams_that_say_nothing():
    """Three clients open every stream that they may, and leave it at that."""
    with Server("calls=100") as server:
        silent = [Raw(server) for _ in range(3)]
        for raw in silent:
            raw.send(b"".join(frame(HEADERS, END_HEADERS, stream, request_headers(b"/test.Echo/Sum"))
                              for stream in range(1, 201, 2)))
        # Each may hold as many as it leaves free: 50, 25 and 13, or 25 each, by the order they are read in.
        with Honest(server) as honest:
            wait_for(lambda: honest.client.stats()["calls"] > 70)
            calls = honest.client.stats()["calls"]
            assert calls <= 88 + 6, calls  # the honest ones have half of the last twelve
        for raw in silent:
            raw.close()


def half_open_connections_over_the_limit():
    with Server("connections=20") as server, Honest(server) as honest:
        strangers = []
        for _ in range(100):
            strangers.append(Raw(server, greet=False))
            time.sleep(0.002)
        wait_for(lambda: honest.client.stats()["evicted"] >= 60)
        assert honest.client.stats()["connections"] <= 20


def out_of_descriptors():
    """More connections than descriptors, all busy; then they go, and the listener still lives."""
    with Server("connections=1000", descriptors=40) as server:
        with Honest(server):
            busy = []
            for _ in range(100):
                raw = Raw(server)
                raw.send(frame(HEADERS, END_HEADERS, 1, request_headers(b"/test.Echo/Sum"))
                         + frame(PING, 0, 0, b"12345678"))
                any(kind == PING for kind, *_ in raw.frames())  # served, or hung up on
                busy.append(raw)
            for raw in busy:
                raw.close()
        with Client(server) as late:
            assert late.unary("Unary", b"late", timeout=WAIT_S) == b"late"
            stats = late.stats()
            assert stats["refused"] > 50, stats


def nonsense():
    with Server() as server, Honest(server):
        for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" * 50, b"\0" * 4096):
            raw = Raw(server, greet=False)
            raw.send(junk)
            assert raw.hung_up(), junk[:10]
        for bad in (frame(DATA, 0, 0, b"x"), frame(HEADERS, END_HEADERS, 2, request_headers()),
                    frame(WINDOW, 0, 0, b"\0\0\0\0"), frame(SETTINGS, 0, 0, b"12345"),
                    frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff"),
                    frame(5, 0, 1, b"\0\0\0\2"), frame(DATA, 0, 1, b"x" * 20000)):
            raw = Raw(server)
            raw.send(bad)
            assert raw.hung_up(), bad[:12]


def resets_while_messages_are_held():
    block = request_headers(b"/test.Echo/Trickle")

    def held(n):
        ids = range(n * 10 + 1, n * 10 + 11, 2)
        return b"".join(frame(HEADERS, END_HEADERS, i, block) + frame(DATA, 0, i, message(b"m" * 50) * 30)
                        + frame(RST, 0, i, RST_CANCEL) for i in ids)

    with Server() as server, Honest(server):
        attack(server, held, expect_hang_up=False)


if __name__ == "__main__":
    run([rapid_reset, streams_over_the_limit, continuation_flood, one_huge_header_list,
         control_frame_floods, empty_data_flood, nobody_reads_the_answers, a_big_reply_into_a_full_socket,
         slow_reader_of_a_big_reply, slow_writers, streams_that_say_nothing,
         half_open_connections_over_the_limit,
         out_of_descriptors, nonsense, resets_while_messages_are_held])
