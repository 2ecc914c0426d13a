#!/usr/bin/env python3
"""kill -9 of any one node under load, seen from the clients: no request that had a live function-tier node fails.

Clients infer, install and remove without a pause, at both function-tier nodes. One that finds its node dead goes to the
other and sends the same request again, under the same id, as a client would. The dead node is started again and comes back;
then the one that did its work meanwhile is killed, so that what is answered from there on, the newcomer answers. Each case
prints what was sent, answered and failed.
"""

import random
import threading
import time
import unittest

import grpc

import harness
import sosp_wire as wire
import tiny_model
from harness import Group, Wire

PHOTO_CLIENTS, CHANGE_CLIENTS = 4, 3
CALM_S = 0.6  # of load before, between and after the deaths
ANSWER_S = 60  # a bound for a busy machine; answers take milliseconds
SERVED = (1, 2)  # tags that photos ask for; of both shards, where there are two
WORDS = {"inference": "red", "install": "install model successfully.", "remove": "remove model successfully."}


class Client(threading.Thread):
    """One client: it knows both nodes, and stays with one for as long as that lives."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.at = number % 2
        self.sent = self.answered = self.moved = 0
        self.failures = []
        self.random = random.Random(number)
        self.calls = Wire(load.group.address(self.at))

    def run(self):
        while not self.load.over.is_set():
            self.turn()
        self.calls.close()

    def move(self):
        self.calls.close()
        self.at = 1 - self.at
        self.moved += 1
        self.calls = Wire(self.load.group.address(self.at))

    def do(self, what, call):
        """Sends it, and once more at the other node if this one is dead."""
        self.sent += 1
        for attempt in range(2):
            deaths = self.load.deaths[self.at]
            try:
                told = call()
                break
            except grpc.RpcError as error:
                told = "%s at node %d: %s" % (error.code().name, self.at, error.details())
                if not self.load.may_be_dead(self.at, deaths):
                    break
                self.move()
        if told == WORDS[what]:
            self.answered += 1
        else:
            self.failures.append("%s by client %d, attempt %d: %s" % (what, self.number, attempt + 1, told))
        return told


class PhotoClient(Client):
    def turn(self):
        tag = SERVED[self.random.randrange(len(SERVED))]
        self.do("inference", lambda: self.calls.whatsthis([tag], self.load.photo))


class ChangeClient(Client):
    """Installs a tag of its own, asks it, removes it: what it was told is true at once, everywhere."""

    def turn(self):
        tag = 100 * (self.number + 1) + self.random.randrange(100)
        if self.do("install", lambda i=self.new_id(): self.install(tag, i)) != WORDS["install"]:
            return
        for _ in range(3):
            self.do("inference", lambda: self.calls.whatsthis([tag], self.load.photo))
        self.do("remove", lambda i=self.new_id(): self.text(self.calls.remove(tag, i)))

    def new_id(self):
        return self.random.randbytes(16)

    def text(self, outcome):
        code, text = outcome
        return text if code == 0 else "%d: %s" % outcome

    def install(self, tag, request_id):
        """In small pieces, so that deaths find installs at every stage of their coming in."""
        synset, symbol, params = self.load.files
        body, piece = synset + symbol + params, self.random.choice((100, 5000))

        def upload():
            yield wire.install_start(tag, len(synset), len(symbol), len(params), wire.blob(16, request_id))
            for message in wire.chunks(body, piece):
                time.sleep(self.random.choice((0, 0.001)))
                yield message
        return self.text(wire.outcome(self.calls.stream(wire.INSTALL, upload(), timeout_s=ANSWER_S)))


class Load:
    def __init__(self, group, photo, files):
        self.group, self.photo, self.files = group, photo, files
        self.deaths = [0] * group.count
        self.dying = None
        self.over = threading.Event()
        self.clients = [PhotoClient(self, k) for k in range(PHOTO_CLIENTS)]
        self.clients += [ChangeClient(self, PHOTO_CLIENTS + k) for k in range(CHANGE_CLIENTS)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for client in self.clients:
            client.join(4 * ANSWER_S)

    def kill(self, node):
        self.dying = node
        self.deaths[node] += 1
        self.group.nodes[node].kill()
        self.dying = None
        self.go_on()

    def go_on(self):
        """For a while, and until each client has had some answers in it."""
        wanted = [client.answered + 4 for client in self.clients]
        time.sleep(CALM_S)
        harness.wait_until(lambda: all(client.answered >= count for client, count in zip(self.clients, wanted)),
                           "a client stands still: %s %s" % (self.summary(), self.failures()[:3]))

    def may_be_dead(self, node, deaths):
        """Now, or since it had died so often."""
        return self.dying == node or self.deaths[node] != deaths or not self.group.nodes[node].running

    def failures(self):
        hung = ["client %d hangs" % c.number for c in self.clients if c.is_alive()]
        return hung + [failure for c in self.clients for failure in c.failures]

    def summary(self):
        return "%d sent, %d answered, %d failed, %d clients moved to the other node" % (
            sum(c.sent for c in self.clients), sum(c.answered for c in self.clients),
            sum(len(c.failures) for c in self.clients), sum(c.moved > 0 for c in self.clients))


class KillCase(unittest.TestCase):
    def serve(self, count):
        self.group = Group(count)
        self.addCleanup(self.group.close)
        others = ", ".join("127.0.0.1:%d" % port for port in self.group.gms_ports)
        for k in range(count):
            harness.edit_config(self.group.config(k), contacts=others)
        self.group.start()
        self.files = tiny_model.synset(), tiny_model.symbol(), tiny_model.params()
        self.photo = tiny_model.png()
        with Wire(self.group.address()) as calls:
            for tag in SERVED:
                self.assertEqual(calls.install(tag, *self.files)[0], 0)

    def bring_back(self, node):
        """Until it is a member, and, since a change is answered when all have it, knows what the others know."""
        self.group.start_node(node)
        self.group.nodes[node].wait_line(harness.READY)
        at = node if self.group.is_function_tier(node) else 0
        with Wire(self.group.address(at)) as calls:
            for tag in (50, 51):  # one of each shard
                self.assertEqual(calls.install(tag, *self.files)[0], 0)

    def partner(self, count, node):
        """Who does the same work: the other function-tier node, or the other replica of its shard."""
        if node < 2:
            return 1 - node
        return 5 - node if count == 4 else 2 + (node - 2 + 2) % 4

    def run_case(self, count, victim, what):
        self.serve(count)
        partner = self.partner(count, victim)
        load = Load(self.group, self.photo, self.files)
        try:
            with load:
                load.go_on()
                load.kill(victim)
                self.bring_back(victim)
                load.kill(partner)
        finally:
            failures = load.failures()
            print("# %d nodes, kill -9 of n%d (%s), back, kill -9 of n%d: %s" % (
                count, victim, what, partner, load.summary()), flush=True)
        stories = ["n%d: %s" % (k, node.story()) for k, node in enumerate(self.group.nodes)]
        self.assertEqual(failures, [], "\n".join(failures[:20] + (stories if failures else [])))
        self.assertGreater(min(client.answered for client in load.clients), 10, load.summary())
        self.assertTrue(all(node.running for k, node in enumerate(self.group.nodes) if k != partner))


def add_cases():
    """One case a node: each of them is somebody's entry replica, function-tier node, leader."""
    for count in (4, 6):
        for victim in range(count):
            what = "leader, function tier" if victim == 0 else "function tier" if victim == 1 else "replica"

            def case(self, count=count, victim=victim, what=what):
                self.run_case(count, victim, what)
            setattr(KillCase, "test_%d_nodes_n%d" % (count, victim), case)


add_cases()
if __name__ == "__main__":
    harness.main()
