#!/usr/bin/env python3
"""Two nodes, one model, one photo: the main job, as the tutorial shows it, and by the wire's numbers."""

import concurrent.futures
import os
import pty
import signal
import socket
import subprocess
import unittest

import harness
import sosp_wire as wire
import tiny_model
from harness import LISTENING, READY, RULE, Group, GroupCase, Wire

MIB = 1 << 20


class MainJob(GroupCase):
    def test_function_tier_says_that_it_is_ready(self):
        lines = self.group.nodes[0].lines
        begin = lines.index(RULE)
        self.assertEqual(lines[begin:begin + 4], [
            RULE, LISTENING + self.group.address(), RULE, READY])

    def test_categorizer_listens_for_nobody(self):
        lines = self.group.nodes[1].lines
        self.assertIn(READY, lines)
        self.assertFalse([line for line in lines if LISTENING in line])

    def test_install_ask_remove(self):
        head = "Use function tier node: %s\n" % self.group.address()
        installed = self.group.client("installmodel", "3", *self.good_model)
        self.assertEqual((installed.out, installed.err, installed.code),
                         (head + "return code:0\ndescription:install model successfully.\n", "", 0))
        asked = self.group.client("inference", "3", self.photo)
        self.assertEqual((asked.out, asked.err, asked.code), (head + "photo description:red\n", "", 0))
        removed = self.group.client("removemodel", "3")
        self.assert_done(removed)
        self.assert_refused(self.group.client("inference", "3", self.photo), "tag 3")
        self.assert_done(self.group.client("installmodel", "3", *self.good_model))
        self.assert_done(self.group.client("removemodel", "3"))

    def test_the_answer_depends_on_the_photo(self):
        for name, colour in (("red", tiny_model.RED), ("green", tiny_model.GREEN),
                             ("blue", tiny_model.BLUE)):
            photo = self.file(name + ".png", tiny_model.png(colour))
            self.assert_says(name, self.group.client("inference", "1", photo))

    def test_several_tags_answer_in_their_order(self):
        flowers = self.model("flowers", synset=tiny_model.synset(tiny_model.FLOWERS))
        self.assert_done(self.group.client("installmodel", "2", *flowers))
        self.assert_says("red or rose", self.group.client("inference", "1,2", self.photo))
        self.assert_says("rose or red", self.group.client("inference", "2,1", self.photo))
        self.assert_refused(self.group.client("inference", "1,9", self.photo), "tag 9")
        self.assert_done(self.group.client("removemodel", "2"))

    def test_imagenet_style_synset_lines(self):
        synset = "".join("n%08d %s\n" % (k, name) for k, name in enumerate(tiny_model.FLOWERS)).encode()
        self.assert_done(self.group.client("installmodel", "4", *self.model("wordnet", synset=synset)))
        answer = self.group.client("inference", "4", self.photo)
        self.assertEqual(answer.code, 0, answer.story)
        self.assertRegex(answer.out, r"\nphoto description:.*rose\n\Z")  # with or without the number
        self.assert_done(self.group.client("removemodel", "4"))

    def test_recipe_by_name(self):
        self.assert_done(self.group.client("installmodel", "5", *self.good_model, "--recipe", "raw-255"))
        self.assert_says("red", self.group.client("inference", "5", self.photo))
        self.assert_done(self.group.client("removemodel", "5"))

    def test_tags_at_the_edges(self):
        for tag in ("0", "4294967295"):
            self.assert_done(self.group.client("installmodel", tag, *self.good_model))
            self.assert_says("red", self.group.client("inference", tag, self.photo))
            self.assert_done(self.group.client("removemodel", tag))

    def test_a_model_of_realistic_size(self):
        # 16 MiB of weights that the graph multiplies by nothing is not a model; so the class is computed
        # through a layer of many outputs: 3 -> n -> 3, the identity in its corner.
        n = 700000
        nodes = tiny_model.symbol_nodes()
        nodes[4]["attrs"]["num_hidden"] = str(n)
        nodes += [
            {"op": "null", "name": "out_weight", "inputs": []},
            {"op": "FullyConnected", "name": "out", "inputs": [[4, 0, 0], [5, 0, 0]],
             "attrs": {"no_bias": "True", "num_hidden": "3"}}]
        wide = [0.0] * (3 * n)
        back = [0.0] * (3 * n)
        for k in range(3):
            wide[3 * k + k] = 1.0
            back[n * k + k] = 1.0
        params = tiny_model.params({"arg:fc_weight": ((n, 3), wide), "arg:out_weight": ((3, n), back)})
        self.assertGreater(len(params), 16 * MIB)
        model = self.model("wide", symbol=tiny_model.symbol(nodes), params=params)
        self.assert_done(self.group.client("installmodel", "6", *model))
        self.assert_says("red", self.group.client("inference", "6", self.photo))
        self.assert_done(self.group.client("removemodel", "6"))


