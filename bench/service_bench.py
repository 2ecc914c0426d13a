#!/usr/bin/env python3
"""service_bench: figures of the whole service, client to categorizer, on this machine over loopback.

    bench/service_bench.py build/bin/nexus [--rounds 5] [--seconds 4] [--params MODEL_FOLDER] [--ask-large] [--only-photos]

Prints, each as min / median / max over the rounds (rounds of the different questions are interleaved):
  photos/s with 1 and with 8 clients in a closed loop, and the photo's latency with one client
  processor time per photo of each tier meanwhile, and of the bare engine and decoder on the same photo and model where
  nexus-bench is built beside the binary: what share of a photo's cost is the answer itself
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
import re
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
    return len(all_times), (len(all_times) / (time.monotonic() - at), statistics.median(all_times))


def install(group, tag, files):
    at = time.monotonic()
    answer = group.client("installmodel", str(tag), *files, timeout_s=120)
    took = time.monotonic() - at
    if answer.code:
        raise SystemExit("install refused: " + answer.story)
    group.client("removemodel", str(tag))
    return took


def with_cpu(nodes, ask):
    """What ask() says, and the milliseconds of processor time per photo of each node meanwhile."""
    before = [cpu_s(node.pid) for node in nodes]
    count, answer = ask()
    return answer, [(cpu_s(node.pid) - b) * 1e3 / count for node, b in zip(nodes, before)]


def bare_engine(nexus, files, photo, threads):
    """Milliseconds of processor time for decoding the photo and running the model, in a process of its own."""
    bench = os.path.join(os.path.dirname(os.path.dirname(nexus)), "bench", "nexus-bench")
    if not os.path.exists(bench):
        return None
    out = subprocess.run([bench, "infer", "--symbol", files[1], "--params", files[2], "--photo", photo, "--recipe",
                          "demo-2019", "--threads", str(threads), "--batch", "1", "--rounds", "9"],
                         env=dict(os.environ, OMP_WAIT_POLICY="passive"), capture_output=True, text=True, check=True).stdout
    row = re.search(r"^ +%d +1 .*?\) +([\d.]+) " % threads, out, re.M)
    return float(row.group(1)), float(re.search(r"demo-2019: ([\d.]+) ms", out).group(1))


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
    parser.add_argument("--ask-large", action="store_true", help="ask the large model, not the flower model")
    parser.add_argument("--only-photos", action="store_true", help="no installs and no idle nodes")
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
            if not args.only_photos:
                four.start()
                time.sleep(1)
                for node, cpu in zip(two.nodes, idle(two, 5)):
                    print("idle node %s: %.3f %% CPU, %.1f MiB resident" % (
                        os.path.basename(node.folder), cpu, resident_mib(node.pid)))
            asked = large if args.ask_large else model_files(FLOWERS)
            if two.client("installmodel", "1", *asked, timeout_s=120).code:
                raise SystemExit("the model is refused")
            one, latency, eight, to_1, to_2, function, categorizer, bare = [], [], [], [], [], [], [], []
            for _ in range(args.rounds):
                _, (rate, median) = photos_per_s(two.address(), photo, 1, args.seconds)
                one.append(rate)
                latency.append(median * 1e3)
                (rate, _), cpu = with_cpu(two.nodes, lambda: photos_per_s(two.address(), photo, 8, args.seconds))
                eight.append(rate)
                function.append(cpu[0])
                categorizer.append(cpu[1])
                bare.append(bare_engine(harness._nexus, asked, os.path.join(FLOWERS, "photos", "rose.jpg"), os.cpu_count()))
                if not args.only_photos:
                    to_1.append(install(two, 2, large))
                    to_2.append(install(four, 2, large))
            print("figures are min / median / max of %d rounds" % args.rounds)
            print("1 client:  %s, median latency %s" % (spread(one, "photos/s"), spread(latency, "ms")))
            print("8 clients: %s" % spread(eight, "photos/s"))
            print("processor time per photo, function tier: %s" % spread(function, "ms"))
            print("processor time per photo, categorizer:   %s" % spread(categorizer, "ms"))
            if all(bare):
                print("bare engine:  %s" % spread([engine for engine, _ in bare], "ms"))
                print("bare decoder: %s" % spread([decoder for _, decoder in bare], "ms"))
                shares = [100 * sum(b) / (f + c) for b, f, c in zip(bare, function, categorizer)]
                print("engine and decoder of what both tiers take: %s" % spread(shares, "%"))
            if not args.only_photos:
                print("install to 1 replica:  %s" % spread(to_1, "s"))
                print("install to 2 replicas: %s" % spread(to_2, "s"))
        finally:
            two.close()
            four.close()


if __name__ == "__main__":
    main()
