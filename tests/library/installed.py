"""The installed library, for the tests of this folder: where it lies, and how a program is built against it."""
import argparse
import os
import subprocess
import sys

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(SOURCES, "tests", "lib"))
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"]


class Installed:
    def __init__(self, prefix, cc, sanitize):
        self.prefix, self.cc = prefix, cc
        self.sanitize = [f"-fsanitize={sanitize}"] if sanitize else []
        self.libdir = next(os.path.dirname(top) for top, _, names in os.walk(prefix)
                           if "nexus-group.pc" in names)
        self.environ = dict(os.environ, LD_LIBRARY_PATH=self.libdir,
                            PKG_CONFIG_PATH=os.path.join(self.libdir, "pkgconfig"))

    def pkg_config(self, *arguments):
        return self.output(["pkg-config", *arguments]).split()

    def output(self, command):
        return subprocess.run(command, env=self.environ, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def build(self, source, program, *libraries):
        """Links with what pkg-config says, or with `libraries` instead."""
        subprocess.run([self.cc, *STRICT, *self.sanitize, *self.pkg_config("--cflags", "nexus-group"),
                        source, "-o", program,
                        *(libraries or self.pkg_config("--libs", "nexus-group"))],
                       env=self.environ, check=True)


def from_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--cc", required=True)
    parser.add_argument("--sanitize", default="")
    a = parser.parse_args()
    return Installed(a.prefix, a.cc, a.sanitize)


def run(tests, *arguments):
    """Each test is a function that raises; all of them run."""
    failed = 0
    for test in tests:
        try:
            test(*arguments)
            print("ok -", test.__doc__)
        except (AssertionError, subprocess.CalledProcessError) as error:
            failed += 1
            print("not ok -", test.__doc__, "\n  ", error)
    return 1 if failed else 0