class ByTheWire(GroupCase):
    def test_the_demos_own_messages(self):
        files = tiny_model.synset(), tiny_model.symbol(), tiny_model.params()
        for chunk_bytes in (1, 7, 1 << 20):  # pieces of any size, also across two files
            with Wire(self.group.address()) as calls:
                self.assertEqual(calls.install(8, *files, chunk_bytes=chunk_bytes),
                                 (0, "install model successfully."))
                self.assertEqual(calls.whatsthis([8], tiny_model.png(), chunk_bytes=chunk_bytes), "red")
                self.assertEqual(calls.remove(8)[0], 0)

    def test_tags_packed_and_not(self):
        with Wire(self.group.address()) as calls:
            for packed in (True, False):
                self.assertEqual(calls.whatsthis([1, 1], tiny_model.png(), packed), "red or red")

    def test_a_request_sent_twice_takes_effect_once(self):
        files = tiny_model.synset(), tiny_model.symbol(), tiny_model.params()
        extra = wire.blob(16, b"install-id-00001")
        with Wire(self.group.address()) as calls:
            self.assertEqual([calls.install(9, *files, extra=extra)[0] for _ in range(2)], [0, 0])
            self.assertNotEqual(calls.install(9, *files, extra=wire.blob(16, b"another-id-00001"))[0], 0)
            self.assertEqual([calls.remove(9, b"removal-id-00001")[0] for _ in range(2)], [0, 0])
            self.assertNotEqual(calls.remove(9, b"another-id-00002")[0], 0)

    def test_health(self):
        with Wire(self.group.address()) as calls:
            self.assertEqual(wire.field(calls.unary("/grpc.health.v1.Health/Check", b""), 1), 1)

    def test_many_clients_at_once(self):
        photos = [(name, tiny_model.png(colour, 40 + k, 30)) for k, (name, colour) in enumerate(
            [("red", tiny_model.RED), ("green", tiny_model.GREEN), ("blue", tiny_model.BLUE)] * 20)]

        def ask(pair):
            with Wire(self.group.address()) as calls:
                return [calls.whatsthis([1], pair[1]) for _ in range(3)]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, photos))
        self.assertEqual(answers, [[name] * 3 for name, _ in photos])

    def test_installs_and_queries_do_not_disturb_each_other(self):
        files = tiny_model.synset(), tiny_model.symbol(), tiny_model.params()

        def churn(tag):
            with Wire(self.group.address()) as calls:
                return [code for _ in range(5) for code in (calls.install(tag, *files)[0],
                                                            calls.remove(tag)[0])]

        def ask(_):
            with Wire(self.group.address()) as calls:
                return [calls.whatsthis([1], tiny_model.png()) for _ in range(20)]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            churns = [pool.submit(churn, tag) for tag in (20, 21, 22)]
            asks = [pool.submit(ask, k) for k in range(3)]
            for future in churns:
                self.assertEqual(future.result(), [0] * 10)
            for future in asks:
                self.assertEqual(future.result(), ["red"] * 20)

    def test_idle_nodes_sleep(self):
        harness.wait_until_asleep(self.group.nodes, 2, 0.05)


