"""Real nodes as real processes over loopback: the test-N-nodes folders, copied, on free ports.

A Group starts `nexus server` in each node's folder, waits for the lines that say it is ready, and ends
every process it began: also when the test fails, and (by the kernel) when this process dies. Waits
have bounds, `WAIT_S`, that only a broken service reaches; nothing here sleeps for a fixed time and hopes.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

try:
    import grpc
except ImportError as missing:
    print("SKIP: %s (package python3-grpcio)" % missing)
    sys.exit(77)

import port_blocks
import sosp_wire as wire
import tiny_model

WAIT_S = 180 if os.environ.get("NEXUS_SLOW") else 60
HEARTBEAT_MS = 5000  # a node that a busy machine lets wait is not dead; real deaths are told by connections that end
READY = "Finished constructing group."
LISTENING = "FunctionTier listening on "
RULE = "/" * 42

_libc = ctypes.CDLL(None)
_nexus = None


def nexus():
    return _nexus


def main():
    """Takes the binary from the command line; the rest is unittest's."""
    global _nexus
    _nexus = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__", verbosity=2)


def free_ports(count):
    """Ports where nobody listens, all different, none of them given out before."""
    return [port_blocks.free_port() for _ in range(count)]


def wait_until(condition, otherwise):
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(otherwise)
        time.sleep(0.02)


def wait_until_asleep(nodes, seconds, share):
    """So long they use less than this share of a processor. What work leaves behind may not be over yet, and is waited for; those
    that never sleep have no such interval."""
    def sleep():
        before = [node.cpu_s() for node in nodes]
        time.sleep(seconds)  # the interval that is measured
        return all(node.cpu_s() - cpu_s < share * seconds for node, cpu_s in zip(nodes, before))
    wait_until(sleep, "a node without work uses the processor")


