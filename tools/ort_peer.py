#!/usr/bin/env python3
"""ONNX Runtime as the other runner in `nexus-bench infer --onnx NET.onnx --peer tools/ort_peer.py`.

Reads lines, answers each with one line; nexus-bench starts it and asks in turns with its own runs.

    name                      what this is, in words
    open FILE THREADS BATCH   how many milliseconds it took; sessions count from 0
    run SESSION               wall and processor milliseconds of one run
    answer SESSION            the first output for the first row, as numbers
    quit

Needs onnxruntime and numpy. Inputs are nexus-bench's: element i is i * 2654435761 mod 1024, over 1024.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import onnxruntime as ort


class Session:
    """One loaded model with its input for one batch."""

    def __init__(self, path: str, threads: int, batch: int):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its threads spin for a while after a run, and would take the processors from the next one's.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        port = self.session.get_inputs()[0]
        shape = [batch] + [side for side in port.shape[1:]]
        i = np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(2654435761) % np.uint64(1024)
        self.inputs = {port.name: (i.astype(np.float32) / np.float32(1024)).reshape(shape)}

    def run(self) -> np.ndarray:
        return self.session.run(None, self.inputs)[0]


def answer(line: str, sessions: list[Session]) -> str:
    verb, _, rest = line.partition(" ")
    if verb == "name":
        return f"ONNX Runtime {ort.__version__}, CPU provider, its defaults"
    if verb == "open":
        path, threads, batch = rest.rsplit(" ", 2)
        start = time.perf_counter()
        sessions.append(Session(path, int(threads), int(batch)))
        return f"{1e3 * (time.perf_counter() - start):.3f}"
    session = sessions[int(rest)]
    if verb == "run":
        wall, cpu = time.perf_counter(), time.process_time()
        session.run()
        return f"{1e3 * (time.perf_counter() - wall):.4f} {1e3 * (time.process_time() - cpu):.4f}"
    return " ".join(f"{v:.7g}" for v in session.run()[0].ravel())


def main() -> None:
    sessions: list[Session] = []
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        print(answer(line.strip(), sessions), flush=True)


if __name__ == "__main__":
    main()