class Life(unittest.TestCase):
    def setUp(self):
        self.group = Group(2)
        self.addCleanup(self.group.close)

    def test_any_order_of_starting(self):
        self.group.start_node(1)
        self.group.start_node(0)
        self.group.wait_ready()
        self.assertEqual(self.group.stop(), [0, 0])

    def test_interrupt_ends_a_node_as_sigterm_does(self):
        self.group.start()
        for node in self.group.nodes:
            node.signal(signal.SIGINT)
        self.assertEqual([node.wait() for node in self.group.nodes], [0, 0])

    def test_either_node_may_leave_first(self):
        for first in (0, 1):
            with self.subTest(first=first):
                self.group.start()
                self.group.nodes[first].signal(signal.SIGTERM)
                self.assertEqual(self.group.nodes[first].wait(), 0)
                self.group.nodes[1 - first].signal(signal.SIGTERM)
                self.assertEqual(self.group.nodes[1 - first].wait(), 0)

    def test_a_node_that_waits_for_the_others_can_be_stopped(self):
        for k in (0, 1):
            node = self.group.start_node(k)
            with self.assertRaises(AssertionError):
                node.wait_line(READY, timeout_s=0.5)
            self.assertTrue(node.running, node.story())
            node.signal(signal.SIGTERM)
            node.wait()

    def test_enter_on_a_terminal(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        self.group.start_node(0, stdin=theirs)
        os.close(theirs)
        self.group.start_node(1)
        self.group.wait_ready()
        self.group.nodes[0].wait_line("Press ENTER to stop.")
        os.write(ours, b"\n")
        self.assertEqual(self.group.nodes[0].wait(), 0, self.group.nodes[0].story())
        self.group.stop()

    def test_input_that_is_no_terminal_stops_nothing(self):
        read_end, write_end = os.pipe()
        self.group.start_node(0, stdin=read_end)
        os.close(read_end)
        self.group.start_node(1)
        self.group.wait_ready()
        os.write(write_end, b"\n")
        os.close(write_end)
        photo = os.path.join(self.group.top, "red.png")
        with open(photo, "wb") as out:
            out.write(tiny_model.png())
        answer = self.group.client("inference", "1", photo)
        self.assertIn("tag 1", answer.err)
        self.assertTrue(self.group.nodes[0].running)
        self.assertEqual(self.group.stop(), [0, 0])

    def test_the_group_can_be_started_again_at_once(self):
        for _ in range(3):
            self.group.start()
            self.assertEqual(self.group.stop(), [0, 0])

    def test_nodes_in_the_background_leave_the_keyboard_alone(self):
        """`nexus server &` in a terminal: what is typed there is not theirs, and does not stop them."""
        start = "".join("(cd n%d && exec %s server) & " % (k, harness.nexus()) for k in (0, 1))
        shell, terminal = pty.fork()
        if shell == 0:
            os.chdir(self.group.top)
            os.execvp("sh", ["sh", "-c", "set -m; %s echo shell $$; exec sleep 60" % start])
        self.addCleanup(os.close, terminal)
        self.addCleanup(os.waitpid, shell, 0)
        self.addCleanup(os.kill, shell, signal.SIGKILL)
        said = b""
        while said.count(READY.encode()) < 2:
            said += os.read(terminal, 4096)
        nodes = [int(p) for p in subprocess.run(["pgrep", "-s", str(shell), "-x", "nexus"], capture_output=True,
                                                text=True).stdout.split()]
        for node in nodes:
            self.addCleanup(os.kill, node, signal.SIGKILL)
        self.assertEqual(len(nodes), 2, "two processes of the name nexus")
        for _ in range(3):
            os.write(terminal, b"what is on the photo?\n")
            answer = self.group.client("removemodel", "9")
            self.assertIn("tag 9 is not installed", answer.err)
        for node in nodes:
            with open("/proc/%d/stat" % node) as stat:
                self.assertNotIn(stat.read().rsplit(")", 1)[1].split()[0], "TtZX")

    def test_the_launch_script(self):
        """Starts the folder's nodes, says when they are ready, and stops them on ENTER."""
        launched = subprocess.Popen(
            [os.path.join(self.group.top, "launch.sh")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=dict(os.environ, NEXUS=harness.nexus()))
        try:
            self.assertEqual(launched.stdout.readline(), LISTENING + self.group.address() + "\n")
            self.assertIn("is ready", launched.stdout.readline())
            out, err = launched.communicate("\n", timeout=harness.WAIT_S)
        finally:
            launched.terminate()
        self.assertEqual((launched.returncode, out, err), (0, "", ""))
        with self.assertRaises(OSError):  # nobody listens any more
            socket.create_connection(("127.0.0.1", self.group.client_ports[0])).close()

    def test_any_key_on_the_command_line(self):
        harness.edit_config(self.group.config(0), local_id=7, client_port=1, tier="categorizer")
        self.group.start_node(0, "--local_id", "0", "--client_port", str(self.group.client_ports[0]),
                              "--tier", "function", "--RDMA/provider", "tcp",
                              "--SUBGROUP/CATEGORIZER_TIER/num_shards", "1")
        self.group.start_node(1)
        for node in self.group.nodes:
            node.wait_line(READY)
        self.assertEqual(self.group.nodes[0].wait_line(LISTENING), LISTENING + self.group.address())
        self.assertEqual(self.group.stop(), [0, 0])


if __name__ == "__main__":
    harness.main()
