#!/bin/sh
# Starts all nodes of this folder:
# one function tier node (n0) and one categorizer (n1).
# Each runs in its own folder and writes its output to log.txt there; ENTER or Ctrl-C stops them all.
# By hand it is the same: one terminal per node, "cd n0 && nexus server", and so on, in any order.
# NEXUS names the binary; without it, the one that was built in ../build is taken.
set -eu
cd "$(dirname "$0")"
NEXUS=${NEXUS:-$PWD/../build/bin/nexus}
[ -x "$NEXUS" ] || { echo "launch.sh: no binary at $NEXUS: build it, or set NEXUS" >&2; exit 1; }

pids=
stop() {
    trap '' INT TERM
    trap - EXIT
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    wait
}
trap 'stop; exit 130' INT TERM
trap stop EXIT

has_ended() {
    [ ! -e "/proc/$1" ] || grep -q "^State:.Z" "/proc/$1/status"
}

for node in n*; do
    (cd "$node" && exec "$NEXUS" server </dev/null >log.txt 2>&1) &
    pids="$pids $!"
done

for node in n*; do
    until grep -q "Finished constructing group." "$node/log.txt" 2>/dev/null; do
        for pid in $pids; do
            if has_ended "$pid"; then
                tail -n 5 n*/log.txt >&2
                exit 1
            fi
        done
        sleep 0.05
    done
done
grep -h "FunctionTier listening" n*/log.txt
echo "The group of 2 nodes is ready. Press ENTER to stop."
read -r _ || true
