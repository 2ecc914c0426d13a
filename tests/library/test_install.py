#!/usr/bin/env python3
"""What `cmake --install` puts into a prefix: a library with the public calls and nothing else, its headers and pages."""
import glob
import os
import re
import subprocess
import sys
import tempfile

import installed

NEEDED = re.compile(r"lib(crypto|z|c)\.so\.\d+$|ld-linux.*\.so\.\d+$")
NEEDED_SANITIZED = re.compile(NEEDED.pattern + r"|lib([atu]b?san|pthread|m|dl|gcc_s|rt|resolv)\.so\.\d+$")


def shared(lib):
    return os.path.join(lib.libdir, "libnexus-group.so")


def symbols(lib, *nm):
    """What nm lists; beside our names a sanitizer's, where there is one."""
    lines = [line.split() for line in lib.output(["nm", "--defined-only", *nm]).splitlines()]
    names = {words[-1].split("@")[0] for words in lines if len(words) == 3}
    return {n for n in names if n.startswith("nx_")} if lib.sanitize else names


def exported(lib):
    return symbols(lib, "-D", shared(lib))


def headers(lib):
    return glob.glob(os.path.join(lib.prefix, "include/nexus/**/*.h"), recursive=True)


def pages(lib, section):
    return glob.glob(os.path.join(lib.prefix, f"share/man/man{section}/*.{section}"))


def test_names(lib):
    """every exported symbol is declared in a public header"""
    text = "".join(open(h, encoding="utf-8").read() for h in headers(lib))
    names = exported(lib)
    assert "nx_group_open" in names, f"the library exports {len(names)} symbols, without nx_group_open"
    strangers = sorted(n for n in names if not re.search(rf"\b{n}\(", text))
    assert not strangers, f"exported, but in no public header: {', '.join(strangers)}"


def test_archive(lib):
    """the archive has the same global symbols as the shared library"""
    archive = symbols(lib, "-g", os.path.join(lib.libdir, "libnexus-group.a"))
    assert archive == exported(lib), f"only in one: {', '.join(sorted(archive ^ exported(lib)))}"


def test_complete(lib):
    """every function of group.h is exported"""
    with open(os.path.join(lib.prefix, "include/nexus/group/group.h"), encoding="utf-8") as f:
        code = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    declared = set(re.findall(r"\b(nx_\w+)\(", code))
    assert len(declared) > 20, f"group.h declares only {sorted(declared)}"
    missing = sorted(declared - exported(lib))
    assert not missing, f"declared in group.h, but not exported: {', '.join(missing)}"


def test_needed(lib):
    """it needs libcrypto (the shared secret, blobs), libz (checksums) and libc only, and loads libfabric by its name"""
    dynamic = lib.output(["readelf", "-d", shared(lib)])
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    allowed = NEEDED_SANITIZED if lib.sanitize else NEEDED
    strangers = [n for n in needed if not allowed.match(n)]
    with open(shared(lib), "rb") as f:
        assert b"\0libfabric.so.1\0" in f.read(), "it does not name libfabric.so.1"
    assert not strangers, f"needs {', '.join(strangers)}"
    assert "[libnexus-group.so.0]" in dynamic, "its SONAME is not libnexus-group.so.0"


def test_headers(lib):
    """each public header compiles on its own"""
    found = headers(lib)
    assert any(h.endswith("nexus/group/group.h") for h in found), f"headers: {found}"
    for header in found:
        name = os.path.relpath(header, os.path.join(lib.prefix, "include"))
        subprocess.run([lib.cc, *installed.STRICT, *lib.pkg_config("--cflags", "nexus-group"),
                        "-fsyntax-only", "-x", "c", "-"],
                       input=f"#include <{name}>\nint x;\n", text=True, check=True)


