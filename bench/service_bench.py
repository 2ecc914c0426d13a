#!/usr/bin/env python3
"""service_bench: figures of the whole service, client to categorizer, on this machine over loopback.

    bench/service_bench.py build/bin/nexus [--rounds 5] [--seconds 4] [--params MODEL_FOLDER]

Prints, each as min / median / max over the rounds (rounds of the different questions are interleaved):
  photos/s with 1 and with 8 clients in a closed loop, and the photo's latency with one client
  installing a model of realistic size (ResNet-50 V2, 102 classes, ~95 MB) to 1 and to 2 replicas, until every replica can run it
  CPU and resident memory of each node while nothing is asked
MODEL_FOLDER holds what tools/resnet50_mxnet.py wrote; without it the script writes one, which takes a while.
Needs python3-grpcio and python3-numpy. For the bare engine on the same cores: build/bench/nexus-bench infer.
"""

import argparse
import concurrent.futures
import glob
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tests", "lib")]

import harness  # noqa: E402
from harness import Group, Wire  # noqa: E402

FLOWERS = os.path.join(ROOT, "models", "flowers")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def spread(values, unit):
    return "%.4g / %.4g / %.4g %s" % (min(values), statistics.median(values), max(values), unit)


def cpu_model():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def resident_mib(pid):
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask_for(address, photo, seconds):
    """Photos answered and the seconds of each, by one client that asks as soon as it has an answer."""
    times = []
    with Wire(address) as wire:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            at = time.monotonic()
            wire.whatsthis([1], photo)
            times.append(time.monotonic() - at)
    return times


def photos_per_s(address, photo, clients, seconds):
    at = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        done = list(pool.map(lambda _: ask_for(address, photo, seconds), range(clients)))
    all_times = [t for times in done for t in times]
    return len(all_times) / (time.monotonic() - at), statistics.median(all_times)


def install(group, tag, files):
    at = time.monotonic()
    answer = group.client("installmodel", str(tag), *files, timeout_s=120)
    took = time.monotonic() - at
    if answer.code:
        raise SystemExit("install refused: " + answer.story)
    group.client("removemodel", str(tag))
    return took


def make_resnet(folder):
    subprocess.run([sys.executable, os.path.join(ROOT, "tools", "resnet50_mxnet.py"), folder], check=True)


def model_files(folder):
    return [glob.glob(os.path.join(folder, pattern))[0] for pattern in ("synset.txt", "*-symbol.json", "*.params")]


def idle(group, seconds):
    before = [cpu_s(node.pid) for node in group.nodes]
    time.sleep(seconds)
    return [(cpu_s(node.pid) - b) / seconds * 100 for node, b in zip(group.nodes, before)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nexus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--params", help="a folder that tools/resnet50_mxnet.py wrote")
    args = parser.parse_args()
    harness._nexus = os.path.abspath(args.nexus)

    with tempfile.TemporaryDirectory() as temporary:
        folder = args.params or temporary
        if not args.params:
            make_resnet(folder)
        large = model_files(folder)
        photo = read(os.path.join(FLOWERS, "photos", "rose.jpg"))
        print("machine: %s, %d cores, Linux %s" % (cpu_model(), os.cpu_count(), platform.release()))
        print("photo: %d bytes; model to install: %.1f MB" % (len(photo), os.path.getsize(large[2]) / 1e6))
        two, four = Group(2), Group(4)
        try:
            two.start()
            four.start()
            time.sleep(1)
            percent = idle(two, 5)
            for node, cpu in zip(two.nodes, percent):
                print("idle node %s: %.3f %% CPU, %.1f MiB resident" % (
                    os.path.basename(node.folder), cpu, resident_mib(node.pid)))
            flowers = model_files(FLOWERS)
            if two.client("installmodel", "1", *flowers).code:
                raise SystemExit("the flower model is refused")
            one, latency, eight, to_1, to_2 = [], [], [], [], []
            for _ in range(args.rounds):
                rate, median = photos_per_s(two.address(), photo, 1, args.seconds)
                one.append(rate)
                latency.append(median * 1e3)
                eight.append(photos_per_s(two.address(), photo, 8, args.seconds)[0])
                to_1.append(install(two, 2, large))
                to_2.append(install(four, 2, large))
            print("figures are min / median / max of %d rounds" % args.rounds)
            print("1 client:  %s, median latency %s" % (spread(one, "photos/s"), spread(latency, "ms")))
            print("8 clients: %s" % spread(eight, "photos/s"))
            print("install to 1 replica:  %s" % spread(to_1, "s"))
            print("install to 2 replicas: %s" % spread(to_2, "s"))
        finally:
            two.close()
            four.close()


if __name__ == "__main__":
    main()
