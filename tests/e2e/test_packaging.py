#!/usr/bin/env python3
"""The unit, the images' recipe and the deployments say what is true: their commands run here, on addresses of the loopback.

Usage: test_packaging.py NEXUS UNIT. What cannot be had is said, and skipped.
"""

import http.client
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import harness

FOLDER = os.path.join(harness.ROOT, "packaging")
UNIT = None


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def yaml(name):
    try:
        import yaml as parser
    except ImportError:
        print("SKIP: no python3-yaml: %s is not read" % name, flush=True)
        raise unittest.SkipTest("no python3-yaml")
    return list(parser.safe_load_all(read(name)))


class Notified(unittest.TestCase):
    """Type=notify, without a service manager."""

    def group(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(harness.WAIT_S)
        self.socket.bind(address.replace("@", "\0", 1))
        os.environ["NOTIFY_SOCKET"] = address
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        group = harness.Group(2)
        self.addCleanup(group.close)
        return group

    def told(self):
        return self.socket.recv(4096).decode().split("\n")

    def story(self, address):
        group = self.group(address)
        group.start_node(0, "--CLIENTS/drain_s", "7")
        self.assertEqual(self.told(), ["STATUS=waiting for the nodes of the first view"])
        group.start_node(1)
        self.assertEqual(self.told()[0][:7], "STATUS=")
        self.assertEqual([self.told()[0], self.told()[0]], ["READY=1"] * 2)
        group.nodes[1].signal(signal.SIGTERM)
        self.assertEqual(self.told(), ["STOPPING=1", "EXTEND_TIMEOUT_USEC=35000000"])
        self.assertEqual(self.told()[0][:7], "STATUS=")
        self.assertEqual(group.nodes[1].wait(), 0)
        group.nodes[0].signal(signal.SIGTERM)  # it serves on for 7 s first, unless it is asked twice
        self.assertEqual(self.told(), ["STOPPING=1", "EXTEND_TIMEOUT_USEC=42000000"])
        group.nodes[0].signal(signal.SIGTERM)
        self.assertEqual(group.nodes[0].wait(), 0)

    def test_by_a_path(self):
        with tempfile.TemporaryDirectory() as folder:
            self.story(os.path.join(folder, "notify"))

    def test_by_an_abstract_name(self):
        self.story("@nexus-test-%d-%d" % (os.getpid(), random.randrange(1 << 30)))

    def test_nobody_listens(self):
        for address in ("/nonexistent/notify", "@", "relative", "/" + "x" * 200, ""):
            os.environ["NOTIFY_SOCKET"] = address
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET", None)
            group = harness.Group(2)
            self.addCleanup(group.close)
            group.start()
            self.assertEqual(group.stop(), [0, 0])


class Unit(unittest.TestCase):
    def test_systemd_has_nothing_to_say(self):
        verify = shutil.which("systemd-analyze")
        if not verify:
            print("SKIP: no systemd-analyze (package systemd): the unit is not verified", flush=True)
            self.skipTest("no systemd-analyze")
        with open(UNIT, encoding="utf-8") as file:
            text = file.read()
        command = re.search(r"(?m)^ExecStart=(\S+) server ", text).group(1)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "nexus@0.service")
            with open(path, "w", encoding="utf-8") as out:
                out.write(text.replace(command, harness.nexus()))  # where it is installed it is not yet
            done = subprocess.run([verify, "verify", "--man=no", "--recursive-errors=no", path], capture_output=True,
                                  text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_it_waits_as_long_as_the_node_does(self):
        with open(UNIT, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("\nType=notify\n", text)
        self.assertIn("\nTimeoutStartSec=infinity\n", text)  # join_timeout_s is the node's own

    def test_a_node_may_write_its_log(self):
        with open(UNIT, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("\nProtectSystem=strict\n", text)
        self.assertIn("\nStateDirectory=nexus/%i\n", text)
        self.assertRegex(text, r"(?m)^ExecStart=\S+ server --PERS/file_path %S/nexus/%i$")


class Image(unittest.TestCase):
    def test_what_it_copies_is_there(self):
        text = read("Dockerfile")
        for source in re.findall(r"(?m)^COPY (?!--from)(\S+) ", text):
            self.assertTrue(os.path.exists(os.path.join(harness.ROOT, source)), source)
        self.assertTrue(os.path.exists(os.path.join(harness.ROOT, "scripts", "setup")))
        self.assertIn("cmake --build /build --target nexus", text)
        self.assertIn("COPY --from=build /build/bin/nexus ", text)

    def test_each_node_has_the_volume_of_its_log(self):
        path = re.search(r"(?m)^file_path = (\S+)$", read("nexus.cfg")).group(1)
        self.assertIn("\nVOLUME %s\n" % path, read("Dockerfile"))
        for name in ("compose.yaml", "stack.yaml"):
            file, = yaml(name)
            for node, service in file["services"].items():
                self.assertIn("%s:%s" % (node, path), service["volumes"], name)
                self.assertIn(node, file["volumes"], name)
        for thing in yaml("kubernetes.yaml"):
            if thing["kind"] == "StatefulSet":
                container, = thing["spec"]["template"]["spec"]["containers"]
                self.assertIn(path, [mount["mountPath"] for mount in container["volumeMounts"]])

    def test_its_libraries_are_those_that_the_binary_needs(self):
        """Where the binary was built on the distribution that the image has."""
        with open("/etc/os-release", encoding="utf-8") as file:
            if "bookworm" not in file.read():
                self.skipTest("SKIP: not the image's distribution")
        needed = subprocess.run(["readelf", "-d", harness.nexus()], capture_output=True, text=True, check=True).stdout
        packages = read("Dockerfile")
        known = {"fabric": "libfabric1", "dnnl": "libdnnl2", "turbojpeg": "libturbojpeg0", "spng": "libspng0",
                 "webp": "libwebp7", "nghttp2": "libnghttp2-14", "z": "zlib1g", "crypto": "libssl3",
                 "ssl": "libssl3", "protobuf-c": "libprotobuf-c1", "inih": "libinih1", "jansson": "libjansson4",
                 "zip": "libzip4", "curl": "libcurl4", "grpc": "libgrpc29", "gpr": "libgrpc29", "c": "libc", "m": "libc",
                 "gcc_s": "libc", "gomp": "libgomp1", "asan": "libc", "ubsan": "libc", "tsan": "libc"}
        loaded_later = "Shared library: [libfabric.so.1]"
        for name in re.findall(r"Shared library: \[lib([\w-]+?)\.so", needed + loaded_later):
            package = known.get(re.sub(r"-\d.*$", "", name), "?" + name)
            self.assertTrue(package == "libc" or package in packages, package)
            if package != "libc":  # the build has its libraries from there: the distribution knows the name
                known_here = subprocess.run(["dpkg-query", "-W", package], capture_output=True).returncode
                self.assertEqual(known_here, 0, package)


class Deployed(unittest.TestCase):
    """Four nodes, each on an address of its own in 127/8, as a deployment's commands start them."""

    def setUp(self):
        self.net = "127.%d.%d." % (random.randrange(1, 250), random.randrange(1, 250))
        self.top = tempfile.mkdtemp(prefix="nexus-packaging-")
        self.addCleanup(shutil.rmtree, self.top, True)
        shutil.copy(os.path.join(FOLDER, "nexus.cfg"), self.top)
        self.processes = []
        self.addCleanup(self.kill)

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def start(self, command, **env):
        with open(os.path.join(self.top, "errors"), "ab") as errors:
            self.processes.append(subprocess.Popen(
                command, cwd=self.top, env={**os.environ, "PATH": self.path(), **env}, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors, preexec_fn=harness._die_with_parent))

    def path(self):
        """Where `nexus` is the binary under test, and getent knows the leader's name."""
        folder = os.path.join(self.top, "bin")
        if not os.path.exists(folder):
            os.mkdir(folder)
            os.symlink(harness.nexus(), os.path.join(folder, "nexus"))
            with open(os.path.join(folder, "getent"), "w") as out:
                out.write('#!/bin/sh\n[ "$1 $2" = "ahostsv4 nexus-function-0.nexus-nodes" ] || exit 2\n'
                          'echo "%s10  STREAM $2"; echo "%s10  DGRAM"\n' % (self.net, self.net))
            os.chmod(os.path.join(folder, "getent"), 0o755)
        return folder + ":" + os.environ["PATH"]

    def get(self, address, path):
        try:
            connection = http.client.HTTPConnection(address, 28000, timeout=harness.WAIT_S)
            connection.request("GET", path)
            status = connection.getresponse().status
            connection.close()
            return status
        except OSError:
            return None

    def wait_for(self, condition):
        end = time.monotonic() + harness.WAIT_S
        while not condition():
            if time.monotonic() > end or any(p.poll() is not None for p in self.processes):
                with open(os.path.join(self.top, "errors")) as errors:
                    self.fail("the group does not form: " + errors.read())
            time.sleep(0.05)

    def end(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        for process in self.processes:  # a second time: not for drain_s
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        self.assertEqual([p.wait(harness.WAIT_S) for p in self.processes], [0] * len(self.processes))

    def drain_s(self):
        return int(re.search(r"(?m)^drain_s = (\d+)$", read("nexus.cfg")).group(1))

    def test_stack(self):
        file, = yaml("stack.yaml")
        self.assertEqual(file["networks"]["nodes"]["driver"], "overlay")
        self.assertEqual(sorted(file["services"]), ["categorizer-0", "categorizer-1", "function-0", "function-1"])
        folder = os.path.join(self.top, "bin")
        self.path()
        with open(os.path.join(folder, "getent"), "w") as out:  # a service's name on the overlay
            out.write('#!/bin/sh\n[ "$1 $2" = "ahostsv4 tasks.function-0" ] || exit 2\necho "%s10  STREAM"\n' % self.net)
        with open(os.path.join(folder, "hostname"), "w") as out:
            out.write('#!/bin/sh\nexec cat "$HOST_ADDRESS"\n')
        os.chmod(os.path.join(folder, "hostname"), 0o755)
        for i, (name, service) in enumerate(sorted(file["services"].items())):
            self.assertNotIn("build", service, name)
            self.assertEqual(service["deploy"]["replicas"], 1, name)
            self.assertEqual(service["deploy"]["restart_policy"]["condition"], "on-failure", name)
            self.assertGreater(int(service["stop_grace_period"].rstrip("s")), self.drain_s() + 6)
            config, = service["configs"]
            self.assertTrue(os.path.exists(os.path.join(FOLDER, file["configs"][config["source"]]["file"])))
            self.assertEqual(config["target"], "/etc/nexus/nexus.cfg")
            address = self.net + {"function-0": "10", "function-1": "11"}.get(name, "2%d" % i)
            command = [word.replace("$$", "$") for word in service["entrypoint"] + service["command"]]
            with open(os.path.join(self.top, name), "w") as out:
                out.write(address + "\n")
            self.start(command, HOST_ADDRESS=os.path.join(self.top, name), **service["environment"])
        self.wait_for(lambda: self.get(self.net + "11", "/v2/health/ready") == 200)
        self.end()

    def test_compose(self):
        file, = yaml("compose.yaml")
        services = file["services"]
        self.assertEqual(len(services), 4)
        for name, service in services.items():
            address = service["networks"]["nodes"]["ipv4_address"]
            self.assertIn("--local_ip %s " % address, service["command"], name)
            self.assertTrue(os.path.exists(os.path.join(FOLDER, service["build"]["context"], service["build"]["dockerfile"])))
            self.start(["nexus", *shlex.split(service["command"].replace("172.28.0.", self.net))])
        self.wait_for(lambda: self.get(self.net + "11", "/v2/health/ready") == 200)
        for name, service in services.items():
            kind, *test = service["healthcheck"]["test"]
            command = test if kind == "CMD" else ["/bin/sh", "-c", *test]
            command = [word.replace("172.28.0.", self.net) for word in command]
            env = {**os.environ, "PATH": self.path()}
            done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, timeout=60)
            self.assertEqual(done.returncode, 0, name)
        wrong = [word.replace('"node": 10', '"node": 20') for word in command]  # whom the group does not have
        self.assertNotEqual(subprocess.run(wrong, env=env, timeout=60).returncode, 0)
        self.end()

    def test_kubernetes(self):
        function = next(o for o in yaml("kubernetes.yaml") if o["metadata"]["name"] == "nexus-function" and o["kind"] == "StatefulSet")
        self.assertGreater(function["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], self.drain_s() + 6)
        objects = {(o["kind"], o["metadata"]["name"]): o for o in yaml("kubernetes.yaml")}
        pods = {}
        for tier, base, first in (("function", 10, 0), ("categorizer", 20, 100)):
            stateful = objects["StatefulSet", "nexus-" + tier]["spec"]
            template = stateful["template"]
            labels = template["metadata"]["labels"]
            self.assertEqual(labels, stateful["selector"]["matchLabels"])
            budget = objects["PodDisruptionBudget", "nexus-" + tier]["spec"]
            self.assertEqual(budget["selector"]["matchLabels"], labels)
            headless = objects["Service", stateful["serviceName"]]["spec"]
            self.assertEqual(headless["clusterIP"], "None")
            self.assertLessEqual(headless["selector"].items(), labels.items())
            container, = template["spec"]["containers"]
            for i in range(stateful["replicas"]):
                env = {"POD": "nexus-%s-%d" % (tier, i), "POD_IP": self.net + str(base + i),
                       "NEXUS_AT": self.net + "10:28000"}
                self.assertEqual({e["name"] for e in container["env"]}, set(env))
                self.start([*container["command"], *container["args"]], **env)
                pods[first + i] = (container, env)
        self.wait_for(lambda: self.get(self.net + "10", "/v2/health/ready") == 200)
        for number, (container, env) in pods.items():
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                what = container.get(probe, {})
                if "httpGet" in what:
                    self.assertEqual(self.get(env["POD_IP"], what["httpGet"]["path"]), 200, (number, probe))
                if "exec" in what:
                    command, around = what["exec"]["command"], {**os.environ, **env, "PATH": self.path()}
                    self.assertEqual(subprocess.run(command, env=around, timeout=60).returncode, 0, number)
                    around["POD"] = "nexus-categorizer-7"  # whom the group does not have
                    self.assertNotEqual(subprocess.run(command, env=around, timeout=60).returncode, 0)
        with open(os.path.join(self.top, "nexus.cfg")) as config:
            self.assertIn("first_view_nodes = %d\n" % len(pods), config.read())
        self.end()


if __name__ == "__main__":
    UNIT = os.path.abspath(sys.argv.pop(2))
    harness.main()