def test_static(lib):
    """a program links with the archive, and then needs no libnexus-group"""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "counter")
        lib.build(os.path.join(installed.SOURCES, "examples/counter.c"), program,
                  os.path.join(lib.libdir, "libnexus-group.a"),
                  *lib.pkg_config("--libs", "libcrypto"), *lib.pkg_config("--libs", "zlib"),
                  "-pthread")
        assert "libnexus-group" not in lib.output(["readelf", "-d", program])
        result = subprocess.run([program], capture_output=True, text=True, check=False)
        assert result.returncode == 2 and result.stderr.startswith("usage: counter"), result


def test_pages(lib):
    """every exported symbol has a manual page under its name"""
    have = {os.path.basename(p)[:-2] for p in pages(lib, 3)}
    without = sorted(exported(lib) - have)
    assert not without, f"no page in docs/man names {', '.join(without)}"
    for section, name in ((1, "nexus.1"), (5, "nexus.cfg.5")):
        assert any(p.endswith("/" + name) for p in pages(lib, section)), f"no {name}"


def test_pages_current(lib):
    """no manual page names a call that is not there"""
    ghosts = sorted({os.path.basename(p)[:-2] for p in pages(lib, 3)} - exported(lib))
    assert not ghosts, f"pages without a symbol: {', '.join(ghosts)}"


def test_config_page(lib):
    """nexus.cfg(5) has every key of the configuration once, and its default"""
    with open(os.path.join(installed.SOURCES, "src/common/config.c"), encoding="utf-8") as f:
        table = re.search(r"keys\[\] = \{\n(.*?)\n\};", f.read(), re.S).group(1)
    with open(os.path.join(lib.prefix, "share/man/man5/nexus.cfg.5"), encoding="utf-8") as f:
        told = re.findall(r"\.It Cm (\w+)\n(.*?)(?=\.It|\.El)", f.read(), re.S)
    items = dict(told)
    twice = sorted({key for key, _ in told if [k for k, _ in told].count(key) > 1})
    assert not twice, f"listed twice: {', '.join(twice)}"
    rows = re.findall(r'\((?:"\w+"|\w+), "(\w+)",[^"]*?(?:NULL|"([^"]*)")', table)
    assert len(rows) == len(table.splitlines()), f"{len(rows)} keys in {len(table.splitlines())} lines"
    for key, default in rows:
        assert key in items, f"{key} is missing"
        told = f"Default: {default}" if default else ""
        assert told in items[key], f"{key}: expected \"{told}\""


def test_usage_page(lib):
    """nexus(1) has every mode, command and option that nexus --help tells"""
    usage = lib.output([os.path.join(lib.prefix, "bin/nexus"), "--help"])
    with open(os.path.join(lib.prefix, "share/man/man1/nexus.1"), encoding="utf-8") as f:
        words = set(re.findall(r"(?:Cm|Fl Fl) ([\w/.]+)", f.read()))
    told = re.findall(r"--([a-z_A-Z/]+)", usage) + re.findall(r"(\w+) <(?:tag|tags)>", usage)
    told += re.findall(r"nexus ([a-z]+)", usage)
    assert len(told) > 8, f"found only {told} in the usage"
    missing = sorted({w for w in told if w not in words and w != "KEY"})
    assert not missing, f"nexus(1) has not: {', '.join(missing)}"


def test_nexus(lib):
    """the nexus binary is there and runs; node folders are not installed"""
    told = lib.output([os.path.join(lib.prefix, "bin/nexus"), "--version"])
    assert told.startswith("nexus "), told
    assert told.split()[1] == lib.pkg_config("--modversion", "nexus-group")[0], "two versions"
    strays = [top for top, _, names in os.walk(lib.prefix) if "nexus.cfg" in names]
    assert not strays, f"configuration installed in {strays}"


if __name__ == "__main__":
    sys.exit(installed.run([test_names, test_archive, test_complete, test_needed, test_headers, test_static,
                            test_pages, test_pages_current, test_config_page, test_usage_page,
                            test_nexus],
                           installed.from_arguments()))
