#!/usr/bin/env python3
"""The tutorial's first change applies to the source as it is, and compiles; its table names what exists."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else "cc"


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


class Tutorial(unittest.TestCase):
    def setUp(self):
        self.text = read("docs", "tutorial.md")

    def test_the_first_change_compiles(self):
        anchor, added = re.search(r"joins the names of all tags:\n\n    (.*)\n\nAdd after it\n\n((?:    .*\n)+)",
                                  self.text).groups()
        source = read("src", "function_tier", "service_demo.c")
        self.assertEqual(source.count(anchor + "\n"), 1, "the line to add after is not there, or not once")
        changed = source.replace(anchor + "\n", anchor + "\n" + added, 1)
        with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
            file.write(changed)
            file.flush()
            done = subprocess.run([COMPILER, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                                   "-I", os.path.join(ROOT, "src"), file.name], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_steps_are_where_the_table_says(self):
        rows = re.findall(r"^\|[^|]*\| (`src/.*) \|$", self.text, re.M)
        self.assertGreater(len(rows), 5)
        for path, names in [m for row in rows for m in re.findall(r"`(src/[\w/.]+)(?:: ([\w]+))?`", row)]:
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)
            if names:
                self.assertIn(names + "(", read(*path.split("/")))


if __name__ == "__main__":
    unittest.main()
