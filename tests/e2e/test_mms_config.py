#!/usr/bin/env python3
"""A node started with a Model Server's own files: addresses, models of the store at start, what has no effect named, refusals."""

import http.client
import json
import os
import unittest

import harness
import tiny_model
from harness import Group
from test_http import archive, model_entries


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.WAIT_S)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def other_entries():
    entries = dict(model_entries())
    entries["synset.txt"] = entries["synset.txt"].replace(b"red", b"rot")
    return list(entries.items())


class MmsCase(unittest.TestCase):
    def group_of(self, count):
        group = Group(count)
        self.addCleanup(group.close)
        return group

    def give(self, group, k, name, text, store=None):
        """A file of Model Server's and a store of archives for node k; the options that name the file."""
        with open(os.path.join(group.folder(k), name), "w") as out:
            out.write(text)
        os.makedirs(os.path.join(group.folder(k), "store"), exist_ok=True)
        for file, entries in (store or {}).items():
            with open(os.path.join(group.folder(k), "store", file), "wb") as out:
                out.write(archive(entries))
        return "--CLIENTS/mms_config", name

    def names(self, port):
        return [model["modelName"] for model in ask(port, "GET", "/models")[1]["models"]]

    def wait_said(self, node, *words):
        harness.wait_until(lambda: any(all(w in line for w in words) for line in node.errors), "%s; %s" % (words, node.story()))


class Properties(MmsCase):
    def test_a_node_comes_up_with_its_models_at_model_servers_ports(self):
        group = self.group_of(2)
        inference, management = harness.free_ports(2)
        options = self.give(group, 0, "config.properties",
                            "inference_address=http://127.0.0.1:%d\nmanagement_address=http://127.0.0.1:%d\n"
                            "model_store=store\nload_models=ALL\nnumber_of_netty_threads=32\nunheard_of=1\n" %
                            (inference, management), {"a.mar": model_entries(), "b.model": other_entries(), "c.mar": [("x", b"y")],
                                                          "l" * 130 + ".mar": model_entries()})
        node = group.start_node(0, *options)
        group.start_node(1)
        group.wait_ready()
        for port in (inference, management, group.client_ports[0]):
            self.assertEqual(ask(port, "GET", "/ping")[0], 200)
        for name in ("a", "b"):
            self.wait_said(node, "audit: load_models", "model %s registered" % name)
        self.assertEqual(self.names(management), ["a", "b"])
        red = tiny_model.png(tiny_model.RED)
        self.assertEqual(ask(inference, "POST", "/predictions/a", red)[1][0]["class"], "red")
        self.assertEqual(ask(inference, "POST", "/predictions/b", red)[1][0]["class"], "rot")
        self.wait_said(node, "llll… is left out: its name has 134 bytes, at most 127 are allowed")
        self.wait_said(node, "config.properties:5: number_of_netty_threads is not supported")
        self.wait_said(node, "config.properties:6: unheard_of is no key")
        self.wait_said(node, "c of c.mar is not registered", "synset.txt")
        self.assertEqual(group.stop(), [0, 0])

    def test_two_nodes_with_the_same_models_and_one_with_another(self):
        """Each model is installed once; equal bytes are fine, others are an error, and what was there stays."""
        group = self.group_of(4)
        tiers = group.function_tier
        self.assertGreaterEqual(len(tiers), 2)
        for n, k in enumerate(tiers):
            text = "inference_address=http://127.0.0.1:%d\nmanagement_address=http://127.0.0.1:%d\nmodel_store=store\n" \
                   "load_models=same.mar, named=file.mar\n" % tuple(harness.free_ports(2))
            options = self.give(group, k, "config.properties", text,
                                {"same.mar": model_entries(), "file.mar": other_entries() if n else model_entries()})
            group.start_node(k, *options)
        for k in range(group.count):
            if k not in tiers:
                group.start_node(k)
        group.wait_ready()
        nodes = [group.nodes[k] for k in tiers]

        def registered(name):
            return sum("model %s registered" % name in line for node in nodes for line in node.errors)
        harness.wait_until(lambda: any("with other bytes is installed" in e for node in nodes for e in node.errors),
                           "\n".join(node.story() for node in nodes))
        for k in tiers:
            harness.wait_until(lambda port=group.client_ports[k]: self.names(port) == ["named", "same"], "not both")
        self.assertEqual((registered("same"), registered("named")), (1, 1))

    def test_refusals_name_file_and_line(self):
        group = self.group_of(2)
        for text, words in (("\nmax_request_size=big\n", ("config.properties:2", "max_request_size", "big")),
                            ("job_queue_size=0\n", ("config.properties:1", "requests_max")),
                            ("load_models=ALL\n", ("load_models", "model_store")),
                            ("load_models=ALL\nmodel_store=nowhere\n", ("model_store", "nowhere")),
                            ("load_models=v2=a.mar\nmodel_store=store\n", ("load_models", "v2")),
                            ("management_address=tcp://x\n", ("config.properties:1", "management_address"))):
            options = self.give(group, 0, "config.properties", text)
            node = group.start_node(0, *options)
            self.assertGreater(node.wait(), 0)
            said = "\n".join(node.errors)
            for word in words:
                self.assertIn(word, said)
        node = group.start_node(0, "--CLIENTS/mms_config", "absent.conf")
        self.assertGreater(node.wait(), 0)
        self.assertIn("absent.conf", "\n".join(node.errors))


