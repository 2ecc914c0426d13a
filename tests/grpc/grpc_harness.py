"""Starts a server of the wire, and speaks enough HTTP/2 by hand to misbehave."""
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time


# Sanitizers take memory of their own: the build says how many times as much is still a pass.
MEMORY_FACTOR = int(os.environ.get("NX_MEMORY_FACTOR", "1"))

# A bound for what must happen, which only a broken server reaches, however busy the machine is; never a pause.
WAIT_S = 60


class Server:
    """The executable named on the command line; its figures; a clean end."""

    def __init__(self, *limits, descriptors=None):
        def set_descriptors():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        environment = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=4")
        self.process = subprocess.Popen([sys.argv[1], *limits], stdout=subprocess.PIPE,
                                        preexec_fn=set_descriptors, env=environment)
        self.port = int(self.process.stdout.readline())
        self.target = f"127.0.0.1:{self.port}"

    def stop(self, wait_s=WAIT_S):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(wait_s)
        assert code == 0, f"the server ended with {code}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.process.kill()
            self.process.wait()


DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """HPACK: a literal header without indexing, no Huffman; both shorter than 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request_headers(path=b"/test.Echo/Unary", extra=b"", method=b"POST", content_type=b"application/grpc"):
    return (literal(b":method", method) + literal(b":scheme", b"http") + literal(b":path", path)
            + literal(b":authority", b"x") + literal(b"content-type", content_type)
            + literal(b"te", b"trailers") + extra)


def message(payload, flag=0):
    return bytes([flag]) + struct.pack(">I", len(payload)) + payload


class Raw:
    """A connection that sends any bytes at all."""

    def __init__(self, server, greet=True, settings=b"", receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", server.port))
        self.buffer = b""
        if greet:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        """False once the server has hung up."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def frames(self, seconds=WAIT_S):
        """(kind, flags, stream, payload) until the time is over or the server hangs up."""
        end = time.monotonic() + seconds
        while True:
            while len(self.buffer) >= 9:
                length = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) < 9 + length:
                    break
                head, payload = self.buffer[:9], self.buffer[9:9 + length]
                self.buffer = self.buffer[9 + length:]
                yield head[3], head[4], int.from_bytes(head[5:9], "big"), payload
            left = end - time.monotonic()
            if left <= 0:
                return
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except (TimeoutError, socket.timeout):
                return
            except OSError:
                more = b""
            if not more:
                return
            self.buffer += more

    def hung_up(self, seconds=WAIT_S):
        end = time.monotonic() + seconds
        for _ in self.frames(seconds):
            pass
        return time.monotonic() < end

    def close(self):
        self.socket.close()


def run(tests):
    """Runs every test, says what it did, exits 1 if one failed."""
    failed = 0
    wanted = sys.argv[2:]
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        started = time.monotonic()
        try:
            test()
            verdict = "ok"
        except Exception as error:  # a failed test must not hide the others
            verdict, failed = f"FAILED: {type(error).__name__}: {error}", failed + 1
            import traceback
            traceback.print_exc()
        print(f"{test.__name__}: {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # grpcio's threads may outlive a test
