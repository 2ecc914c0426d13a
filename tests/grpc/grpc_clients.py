"""python3-grpcio, and some hand-made frames, against the wire: what an honest client may expect."""
import gzip
import re
import sys
import threading
import time

try:
    import grpc
except ImportError:
    print("SKIP: python3-grpcio is not installed")
    sys.exit(0)

from grpc_harness import (DATA, END_HEADERS, END_STREAM, HEADERS, MEMORY_FACTOR, RST, WAIT_S, Raw, Server, frame,
                          literal, message, request_headers, run)

MIB = 1 << 20
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Client:
    def __init__(self, server, compression=None):
        # A pool of its own, or channels to one address would share a connection.
        self.channel = grpc.insecure_channel(
            server.target, options=OPTIONS + [("grpc.use_local_subchannel_pool", 1)],
            compression=compression)

    def unary(self, name, request=b"", **more):
        return self.channel.unary_unary(f"/test.Echo/{name}")(request, **more)

    def upload(self, name, chunks, **more):
        return self.channel.stream_unary(f"/test.Echo/{name}")(chunks, **more)

    def stats(self):
        text = self.unary("Stats", timeout=WAIT_S).decode()
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def wait_for(what):
    end = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def unary_of_many_sizes():
    with Server() as server, Client(server) as client:
        for size in (0, 1, 100, 16379, 16384, 65531, 70000, 5 * MIB):
            assert client.unary("Unary", b"x" * size, timeout=WAIT_S) == b"x" * size, size


def many_calls_at_once():
    with Server() as server, Client(server) as client:
        call = client.channel.unary_unary("/test.Echo/Unary")
        futures = [call.future(b"%d" % i, timeout=WAIT_S) for i in range(1000)]
        assert [f.result() for f in futures] == [b"%d" % i for i in range(1000)]
        wait_for(lambda: client.stats()["calls"] == 1)  # the one that asks


def client_stream():
    with Server() as server, Client(server) as client:
        chunks = [b"a" * n for n in (0, 1, 1000, 100000, 3 * MIB, 5)]
        reply = client.upload("Sum", iter(chunks), timeout=WAIT_S)
        assert reply == b"%d bytes in 6 messages" % sum(map(len, chunks)), reply
        assert client.upload("Sum", iter([]), timeout=WAIT_S) == b"0 bytes in 0 messages"


def upload_with_a_slow_consumer_stays_small():
    with Server() as server, Client(server) as client:
        before = client.stats()["peak_kib"]
        chunk = b"u" * 262144
        reply = client.upload("Trickle", (chunk for _ in range(1024)), timeout=WAIT_S)
        assert reply == b"%d bytes in 1024 messages" % (1024 * len(chunk)), reply
        after = client.stats()
        assert after["peak_kib"] - before < 12 * 1024 * MEMORY_FACTOR, (before, after)
        assert after["buffered"] < MIB, after


def parallel_uploads():
    with Server() as server, Client(server) as client:
        call = client.channel.stream_unary("/test.Echo/Trickle")
        futures = [call.future((b"p" * 50000 for _ in range(40)), timeout=WAIT_S) for _ in range(100)]
        assert all(f.result() == b"2000000 bytes in 40 messages" for f in futures)


def server_stream_and_slow_reader():
    with Server("reply=65536") as server, Client(server) as client:
        got = 0
        for reply in client.channel.unary_stream("/test.Echo/Many")(b"5000", timeout=WAIT_S):
            assert len(reply) == 4096
            got += 1
            if got % 500 == 0:
                time.sleep(0.02)
        assert got == 5000
        assert client.stats()["peak_kib"] < 40 * 1024 * MEMORY_FACTOR


def both_sides_stream():
    with Server() as server, Client(server) as client:
        said = [b"%d" % i for i in range(500)] + [b"b" * 100000]
        heard = client.channel.stream_stream("/test.Echo/Chat")(iter(said), timeout=WAIT_S)
        assert list(heard) == said


def statuses_and_trailers():
    with Server() as server, Client(server) as client:
        try:
            client.unary("Fail", timeout=WAIT_S)
            assert False, "no error"
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert error.details() == "100% of the 'tulipés'\nare gone", error.details()
            assert ("x-hint", "later") in [tuple(t) for t in error.trailing_metadata()]
        assert status_of(lambda: client.unary("Nothing", timeout=WAIT_S)) == (
            grpc.StatusCode.UNIMPLEMENTED, "unknown method /test.Echo/Nothing")


def metadata_plain_and_binary():
    with Server() as server, Client(server) as client:
        reply = client.unary("Meta", timeout=WAIT_S,
                             metadata=[("x-test", "plain"), ("x-test-bin", b"\x00\xffab")])
        assert reply == b"plain \x00\xffab", reply


def refusal_in_the_middle_of_an_upload():
    with Server() as server, Client(server) as client:
        chunks = (b"e" * 100000 for _ in range(1000))
        code, text = status_of(lambda: client.upload("Early", chunks, timeout=WAIT_S))
        assert (code, text) == (grpc.StatusCode.ALREADY_EXISTS, "tag 7 exists")
        assert client.unary("Unary", b"on", timeout=WAIT_S) == b"on"


