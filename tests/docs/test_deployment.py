#!/usr/bin/env python3
"""docs/deployment.md: its way from nothing to a curl over TLS works as it is written, and its haproxy.cfg is one; all documents'
links lead somewhere.

Usage: test_deployment.py NEXUS. What cannot be had is said, and skipped."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import harness

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def headings(text):
    return re.findall(r"^#+ (.*)$", text, re.M)


def section(title):
    """The indented blocks of a section of deployment.md, without their indentation."""
    body = re.search(r"^(#+) %s\n(.*?)(?=^#{1,3} |\Z)" % re.escape(title), read("docs", "deployment.md"), re.M | re.S).group(2)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", body, re.M)]


class Tls(unittest.TestCase):
    def setUp(self):
        for tool in ("openssl", "curl"):
            if not shutil.which(tool):
                self.skipTest("SKIP: no " + tool)
        self.group = harness.Group(2)
        self.addCleanup(self.group.close)

    def sh(self, text, fails=False):
        env = dict(os.environ, PATH=os.path.dirname(harness.nexus()) + ":" + os.environ["PATH"])
        done = subprocess.run(["sh", "-ec", text.replace("127.0.0.1:28000", self.group.address())], cwd=self.group.top,
                              capture_output=True, text=True, timeout=harness.WAIT_S, env=env)
        self.assertEqual(done.returncode != 0, fails, text + done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_from_nothing_to_a_curl_that_works(self):
        authority, node, start, ask, answer, clients, ask_mutually = section("From nothing to a curl that works")
        self.assertEqual(start, "cd n0 && nexus server\ncd n1 && nexus server\n")
        self.assertIn("server.pem: OK", self.sh(authority))
        self.sh(node)
        self.group.start()
        self.assertIn(answer, self.sh(ask) + "\n")
        self.group.stop()
        self.assertIn("me.pem: OK", self.sh(clients))
        self.group.start()
        self.assertIn(answer, self.sh(ask_mutually) + "\n")
        self.sh(ask.split("\n")[0], fails=True)


class Proxy(unittest.TestCase):
    def test_haproxy_takes_its_configuration(self):
        if not HAPROXY:
            self.skipTest("SKIP: no haproxy")
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
            file.write(section("haproxy")[0])
            file.flush()
            done = subprocess.run([HAPROXY, "-c", "-f", file.name], capture_output=True, text=True, timeout=harness.WAIT_S)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Links(unittest.TestCase):
    def test_every_link_leads_somewhere(self):
        documents = [path for pattern in ("*.md", "docs/*.md", "docs/*/*.md", "examples/*.md")
                     for path in glob.glob(os.path.join(ROOT, pattern))]
        self.assertGreater(len(documents), 10)
        for document in documents:
            for link in re.findall(r"\]\(([^)\s]+)\)", read(document)):
                if re.match(r"[a-z]+:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
                self.assertTrue(os.path.exists(target), "%s: %s" % (document, link))
                if anchor:
                    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings(read(target))]
                    self.assertIn(anchor, anchors, "%s: %s" % (document, link))


if __name__ == "__main__":
    harness.main()