class Conf(MmsCase):
    def test_a_file_of_0_4(self):
        group = self.group_of(2)
        port, = harness.free_ports(1)
        options = self.give(group, 0, "mms.conf",
                            "[MMS Arguments]\n--models\ntiny=store/tiny.model\n--service\noptional\n--gen-api\npython\n"
                            "[Gunicorn Arguments]\n--workers\noptional\n--bind\nunix:/tmp/x.sock\n"
                            "[Nginx Configurations]\nserver {\n    listen 127.0.0.1:%d;\n    location / {\n    }\n}\n"
                            "[MXNet Environment Variables]\nOMP_NUM_THREADS=1\n" % port, {"tiny.model": model_entries()})
        node = group.start_node(0, *options)
        group.start_node(1)
        group.wait_ready()
        self.wait_said(node, "audit: load_models", "model tiny registered")
        self.assertEqual(self.names(port), ["tiny"])
        body = b"--x\r\nContent-Disposition: form-data; name=\"data\"\r\nContent-Type: image/png\r\n\r\n" + \
            tiny_model.png(tiny_model.RED) + b"\r\n--x--\r\n"
        status, answer = ask(port, "POST", "/tiny/predict", body, {"Content-Type": "multipart/form-data; boundary=x"})
        self.assertEqual((status, answer["prediction"][0][0]["class"]), (200, "red"))
        for words in (("mms.conf:7", "--gen-api"), ("mms.conf:12", "--bind"), ("mms.conf:16", "location"),
                      ("mms.conf:20", "OMP_NUM_THREADS")):
            self.wait_said(node, *words)


class OwnKeys(MmsCase):
    def test_the_same_by_keys_of_nexus_cfg(self):
        group = self.group_of(2)
        port, = harness.free_ports(1)
        self.give(group, 0, "unused", "", {"a.mar": model_entries()})
        group.start_node(0, "--CLIENTS/listen", "127.0.0.2:%d" % port, "--CLIENTS/model_store", "store",
                         "--CLIENTS/load_models", "7=a.mar")
        group.start_node(1)
        group.wait_ready()
        connection = http.client.HTTPConnection("127.0.0.2", port, timeout=harness.WAIT_S)
        self.addCleanup(connection.close)

        def there():
            connection.request("GET", "/v2/models/7/ready")
            reply = connection.getresponse()
            reply.read()
            return reply.status == 200
        harness.wait_until(there, "not loaded")

    def test_an_address_that_is_taken(self):
        group = self.group_of(2)
        node = group.start_node(0, "--CLIENTS/listen", "127.0.0.1:%d" % group.client_ports[0])
        self.assertGreater(node.wait(), 0)
        self.assertIn("listen: cannot listen on 127.0.0.1:%d" % group.client_ports[0], "\n".join(node.errors))


if __name__ == "__main__":
    harness.main()
