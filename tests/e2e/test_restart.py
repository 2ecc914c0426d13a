#!/usr/bin/env python3
"""Total failure: every node is killed; models answer again from the logs, and nobody begins alone."""

import concurrent.futures
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import harness
from harness import Group, Wire, wait_until
from test_deaths import DeathCase


HAS_STATE = "this replica has its shard's state"
LOG_BEGINS = "the log begins at place "


class RestartCase(DeathCase):
    def serve_kept(self, tags=(1,), count=4):
        """test-4-nodes with a log: n0 and n1 function tier, n2 and n3 categorizers; or test-6-nodes."""
        def keep(group):
            for k in range(group.count):
                with open(group.config(k)) as config:
                    text = config.read()
                text = text.replace("[SUBGROUP/CATEGORIZER_TIER]\n",
                                    "[SUBGROUP/CATEGORIZER_TIER]\npersist = true\n")
                with open(group.config(k), "w") as config:
                    config.write(text)
        original = Group.__init__

        def kept(group, count):
            original(group, count)
            keep(group)
        Group.__init__ = kept
        try:
            return self.serve(count, tags)
        finally:
            Group.__init__ = original

    def kill_all(self):
        """At one moment: those who live on for an instant would be the next view."""
        running = [node for node in self.group.nodes if node and node.running]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for node in running:
                node.signal(number)
        for node in running:
            node.wait()

    def start_in(self, order):
        nodes = [self.group.start_node(k) for k in order]
        for k, node in zip(order, nodes):
            node.wait_line(harness.READY)
            if self.group.is_function_tier(k):
                node.wait_line(harness.LISTENING)
        return nodes

    def await_lines(self, node, *lines):
        for line in lines:
            wait_until(lambda: any(line in said for said in node.errors), node.story())

    def answers(self, tag, node=0):
        answer = self.ask(tag, node=node)
        return answer.code == 0 and answer.out.endswith("\nphoto description:red\n")


class RollingRestart(RestartCase):
    """Every node is stopped and started again, one after the other, until nobody is left who began the group: who came to it goes
    on by itself, lets the last one in with its log, and acknowledges."""

    def roll(self, wait):
        for k in (0, 1, 2, 3):
            node = self.group.nodes[k]
            node.signal(signal.SIGTERM)
            self.assertEqual(node.wait(), 0, node.story())
            node = self.group.start_node(k)
            if wait:
                node.wait_line(harness.READY)
        for node in self.group.nodes:
            node.wait_line(harness.READY)
        self.assertEqual(self.group.client("installmodel", "9", *self.paths).code, 0)
        wait_until(lambda: self.answers(9) and self.answers(1, node=1), "a model is not back")

    def test_one_after_the_other(self):
        self.serve_kept()
        self.roll(wait=True)

    def test_without_a_pause(self):
        self.serve_kept()
        self.roll(wait=False)


class TotalRestart(RestartCase):
    def test_models_answer_again(self):
        """Twice, in other orders; what was removed stays removed, what is installed then is kept as well."""
        self.serve_kept(tags=(1, 2))
        self.assertEqual(self.group.client("removemodel", "2").code, 0)
        for round_, order in enumerate(((3, 2, 1, 0), (0, 3, 1, 2))):
            self.kill_all()
            self.start_in(order)
            self.assert_red(self.ask(1))
            self.assertNotEqual(self.ask(2).code, 0)
            tag = str(10 + round_)
            self.assertEqual(self.group.client("installmodel", tag, *self.paths).code, 0)
            self.assert_red(self.ask(tag))
        self.assert_red(self.ask(10))

    def test_one_node_may_be_missing(self):
        self.serve_kept()
        self.kill_all()
        nodes = self.start_in((0, 1, 3))
        nodes[0].wait_error("waiting for node 2 of view 1")
        self.assert_red(self.ask(1))

    def test_another_leader(self):
        """The configured leader never comes back: another one is written into the configurations of the others."""
        self.serve_kept()
        self.kill_all()
        for k in (1, 2, 3):
            harness.edit_config(self.group.config(k), leader_gms_port=self.group.gms_ports[1])
        nodes = self.start_in((3, 2, 1))
        nodes[2].wait_error("waiting for node 0 of view 1")
        wait_until(lambda: self.answers(1, node=1), "model 1 is not back")

    def test_a_minority_waits_and_says_for_whom(self):
        self.serve_kept()
        self.kill_all()
        leader = self.group.start_node(0)
        self.group.start_node(2)
        wait_until(lambda: any("waiting for nodes 1, 3 of view 1: 2 of its 4 members are here, 3 are needed" in line
                               for line in leader.errors), leader.story())
        self.assertFalse(any(line.startswith(harness.READY) for line in leader.lines))
        other = self.group.start_node(3)
        other.wait_line(harness.READY)
        leader.wait_line(harness.READY)
        self.assert_red(self.ask(1))