def _client_env():
    """The thread sanitizer looks a suppressed report of the gRPC library up, and that changes errno between a connect()
    of the library and its look at it: "connection in progress" becomes a failure. Without reports there is nothing to look up."""
    options = os.environ.get("TSAN_OPTIONS")
    return dict(os.environ, TSAN_OPTIONS=options + ":ignore_noninstrumented_modules=1") if options else None


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """One `nexus server`: its output line by line, its end."""

    def __init__(self, folder, args=(), stdin=subprocess.DEVNULL, env=None):
        self.folder = folder
        self.lines = []  # stdout
        self.errors = []  # stderr
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [_nexus, "server", *args], cwd=folder, stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=_die_with_parent,
            env=dict(os.environ, **env) if env else None)
        self.pid = self._process.pid
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in (
            (self._process.stdout, self.lines), (self._process.stderr, self.errors))]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, into):
        for line in stream:
            with self._news:
                into.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()
        stream.close()

    def wait_line(self, start, timeout_s=None):
        """The first line of stdout that starts so."""
        end = time.monotonic() + (timeout_s or WAIT_S)
        with self._news:
            while True:
                for line in self.lines:
                    if line.startswith(start):
                        return line
                left = end - time.monotonic()
                if left <= 0 or (self._process.poll() is not None and not self._any_reader()):
                    raise AssertionError("%s: no line \"%s\"; %s" % (self.folder, start, self.story()))
                self._news.wait(min(left, 0.2))

    def wait_error(self, *words):
        """A line of stderr that has all of them; it may not have been read yet when others know what it says."""
        wait_until(lambda: any(all(word in line for word in words) for line in self.errors),
                   "no line of %s; %s" % (words, self.story()))

    def _any_reader(self):
        return any(reader.is_alive() for reader in self._readers)

    def story(self):
        return "exit %s\nstdout: %s\nstderr: %s" % (
            self._process.poll(), "\n        ".join(self.lines), "\n        ".join(self.errors[-20:]))

    @property
    def running(self):
        return self._process.poll() is None

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self, timeout_s=None):
        """Its exit code, once it has ended and its output is read."""
        try:
            code = self._process.wait(timeout_s or WAIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s does not end; %s" % (self.folder, self.story())) from None
        for reader in self._readers:
            reader.join(WAIT_S)
        return code

    def kill(self):
        """kill -9, and gone when this returns."""
        if self.running:
            self._process.kill()
        return self.wait()

    def open_files(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def socket_inodes(self):
        folder, inodes = "/proc/%d/fd" % self._process.pid, set()
        for name in os.listdir(folder):
            try:
                link = os.readlink(os.path.join(folder, name))
            except OSError:  # closed meanwhile
                continue
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
        return inodes

    def cpu_s(self):
        with open("/proc/%d/stat" % self.pid) as stat:
            values = stat.read().rpartition(")")[2].split()
        return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")

    def thread_cpu_s(self, name):
        """Of the threads of that name, together."""
        seconds, tasks = 0, "/proc/%d/task" % self.pid
        for task in os.listdir(tasks):
            try:
                with open("%s/%s/stat" % (tasks, task)) as stat:
                    head, _, rest = stat.read().rpartition(")")
            except OSError:  # ended meanwhile
                continue
            if head.partition("(")[2] == name:
                values = rest.split()
                seconds += (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")
        return seconds

    def thread_switches(self, name):
        """How often the threads of that name went to sleep: at least once after each thing that they did."""
        total, tasks = 0, "/proc/%d/task" % self.pid
        for task in os.listdir(tasks):
            with open("%s/%s/status" % (tasks, task)) as status:
                facts = dict(line.split(":", 1) for line in status)
            if facts["Name"].strip() == name:
                total += int(facts["voluntary_ctxt_switches"])
        return total

    def own_bytes(self):
        """Of its memory that is resident, what is no file's: heaps, mappings, stacks."""
        with open("/proc/%d/status" % self.pid) as status:
            return int(re.search(r"(?m)^RssAnon:\s+(\d+) kB$", status.read()).group(1)) << 10

    def resident_bytes(self):
        with open("/proc/%d/statm" % self.pid) as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def edit_config(path, **values):
    """Sets keys of [NEXUS] in a nexus.cfg; None takes a key out."""
    with open(path) as config:
        text = config.read()
    for key, value in values.items():
        text = re.sub(r"(?m)^%s *=.*\n" % key, "", text)
        if value is not None:
            text = text.replace("[NEXUS]\n", "[NEXUS]\n%s = %s\n" % (key, value), 1)
    with open(path, "w") as config:
        config.write(text)


class Answer:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def story(self):
        return "exit %s\nstdout: %s\nstderr: %s" % (self.code, self.out, self.err)


class Group:
    """A copy of test-<count>-nodes; nodes[k] is node k's Process, or None while it does not run."""

    def __init__(self, count):
        self.count = count
        self.top = tempfile.mkdtemp(prefix="nexus-e2e-")
        shutil.copytree(os.path.join(ROOT, "test-%d-nodes" % count), self.top, dirs_exist_ok=True)
        ports = free_ports(2 * count)
        self.gms_ports, self.client_ports = ports[:count], ports[count:]
        self.nodes = [None] * count
        self.started = []
        for k in range(count):
            client_port = {}
            if self.is_function_tier(k):
                client_port["client_port"] = self.client_ports[k]
            contacts = ", ".join("127.0.0.1:%d" % port for port in self.gms_ports if port != self.gms_ports[k])
            edit_config(self.config(k), leader_gms_port=self.gms_ports[0], heartbeat_ms=HEARTBEAT_MS,
                        gms_port=self.gms_ports[k], contacts=contacts, **client_port)

    def folder(self, k):
        return os.path.join(self.top, "n%d" % k)

    def config(self, k):
        return os.path.join(self.folder(k), "nexus.cfg")

    def is_function_tier(self, k):
        with open(self.config(k)) as config:
            return re.search(r"(?m)^tier *= *function", config.read()) is not None

    @property
    def function_tier(self):
        return [k for k in range(self.count) if self.is_function_tier(k)]

    def address(self, k=0):
        return "127.0.0.1:%d" % self.client_ports[k]

    def spawn(self, folder, *args, **kwargs):
        process = Process(folder, args, **kwargs)
        self.started.append(process)
        return process

    def start_node(self, k, *args, **kwargs):
        self.nodes[k] = self.spawn(self.folder(k), *args, **kwargs)
        return self.nodes[k]

    def start(self, order=None):
        for k in order or range(self.count):
            self.start_node(k)
        self.wait_ready()
        return self

    def wait_ready(self):
        for k, node in enumerate(self.nodes):
            node.wait_line(READY)
            if self.is_function_tier(k):
                node.wait_line(LISTENING)

    def stop(self):
        """SIGTERM to all; their exit codes."""
        running = [node for node in self.nodes if node and node.running]
        for node in running:
            node.signal(signal.SIGTERM)
        return [node.wait() for node in running]

    def close(self):
        for process in self.started:
            process.kill()
        shutil.rmtree(self.top, ignore_errors=True)

    def client(self, *args, node=0, timeout_s=None):
        done = subprocess.run([_nexus, "client", self.address(node), *args], stdin=subprocess.DEVNULL, env=_client_env(),
                              capture_output=True, text=True, timeout=timeout_s or WAIT_S)
        return Answer(done.returncode, done.stdout, done.stderr)


def client_at(address, *args):
    """`nexus client` at an address that no node of a group tells."""
    done = subprocess.run([_nexus, "client", address, *args], stdin=subprocess.DEVNULL, env=_client_env(), capture_output=True, text=True,
                          timeout=WAIT_S)
    return Answer(done.returncode, done.stdout, done.stderr)


class GroupCase(unittest.TestCase):
    """One group for all tests of a class; after each test it must still serve.

    tag 1 holds the colour model. A test that installs more removes it again.
    """

    NODES = 2

    @classmethod
    def setUpClass(cls):
        cls.files = tempfile.TemporaryDirectory()
        cls.group = Group(cls.NODES)
        try:
            cls.group.start()
            cls.good_model = cls.model()
            cls.photo = cls.file("red.png", tiny_model.png(tiny_model.RED))
            answer = cls.group.client("installmodel", "1", *cls.good_model)
            if answer.code:
                raise AssertionError("the good model is refused: " + answer.story)
        except BaseException:
            cls.group.close()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            codes = cls.group.stop()
            if any(codes):
                raise AssertionError("after SIGTERM the nodes exit with %s:\n%s" % (
                    codes, "\n".join(node.story() for node in cls.group.nodes)))
        finally:
            cls.group.close()
            cls.files.cleanup()

    @classmethod
    def file(cls, name, data):
        path = os.path.join(cls.files.name, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    @classmethod
    def model(cls, name="good", synset=None, symbol=None, params=None):
        return (cls.file(name + "-synset.txt", tiny_model.synset() if synset is None else synset),
                cls.file(name + "-symbol.json", tiny_model.symbol() if symbol is None else symbol),
                cls.file(name + "-0000.params", tiny_model.params() if params is None else params))

    def tearDown(self):
        for node in self.group.nodes:
            self.assertTrue(node.running, "a node ended: " + node.story())
        self.assert_serving()

    def assert_serving(self):
        self.assert_says("red", self.group.client("inference", "1", self.photo))

    def assert_says(self, words, answer):
        self.assertEqual((answer.code, answer.err), (0, ""), answer.story)
        self.assertTrue(answer.out.endswith("\nphoto description:%s\n" % words), answer.story)

    def assert_done(self, answer):
        self.assertEqual((answer.code, answer.err), (0, ""), answer.story)
        self.assertIn("\nreturn code:0\ndescription:", answer.out)

    def assert_refused(self, answer, *words):
        """Not 0, not a signal, and one line that says why."""
        self.assertGreater(answer.code, 0, answer.story)
        self.assertEqual(answer.err.count("\n"), 1, answer.story)
        for word in words:
            self.assertIn(word.lower(), answer.err.lower(), answer.story)

    def assert_refused_by_return_code(self, answer, *words):
        self.assert_refused(answer, *words)
        self.assertRegex(answer.out, r"(?m)^return code:-?[1-9][0-9]*$", answer.story)
        self.assertRegex(answer.out, r"(?m)^description:.+$", answer.story)


class Wire:
    """The demo's calls by raw field numbers, on python3-grpcio."""

    def __init__(self, address):
        self._channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._channel.close()

    def stream(self, method, messages, timeout_s=None):
        return self._channel.stream_unary(method)(iter(messages), timeout=timeout_s or WAIT_S)

    def unary(self, method, message, timeout_s=None):
        return self._channel.unary_unary(method)(message, timeout=timeout_s or WAIT_S)

    def start_stream(self, method, messages, timeout_s=None):
        """A future: cancel(), result()."""
        return self._channel.stream_unary(method).future(iter(messages), timeout=timeout_s or WAIT_S)

    def whatsthis(self, tags, photo, packed=True, chunk_bytes=64 * 1024):
        messages = [wire.photo_start(len(photo), tags, packed), *wire.chunks(photo, chunk_bytes)]
        return wire.description(self.stream(wire.WHATSTHIS, messages))

    def install(self, tag, synset, symbol, params, extra=b"", chunk_bytes=64 * 1024, tail=b""):
        messages = [wire.install_start(tag, len(synset), len(symbol), len(params), extra),
                    *wire.chunks(synset + symbol + params + tail, chunk_bytes)]
        return wire.outcome(self.stream(wire.INSTALL, messages))

    def remove(self, tag, request_id=b""):
        return wire.outcome(self.unary(wire.REMOVE, wire.remove_request(tag, request_id)))
