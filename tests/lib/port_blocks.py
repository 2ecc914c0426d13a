"""TCP ports for tests that run side by side: nobody else's for as long as this process lives.

Ports come in blocks, below the range from which the kernel gives ports to connections. Whoever takes a block binds its name, an
abstract Unix address: it goes with the process, and is seen where the ports are, in one network namespace. nx_ports.h does
the same in C.
"""

import os
import socket

FIRST, PER_BLOCK, BLOCKS = 10000, 100, 220

_names, _left = [], []


def _take_block():
    for k in range(BLOCKS):
        block, name = (os.getpid() + k) % BLOCKS, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind("\0nexus-test-ports-%d" % block)
        except OSError:  # another process's
            name.close()
            continue
        _names.append(name)
        return list(range(FIRST + block * PER_BLOCK, FIRST + (block + 1) * PER_BLOCK))
    raise RuntimeError("no block of ports is free")


def _listens_nowhere(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def free_port():
    """One that was not given out before."""
    while True:
        if not _left:
            _left.extend(_take_block())
        port = _left.pop(0)
        if _listens_nowhere(port):
            return port