class Rejoin(RestartCase):
    def install(self, first, stop, installed):
        """One after the other until told to stop, each acknowledged; a tag's failure is no model."""
        tag = first
        while not stop.is_set() and tag < first + 100:
            answer = self.group.client("installmodel", str(tag), *self.paths)
            if answer.code == 0:
                installed.append(tag)
            tag += 1

    def come_back(self, k):
        """Into the living group: its log was left behind, so it begins anew."""
        node = self.group.start_node(k, "--log_level", "info")
        self.await_lines(node, HAS_STATE, LOG_BEGINS)

    def rejoin_under_installs(self, k):
        installed, stop = [], threading.Event()

        def await_one():
            have = len(installed)
            wait_until(lambda: len(installed) > have, "no install is acknowledged")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            work = pool.submit(self.install, 100, stop, installed)
            try:
                await_one()
                self.group.nodes[k].kill()
                await_one()
                self.come_back(k)
                await_one()
            finally:
                stop.set()
            work.result(harness.WAIT_S)
        return installed

    def assert_all_answer(self, tags):
        for tag in tags:
            self.assert_red(self.ask(tag))
        self.assertNotEqual(self.ask(1).code, 0)

    def test_whichever_replica_is_back_has_all(self):
        """One was away for a while, the other while the first began the group again: either alone has every model."""
        self.serve_kept(tags=(1, 2))
        self.assertEqual(self.group.client("removemodel", "1").code, 0)
        tags = [2] + self.rejoin_under_installs(3)
        self.kill_all()
        self.start_in((0, 3, 1))
        self.assert_all_answer(tags)
        self.come_back(2)
        self.assertEqual(self.group.client("installmodel", "3", *self.paths).code, 0)
        self.kill_all()
        self.start_in((2, 1, 0))
        self.assert_all_answer(tags + [3])