def deadlines():
    with Server() as server, Client(server) as client:
        assert status_of(lambda: client.unary("Slow", timeout=0.2))[0] == \
            grpc.StatusCode.DEADLINE_EXCEEDED
        wait_for(lambda: client.stats()["calls"] == 1)
        # The server's own timer, shown by a client that never gives up by itself.
        raw = Raw(server)
        raw.send(frame(HEADERS, END_HEADERS, 1, request_headers(
            b"/test.Echo/Slow", literal(b"grpc-timeout", b"50m"))))
        raw.send(frame(DATA, END_STREAM, 1, message(b"")))
        assert any(kind == HEADERS and stream == 1 for kind, _, stream, _ in raw.frames())
        assert client.stats()["deadline"] >= 1
        raw.close()


def cancels():
    with Server() as server, Client(server) as client:
        calls = [client.channel.unary_unary("/test.Echo/Slow").future(b"") for _ in range(20)]
        wait_for(lambda: client.stats()["calls"] == 21)
        for call in calls:
            call.cancel()
        wait_for(lambda: client.stats()["calls"] == 1)
        assert client.stats()["reset"] == 20
        with Client(server) as other:
            lost = other.channel.unary_unary("/test.Echo/Slow").future(b"")
            wait_for(lambda: client.stats()["calls"] == 2)
        wait_for(lambda: client.stats()["calls"] == 1)
        assert lost.code() == grpc.StatusCode.CANCELLED


def message_too_large():
    with Server("message=1000") as server, Client(server) as client:
        code, text = status_of(lambda: client.unary("Unary", b"x" * 1001, timeout=WAIT_S))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "1001" in text and "1000" in text
        code, _ = status_of(lambda: client.upload("Sum", iter([b"x", b"y" * 5 * MIB]), timeout=WAIT_S))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert client.unary("Unary", b"x" * 1000, timeout=WAIT_S) == b"x" * 1000


def reply_too_large():
    with Server("reply=1000") as server, Client(server) as client:
        assert status_of(lambda: client.unary("Big", b"1001", timeout=WAIT_S))[0] == \
            grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(client.unary("Big", b"1000", timeout=WAIT_S)) == 1000


def buffers_over_the_connections_budget():
    with Server("buffer=4000000") as server, Client(server) as client:
        call = client.channel.unary_unary("/test.Echo/Unary")
        codes = {status_of(call.future(b"b" * MIB, timeout=WAIT_S).result)[0]}
        assert codes == {grpc.StatusCode.OK}, codes
        futures = [call.future(b"b" * MIB, timeout=WAIT_S) for _ in range(20)]
        codes = {status_of(f.result)[0] for f in futures}
        assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes
        wait_for(lambda: client.stats()["buffered"] < 10000)
        assert client.unary("Unary", b"on", timeout=WAIT_S) == b"on"


def gzip_in():
    with Server("message=1000000") as server, Client(server, grpc.Compression.Gzip) as client:
        assert client.unary("Unary", b"z" * 900000, timeout=WAIT_S) == b"z" * 900000
        reply = client.upload("Trickle", iter([b"z" * 500000] * 20), timeout=WAIT_S)
        assert reply == b"10000000 bytes in 20 messages"
        code, text = status_of(lambda: client.unary("Unary", b"z" * 1000001, timeout=WAIT_S))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "1000000" in text
        raw = Raw(server)
        for stream, size in ((1, 100), (3, 90000)):
            raw.send(frame(HEADERS, END_HEADERS, stream, request_headers(extra=literal(b"grpc-encoding", b"gzip"))))
            raw.send(frame(DATA, END_STREAM, stream, message(gzip.compress(b"z" * size), 1)))
            reply = b"".join(payload for kind, payload in answer_of(raw, stream) if kind == DATA)
            assert int.from_bytes(reply[1:5], "big") == len(reply) - 5
            plain = gzip.decompress(reply[5:]) if reply[0] else reply[5:]
            assert plain == b"z" * size and reply[0] == (size > 1000), (size, reply[:9])
        raw.close()
        with Client(server, grpc.Compression.Deflate) as other:
            assert status_of(lambda: other.unary("Unary", b"z" * 9000, timeout=WAIT_S))[0] == \
                grpc.StatusCode.UNIMPLEMENTED


def health_check_and_watch():
    """By the bytes of the protocol: field 1 of the request is the name, of the reply the state."""
    serving, not_serving, unknown = b"\x08\x01", b"\x08\x02", b"\x08\x03"
    name = b"\x0a\x09test.Echo"
    with Server() as server, Client(server) as client:
        check = client.channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=WAIT_S) == serving
        assert status_of(lambda: check(name, timeout=WAIT_S)) == (
            grpc.StatusCode.NOT_FOUND, "unknown service test.Echo")
        assert status_of(lambda: check(b"\x0a\x02\xff\xff", timeout=WAIT_S))[0] == \
            grpc.StatusCode.INVALID_ARGUMENT
        watch = client.channel.unary_stream("/grpc.health.v1.Health/Watch")(name)
        states = iter(watch)
        assert next(states) == unknown
        client.unary("Health", b"serving", timeout=WAIT_S)
        assert next(states) == serving and check(name, timeout=WAIT_S) == serving
        client.unary("Health", b"not", timeout=WAIT_S)
        assert next(states) == not_serving
        other = client.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert next(iter(other)) == serving
        other.cancel()
        server.process.terminate()
        assert status_of(lambda: next(states)) == (grpc.StatusCode.UNAVAILABLE,
                                                   "the server is going away")


