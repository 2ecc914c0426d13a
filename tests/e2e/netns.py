"""A network namespace of a test's own."""

import ctypes
import os
import subprocess


def address(action, host):
    subprocess.run(["ip", "address", action, host + "/32", "dev", "lo"], check=True, capture_output=True)


def enter(hosts, **settings):
    """New user and network namespaces for this process and all that it starts, with these addresses on the loopback; settings are of
    net.ipv4. Before anything starts a thread. None, or why it cannot be."""
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000 | 0x40000000) != 0:  # CLONE_NEWUSER | CLONE_NEWNET
        return "unshare: " + os.strerror(ctypes.get_errno())
    files = [("/proc/self/setgroups", "deny"), ("/proc/self/uid_map", "0 %d 1" % uid), ("/proc/self/gid_map", "0 %d 1" % gid)]
    try:
        for path, text in files + [("/proc/sys/net/ipv4/" + key, str(value)) for key, value in settings.items()]:
            with open(path, "w") as out:
                out.write(text)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
        for host in hosts:
            address("add", host)
    except (OSError, subprocess.CalledProcessError) as failed:
        return str(failed)
    return None