class LostShard(RestartCase):
    """All replicas of a shard die while the group lives on: what was acknowledged is on their disks, and nowhere else."""

    def kill(self, *nodes):
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for k in nodes:
                self.group.nodes[k].signal(number)
        for k in nodes:
            self.group.nodes[k].wait()
        if len(nodes) < 2:
            wait_until(lambda: nodes[0] not in self.members(), "node %d is still there" % nodes[0])

    def members(self):
        told = subprocess.run([harness.nexus(), "status", self.group.address(), "--json"], capture_output=True)
        return [member["node"] for member in json.loads(told.stdout)["members"]]

    def install(self, tag):
        self.assertEqual(self.group.client("installmodel", str(tag), *self.paths).code, 0)

    def start_fresh(self, like, *args):
        """A categorizer that was never there, with an empty disk."""
        folder = self.group.folder(like) + "-fresh"
        os.mkdir(folder)
        shutil.copy(self.group.config(like), folder)
        harness.edit_config(os.path.join(folder, "nexus.cfg"), local_id=77, gms_port=harness.free_ports(1)[0])
        fresh = self.group.spawn(folder, *args)
        fresh.wait_line(harness.READY)
        return fresh

    def assert_waits(self, tag, node):
        wait_until(lambda: any("is on disks alone and waits for node %d" % node in line
                               for line in self.group.nodes[0].errors), self.group.nodes[0].story())
        answer = self.ask(tag)
        self.assertNotEqual(answer.code, 0, answer.story)
        self.assertIn("unavailable", answer.story)

    def assert_back(self, *tags):
        for tag in tags:
            wait_until(lambda: self.answers(tag), "model %d is not back" % tag)

    def test_at_one_moment(self):
        """One shard of two; its replicas come back in both orders, after one that was never there. The other serves on."""
        self.serve_kept(tags=(2, 3), count=6)
        for round_, (first, second) in enumerate(((2, 4), (4, 2))):
            self.kill(2, 4)
            self.assert_waits(2, 2)
            self.assert_red(self.ask(3))
            if round_ == 0:
                fresh = self.start_fresh(2)
                self.assert_waits(2, 2)
            self.group.start_node(first).wait_line(harness.READY)
            self.assert_back(2, *range(10, 10 + 2 * round_, 2))
            if round_ == 0:
                fresh.signal(signal.SIGTERM)
                fresh.wait()
            back = self.group.start_node(second, "--log_level", "info")
            self.await_lines(back, HAS_STATE, LOG_BEGINS)
            self.install(10 + 2 * round_)
        self.kill_all()
        self.start_in((5, 4, 3, 2, 1, 0))
        self.assert_back(2, 3, 10, 12)

    def test_one_after_the_other(self):
        """The one that died first lacks what was acknowledged after that: the other one is waited for."""
        self.serve_kept()
        self.kill(2)
        self.install(2)
        self.kill(3)
        self.assert_waits(1, 3)
        self.group.start_node(2).wait_line(harness.READY)
        self.assert_waits(1, 3)
        self.group.start_node(3).wait_line(harness.READY)
        self.assert_back(1, 2)
        self.install(3)
        self.kill(3)
        self.assert_back(1, 2, 3)

    def test_of_half_a_group(self):
        """Both replicas die at once: two of four are no majority, until they come back, and then it is their logs that count."""
        self.serve_kept()
        self.kill(2, 3)
        self.group.start_node(3).wait_line(harness.READY)
        self.assert_back(1)
        self.install(2)
        self.await_lines(self.group.start_node(2, "--log_level", "info"), HAS_STATE, LOG_BEGINS)
        self.kill(3)
        self.assert_back(1, 2)

    def test_before_any_install(self):
        """Nobody can know that nothing was acknowledged."""
        self.serve_kept(tags=())
        self.kill(2)
        self.kill(3)
        self.assert_waits(1, 3)
        self.group.start_node(3).wait_line(harness.READY)
        wait_until(lambda: self.group.client("installmodel", "1", *self.paths).code == 0, "no install")
        self.assert_back(1)


    def test_with_an_install_under_way(self):
        """The only replica dies before it has voted, and is back at another rank: it votes then, and what it cannot load is
        refused, not called installed. The vote is cut off its log, as if it had died a moment before."""
        self.serve_kept(tags=(3,), count=6)
        self.kill(3)
        bad = self.path("bad", b"x" * len(self.files[2]))
        self.assertNotEqual(self.group.client("installmodel", "5", *self.paths[:2], bad).code, 0)
        self.kill(5)
        log = os.path.join(self.group.folder(5), ".plog", "CATEGORIZER_TIER.1")
        told = subprocess.run([harness.nexus(), "log", log], capture_output=True, text=True)
        records = re.findall(r"^ +at (\d+) .* kind (\d) ", told.stdout, re.MULTILINE)
        self.assertEqual([kind for _, kind in records[-2:]], ["2", "1"], told.stdout)
        os.truncate(glob.glob(os.path.join(log, "segment-*.log"))[0], int(records[-1][0]))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(log, "mark.note"))  # it may know of the vote
        back = self.group.start_node(5, "--log_level", "info")
        self.await_lines(back, "tag 5: params: not an MXNet parameter file")
        self.assert_back(3)
        other = self.group.start_node(3, "--log_level", "info")
        self.await_lines(other, HAS_STATE)
        self.install(5)
        self.assertTrue(back.running, back.story())