def calls_over_the_servers_limit():
    with Server("calls=10") as server, Client(server) as client:
        refused = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        slow = []

        def is_full():
            slow.append(client.channel.unary_unary("/test.Echo/Slow").future(b"", timeout=WAIT_S))
            return status_of(lambda: client.unary("Unary", b"", timeout=0.3))[0] in refused

        wait_for(is_full)
        for call in slow:
            assert not call.done() or status_of(call.result)[0] in refused
            call.cancel()
        assert client.unary("Unary", b"on", timeout=WAIT_S) == b"on"


def answer_of(raw, stream):
    """The payloads of the frames of a stream, until it ends."""
    answers = []
    for kind, flags, on, payload in raw.frames():
        if on == stream and kind in (HEADERS, DATA, RST):
            answers.append((kind, payload))
            if kind == RST or flags & END_STREAM:
                break
    return answers


def http_errors():
    with Server() as server:
        raw = Raw(server)
        raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, request_headers(content_type=b"text/plain")))
        assert b"415" in answer_of(raw, 1)[0][1]
        raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, request_headers(method=b"GET")))
        assert b"405" in answer_of(raw, 3)[0][1]
        raw.close()


def malformed_calls():
    cases = [
        (message(b"one") + message(b"two"), "more than one"),
        (b"", "no message"),
        (message(b"whole")[:-1], "within a message"),
        (b"\x02\x00\x00\x00\x01x", "neither"),
        (message(b"not gzip", 1), "without grpc-encoding"),
    ]
    with Server() as server:
        raw = Raw(server)
        stream = 1
        for body, _ in cases:
            raw.send(frame(HEADERS, END_HEADERS, stream, request_headers()))
            raw.send(frame(DATA, END_STREAM, stream, body))
            kinds = [kind for kind, _ in answer_of(raw, stream)]
            assert kinds and kinds[0] == HEADERS and DATA not in kinds, (body, kinds)
            stream += 2
        extra = literal(b"grpc-encoding", b"gzip")
        for body in (b"", b"nonsense", gzip.compress(b"x") + b"tail", gzip.compress(b"y" * 99)[:-9]):
            raw.send(frame(HEADERS, END_HEADERS, stream, request_headers(extra=extra)))
            raw.send(frame(DATA, END_STREAM, stream, message(body, 1)))
            assert DATA not in [kind for kind, _ in answer_of(raw, stream)], body
            stream += 2
        raw.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, request_headers(
            extra=literal(b"grpc-timeout", b"soon"))))
        assert answer_of(raw, stream)
        raw.close()


def listens(server):
    try:
        Raw(server, greet=False).close()
    except ConnectionRefusedError:
        return False
    return True


def drain_lets_calls_finish():
    server, draining = Server(), threading.Event()

    def chunks():
        yield from [b"d" * 1000] * 50
        draining.wait(WAIT_S)
        yield from [b"d" * 1000] * 50

    with Client(server) as client:
        call = client.channel.stream_unary("/test.Echo/Trickle").future(chunks(), timeout=WAIT_S)
        wait_for(lambda: client.stats()["calls"] == 2)  # with the one that asks
        server.process.terminate()
        wait_for(lambda: not listens(server))  # it drains
        draining.set()
        assert call.result() == b"100000 bytes in 100 messages"
        assert server.process.wait(WAIT_S) == 0


def an_idle_connection_is_let_go():
    with Server("idle_ms=200") as server:
        raw = Raw(server)
        assert raw.hung_up()


def an_idle_server_sleeps():
    with Server() as server, Client(server) as client:
        def sleeps():
            before = client.stats()["cpu_ms"]
            time.sleep(1.0)  # the interval that is measured
            return client.stats()["cpu_ms"] - before < 20

        wait_for(sleeps)  # one that never sleeps has no such interval


if __name__ == "__main__":
    run([unary_of_many_sizes, many_calls_at_once, client_stream,
         upload_with_a_slow_consumer_stays_small, parallel_uploads, server_stream_and_slow_reader,
         both_sides_stream,
         statuses_and_trailers, metadata_plain_and_binary, refusal_in_the_middle_of_an_upload,
         deadlines, cancels, message_too_large, reply_too_large,
         buffers_over_the_connections_budget, gzip_in,
         health_check_and_watch, calls_over_the_servers_limit, http_errors,
         malformed_calls, drain_lets_calls_finish, an_idle_connection_is_let_go,
         an_idle_server_sleeps])
