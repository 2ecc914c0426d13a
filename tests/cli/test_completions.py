#!/usr/bin/env python3
"""The shells know every command and option that `nexus --help` and the configuration know, and complete them.

Usage: test_completions.py NEXUS. A shell that is not installed is said so, and skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDER = os.path.join(ROOT, "src", "cli", "completions")
FILES = {"bash": "nexus.bash", "zsh": "_nexus", "fish": "nexus.fish"}
NEXUS = None


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def usage():
    return subprocess.run([NEXUS, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout


def commands():
    text = usage()
    words = set(re.findall(r"(?m)^(?:usage:|      ) nexus ([a-z]+)", text))
    words |= set(re.findall(r"nexus client <\S+> ([a-z]+)", text)) | set(re.findall(r"nexus model ([a-z]+)", text))
    return words


def options():
    return set(re.findall(r"--[a-z][a-z_-]+", usage())) - {"--local_id"}


def keys():
    """As they are given to the server: --local_id, --RDMA/provider."""
    found = set()
    for section, name in re.findall(r'(?m)^    [A-Z_]+\(("?\w+"?), "(\w+)"', read("src", "common", "config.c")):
        section = {"FUNCTION": "SUBGROUP/FUNCTION_TIER", "CATEGORIZER": "SUBGROUP/CATEGORIZER_TIER",
                   '"NEXUS"': ""}.get(section, section.strip('"'))
        found.add("--" + (section + "/" if section else "") + name)
    return found


class Completions(unittest.TestCase):
    def shell(self, name):
        path = shutil.which(name)
        if not path:
            print("SKIP: no %s: its completion is read, not run" % name, flush=True)
            self.skipTest("no " + name)
        return path

    def test_all_is_in_all(self):
        self.assertGreaterEqual(commands(), {"server", "client", "status", "top", "models", "inspect"})
        self.assertGreaterEqual(options(), {"--json", "--interval", "--batch-max"})
        self.assertGreater(len(keys()), 25)
        for shell, file in FILES.items():
            text = read("src", "cli", "completions", file)
            words = set(re.findall(r"[\w/.-]+", text))
            if shell == "fish":  # which writes -l json
                words |= {"--" + word for word in words}
            self.assertEqual((commands() | options() | keys()) - words, set(), file)

    def test_zsh_knows_what_a_key_takes(self):
        text = read("src", "cli", "completions", FILES["zsh"])
        rows = re.findall(r"'--([\w/]+)\[([^]]+)\]:[^:]+:([^']*)'", text[:text.index("_nexus_client()")])
        self.assertEqual(len(rows), len(keys()))
        kinds = {name.rsplit("/", 1)[-1]: (about, kind) for name, about, kind in rows}
        for macro, name, rest in re.findall(r'(?m)^    ([A-Z_]+)\(\S+ "(\w+)", (.*)\),$', read("src", "common", "config.c")):
            about, kind = kinds[name]
            self.assertNotIn("nexus.cfg", about, name)
            choices = re.search(r'" (\w.*) "$', rest)
            if macro == "NUM":
                self.assertEqual(kind, "", name)
            elif choices:
                self.assertEqual(sorted(kind.strip("()").split()), sorted(choices.group(1).split()), name)

    def test_lines_can_be_read(self):
        for file in FILES.values():
            self.assertLessEqual(max(map(len, read("src", "cli", "completions", file).splitlines())), 160, file)

    def bash(self, *words):
        script = "source %s; COMP_WORDS=(%s); COMP_CWORD=%d; _nexus; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
            os.path.join(FOLDER, FILES["bash"]), " ".join("'%s'" % w for w in words), len(words) - 1)
        done = subprocess.run([self.shell("bash"), "-u", "-c", script], capture_output=True, text=True, timeout=60, cwd="/")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_bash_completes(self):
        self.assertEqual(self.bash("nexus", "st"), ["status"])
        self.assertEqual(self.bash("nexus", "client", "a:1", "inst"), ["installmodel"])
        self.assertEqual(self.bash("nexus", "client", "a:1", "models", "--j"), ["--json"])
        self.assertEqual(self.bash("nexus", "server", "--local_"), ["--local_id", "--local_ip"])
        self.assertEqual(self.bash("nexus", "server", "--tier", "f"), ["function"])
        self.assertEqual(self.bash("nexus", "server", "--CLIENTS/connections_max", ""), [])
        self.assertIn("etc", self.bash("nexus", "server", "--PERS/file_path", "et"))
        self.assertEqual(self.bash("nexus", "model", ""), ["inspect", "run", "time", "calibrate"])
        self.assertIn("etc", self.bash("nexus", "log", "et"))
        self.assertEqual(self.bash("nexus", "top", "--interval", ""), [])

    def test_fish_completes(self):
        def complete(line):
            done = subprocess.run([self.shell("fish"), "--no-config", "-c", "source %s; complete -C '%s'" % (
                os.path.join(FOLDER, FILES["fish"]), line)], capture_output=True, text=True, timeout=60,
                env={**os.environ, "HOME": "/nonexistent"}, cwd="/")
            self.assertEqual(done.returncode, 0, done.stderr)
            return [row.split("\t")[0] for row in done.stdout.splitlines()]
        self.assertEqual(complete("nexus st"), ["status"])
        self.assertEqual(complete("nexus client a:1 inst"), ["installmodel"])
        self.assertEqual(complete("nexus top a:1 --int"), ["--interval"])
        self.assertEqual(complete("nexus server --local_"), ["--local_id", "--local_ip"])

    def test_zsh_reads_it(self):
        done = subprocess.run([self.shell("zsh"), "-n", os.path.join(FOLDER, FILES["zsh"])], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    NEXUS = os.path.abspath(sys.argv.pop(1))
    unittest.main()