class BlockedSurvivors(RestartCase):
    """Most nodes die at one moment; those that are left can never go on, and take part with their disks when the others are
    back."""

    def kill_but(self, *survivors):
        dead = [k for k in range(self.group.count) if k not in survivors]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for k in dead:
                self.group.nodes[k].signal(number)
        for k in dead:
            self.group.nodes[k].wait()
        for k in survivors:
            self.await_lines(self.group.nodes[k], "cannot go on with node")
        return dead

    def all_are_members(self):
        told = subprocess.run([harness.nexus(), "status", self.group.address(), "--json"], capture_output=True)
        states = {m["node"]: m["state"] for m in json.loads(told.stdout)["members"]} if told.returncode == 0 else {}
        return states == {k: "alive" for k in range(self.group.count)}

    def lose_majority(self, count, survivors, order):
        self.serve_kept(count=count)
        dead = self.kill_but(*survivors)
        self.assertEqual(sorted(dead), sorted(order))
        for k in order:
            self.group.start_node(k)
        wait_until(self.all_are_members, "the group has not begun again: " +
                   "".join(node.story() for node in self.group.nodes))
        for k in survivors:
            self.await_lines(self.group.nodes[k], "the group begins again from its disks", "is a member of its group again")
        wait_until(lambda: self.answers(1), "model 1 is not back")
        self.assertEqual(self.group.client("installmodel", "2", *self.paths).code, 0)
        self.assert_red(self.ask(2))

    def test_one_replica(self):
        self.lose_majority(4, (3,), (0, 1, 2))

    def test_the_configured_leader(self):
        self.lose_majority(4, (0,), (3, 2, 1))

    def test_two_of_six(self):
        self.lose_majority(6, (4, 5), (0, 1, 2, 3))

    def test_it_takes_a_majority(self):
        """One of four survives, one comes back: both wait; with the next one they begin."""
        self.serve_kept()
        self.kill_but(3)
        self.group.start_node(2)
        self.assertRaises(AssertionError, self.group.nodes[2].wait_line, harness.READY, 3)
        self.assertFalse(any("joins again" in line for line in self.group.nodes[3].errors))
        self.group.start_node(0)
        wait_until(lambda: any("the group begins again with view 2 of 3 nodes" in line for line in self.group.nodes[0].errors) or
                   self.answers(1), "the group has not begun again")
        wait_until(lambda: self.answers(1), "model 1 is not back")


class FullDisk(RestartCase):
    def mount(self, k):
        """A small file system for the node's log; skips where that is not permitted."""
        place = os.path.join(self.group.folder(k), "small")
        os.mkdir(place)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest("a tmpfs may not be mounted here: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=False)
        with open(self.group.config(k), "a") as config:
            config.write("\n[PERS]\nfile_path = small/.plog\n")
        return place

    def fill(self, place):
        with open(os.path.join(place, "filler"), "wb") as filler:
            left = os.statvfs(place)
            filler.write(bytes(left.f_bavail * left.f_frsize - (256 << 10)))

    def fill_up(self, place):
        """To the last byte; what is written once more grows by less than a page."""
        with open(os.path.join(place, "filler"), "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass

    def test_a_view_changes(self):
        """It cannot be noted: nobody ends, photos are answered, installs are refused; with room again they go on by themselves."""
        self.serve_kept()
        self.kill_all()
        for k in range(4):
            shutil.rmtree(os.path.join(self.group.folder(k), ".plog"))
        places = {k: self.mount(k) for k in (2, 3)}
        nodes = self.start_in(range(4))
        self.assertEqual(self.group.client("installmodel", "1", *self.paths).code, 0)
        for place in places.values():
            self.fill_up(place)
        nodes[1].kill()
        for k in (2, 3):
            self.await_lines(nodes[k], "the disk is full: cannot replace small/.plog/view.note: No space left on device")
        self.assert_red(self.ask(1))
        answer = self.group.client("installmodel", "2", *self.paths)
        self.assertNotEqual(answer.code, 0, answer.story)
        self.assertIn("(small/.plog) has no room: ", answer.story)
        self.assertEqual([nodes[k].running for k in (0, 2, 3)], [True] * 3)
        for place in places.values():
            os.remove(os.path.join(place, "filler"))
        for k in (2, 3):
            self.await_lines(nodes[k], "the disk of small/.plog has room again")
        self.assertEqual(self.group.client("installmodel", "2", *self.paths).code, 0)
        self.kill_all()
        self.start_in((3, 2, 0))
        for tag in (1, 2):
            self.assert_red(self.ask(tag))

    def test_another_nodes_disk(self):
        """No replica's: the view is not certain, so nothing can be acknowledged. All say whose disk it is."""
        self.serve_kept()
        self.kill_all()
        for k in range(4):
            shutil.rmtree(os.path.join(self.group.folder(k), ".plog"))
        place = self.mount(1)
        nodes = self.start_in(range(4))
        self.assertEqual(self.group.client("installmodel", "1", *self.paths).code, 0)
        self.fill_up(place)
        nodes[3].kill()
        for k in (0, 2):
            self.await_lines(nodes[k], "the disk of node 1 has not taken view 2 yet: no change is answered")
        answer = self.group.client("installmodel", "2", *self.paths)
        self.assertNotEqual(answer.code, 0, answer.story)
        self.assertIn("nothing can be kept now: the disk of node 1 has not taken view 2 yet", answer.story)
        self.assert_red(self.ask(1))
        os.remove(os.path.join(place, "filler"))
        self.await_lines(nodes[1], "the disk of small/.plog has room again")
        wait_until(lambda: self.group.client("installmodel", "2", *self.paths).code == 0, "the group takes no installs")
        self.assert_red(self.ask(2))

    def padded(self, size):
        """The model's files, the network's with blanks behind: larger than what fill leaves, and another blob."""
        synset, symbol, params = self.paths
        with open(symbol, "rb") as plain, open(symbol + ".large", "wb") as large:
            large.write(plain.read() + b" " * size)
        return synset, symbol + ".large", params

    def test_an_install_is_refused(self):
        """At one replica, at both: nobody has the model, all live on, and with room again it is installed."""
        self.serve_kept()
        self.kill_all()
        for k in range(4):
            shutil.rmtree(os.path.join(self.group.folder(k), ".plog"))
        places = {k: self.mount(k) for k in (2, 3)}
        self.start_in(range(4))
        self.assertEqual(self.group.client("installmodel", "1", *self.paths).code, 0)
        large = self.padded(512 << 10)
        for k in (3, 2):
            self.fill(places[k])
            answer = self.group.client("installmodel", "2", *large)
            self.assertNotEqual(answer.code, 0, answer.story)
            self.assertIn("(small/.plog) has no room: ", answer.story)
            self.assertNotEqual(self.ask(2).code, 0)
            self.assert_red(self.ask(1))
        for k in (2, 3):
            os.remove(os.path.join(places[k], "filler"))
        self.assertEqual(self.group.client("installmodel", "2", *large).code, 0)
        self.kill_all()
        self.start_in((3, 2, 1, 0))
        for tag in (1, 2):
            self.assert_red(self.ask(tag))


class Compaction(RestartCase):
    def kept_bytes(self):
        return [sum(self.size_of(path) for path in
                    glob.glob(os.path.join(self.group.folder(k), ".plog", "**", "*.*"), recursive=True)) for k in (2, 3)]

    @staticmethod
    def size_of(path):
        try:
            return os.path.getsize(path) if os.path.isfile(path) else 0
        except OSError:  # removed meanwhile
            return 0

    def blobs(self):
        return [len(glob.glob(os.path.join(self.group.folder(k), ".plog", "*", "blobs", "*.blob"))) for k in (2, 3)]

    def change(self, calls, count):
        """Each install brings bytes of its own, so each has a blob."""
        symbol = self.files[1]
        for k in range(count):
            code, text = calls.install(7, self.files[0], symbol + b" " * (k + 1), self.files[2])
            self.assertEqual(code, 0, text)
            code, text = calls.remove(7)
            self.assertEqual(code, 0, text)

    def test_the_folder_stays_small(self):
        """Each install brings bytes of its own; of those that are removed again few are there at the end."""
        self.serve_kept()
        with Wire(self.group.address()) as calls:
            self.change(calls, 500)
        wait_until(lambda: max(self.blobs()) <= 300, "%s blobs" % self.blobs())
        wait_until(lambda: max(self.kept_bytes()) < 4 << 20, "%s bytes" % self.kept_bytes())
        self.assertEqual(self.group.client("installmodel", "2", *self.paths).code, 0)
        self.kill_all()
        self.start_in((0, 1, 3, 2))
        for tag in (1, 2):
            self.assert_red(self.ask(tag))
        self.assertNotEqual(self.ask(7).code, 0)


class SpoiltLogs(RestartCase):
    def log_of(self, node):
        return os.path.join(self.group.folder(node), ".plog", "CATEGORIZER_TIER.0")

    def test_a_torn_tail_is_cut(self):
        """What follows the last whole record was never acknowledged."""
        self.serve_kept()
        self.kill_all()
        segment = sorted(glob.glob(os.path.join(self.log_of(2), "segment-*.log")))[-1]
        with open(segment, "ab") as log:
            log.write(b"half a record")
        nodes = self.start_in((0, 1, 2, 3))
        nodes[2].wait_error("13 bytes that were being written are cut")
        self.assert_red(self.ask(1))

    def test_a_rotten_log_is_refused_by_name(self):
        """The replica with the good log serves. What is rotten within the last moment before the crash looks torn: so
        the mark is awaited, which says what is on the disk for certain."""
        self.serve_kept()
        mark = os.path.join(self.log_of(2), "mark.note")
        wait_until(lambda: os.path.exists(mark), "no mark")
        self.kill_all()
        segment = sorted(glob.glob(os.path.join(self.log_of(2), "segment-*.log")))[0]
        with open(segment, "r+b") as log:
            log.seek(300)
            byte = log.read(1)
            log.seek(300)
            log.write(bytes([byte[0] ^ 1]))
        rotten = self.group.start_node(2)
        self.assertNotEqual(rotten.wait(), 0)
        self.assertIn("segment-0000000001.log:", rotten.errors[-1])
        self.group.nodes[2] = None
        self.start_in((0, 1, 3))
        self.assert_red(self.ask(1))

    def keep_logs(self, nodes, copy):
        """Copies of the logs as they are now, or (copy -> node) those copies put back."""
        for k in nodes:
            log, kept = os.path.join(self.group.folder(k), ".plog"), os.path.join(self.group.top, "%s-%d" % (copy, k))
            if os.path.exists(kept):
                shutil.rmtree(log)
                shutil.copytree(kept, log)
            else:
                shutil.copytree(log, kept)

    def assert_refused(self, node, words):
        self.assertNotEqual(node.wait(), 0)
        self.assertIn(words, node.errors[-1])
        self.assert_red(self.ask(1))

    def test_who_was_restarted_apart_does_not_join(self):
        """Two groups began from the same logs: one with node 3, whose disk then knows a view that the other lacks."""
        self.serve_kept()
        self.kill_all()
        self.keep_logs((0, 1, 2), "before")
        self.start_in((0, 1, 2, 3))
        self.assertEqual(self.group.client("installmodel", "2", *self.paths).code, 0)
        self.kill_all()
        self.keep_logs((0, 1, 2), "before")
        self.group.nodes[3] = None
        self.start_in((0, 1, 2))
        self.assert_refused(self.group.start_node(3), "node 3 may not join: its disk holds view 2 of another part of")

    def test_another_groups_log_does_not_join(self):
        self.serve_kept()
        self.kill_all()
        first, other = self.group, os.path.join(self.group.folder(3), ".plog")
        self.serve_kept()
        self.group.nodes[3].kill()
        mine = os.path.join(self.group.folder(3), ".plog")
        shutil.rmtree(mine)
        shutil.copytree(other, mine)
        first.close()
        self.assert_refused(self.group.start_node(3), "node 3 keeps the log of group ")

    def test_another_groups_log_is_refused(self):
        self.serve_kept()
        self.kill_all()
        first, top = self.group, self.group.folder(3)
        self.serve_kept()
        self.kill_all()
        shutil.rmtree(os.path.join(self.group.folder(3), ".plog"))
        shutil.copytree(os.path.join(top, ".plog"), os.path.join(self.group.folder(3), ".plog"))
        first.close()
        self.group.start_node(0)
        stranger = self.group.start_node(3)
        self.assertNotEqual(stranger.wait(), 0)
        self.assertIn("node 3 keeps the log of group ", stranger.errors[-1])
        self.assertEqual(stranger.errors[-1].count("…"), 2)


if __name__ == "__main__":
    harness.main()
