#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The demo from outside: its counts, what it leaves behind, and whether it can be stopped at any moment.

usage: test_demo.py CASE
"""
import json
import os
import random
import select
import signal
import subprocess
import sys
import time

CHIMNEY = os.environ.get("CHIMNEY", "build/chimney")
SKIP = 77
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def run(args, prefix=(), limit=300):
    p = subprocess.run(list(prefix) + [CHIMNEY, "demo", "--json"] + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=limit)
    sys.stdout.write(p.stdout)
    sys.stderr.write(p.stderr)
    return p.returncode, json.loads(p.stdout) if p.stdout else {}


def check(result, connections=16, size=4 << 20):
    status, r = result
    assert status == 0, "exit status %d" % status
    assert r["connections"] == connections, r
    assert r["offloads"] == 2 * connections, r
    assert r["uploads"] == 2 * connections, r
    assert r["closed_offloaded"] == connections // 2, r
    assert r["bytes_each_way"] == connections * size, r
    assert r["sha256_match"] is True, r
    assert r["peer_resets"] == 0 and r["wire_resets"] == 0, r
    for which in ("offload_us", "upload_us"):
        assert 0 < r[which]["p50"] <= r[which]["p99"], r
    assert r["max_gap_us"] > 0, r
    return r


def leftovers():
    """What a run could leave behind on this machine: interfaces, tables, namespaces, processes."""
    links = sorted(os.listdir("/sys/class/net"))
    tables = subprocess.run(["nft", "list", "tables"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    spaces = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    mine = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            exe = os.readlink("/proc/%s/exe" % pid)
        except OSError:
            continue
        if os.path.realpath(CHIMNEY) == exe:
            mine.append(pid)
    return links, tables, spaces, mine


def settle(before, seconds=5):
    end = time.monotonic() + seconds
    while leftovers() != before:
        assert time.monotonic() < end, "left behind: %s, before: %s" % (leftovers(), before)
        select.select([], [], [], 0.01)


def case_default():
    before = leftovers()
    check(run([]))
    settle(before)


def case_small_mtu():
    check(run(["--mtu", "1280"]))


def case_large():
    size = int((64 << 20) * float(os.environ.get("CHIMNEY_TEST_SCALE", "1"))) // 65536 * 65536
    check(run(["--connections", "64", "--bytes", str(size)], limit=250), 64, size)


def case_passthru():
    check(run(["--im", "passthru", "--verify"]))
    check(run(["--im", "passthru,passthru,passthru", "--connections", "4"]), 4)


def case_drivers():
    """Any list of drivers: priority tags on the wire for real, VLANs and teams on the simulated link."""
    check(run(["--im", "passthru,vlan:0:5,passthru", "--connections", "4"]), 4)
    for im in ("vlan:5:3,passthru", "mux:active-backup", "passthru,mux:balance,vlan:9", "vlan:9,mux:active-backup,passthru"):
        check(run(["--sim", "--im", im, "--connections", "4", "--bytes", "1M"]), 4, 1 << 20)
    for args, word in ((["--im", "pasthru"], "passthru, vlan:ID"), (["--im", "vlan:4095"], "0 to 4094"),
                       (["--im", "mux:fast"], "mux:balance"), (["--im", "vlan:5"], "--sim"),
                       (["--im", "mux:balance,mux:balance"], "leave out")):
        p = subprocess.run([CHIMNEY, "demo"] + args, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert p.returncode == 2 and word in p.stderr, (p.returncode, p.stderr)


def case_user():
    if os.geteuid() != 0:
        check(run([]))
        return
    if subprocess.run(NOBODY + ["unshare", "-Urn", "true"], stderr=subprocess.DEVNULL).returncode:
        print("skipped: user namespaces are not allowed here")
        sys.exit(SKIP)
    check(run([], prefix=NOBODY))


def case_sim():
    check(run(["--sim"]))
    first, second = run(["--sim", "--seed", "7"]), run(["--sim", "--seed", "7"])
    assert first[1]["max_gap_us"] == second[1]["max_gap_us"], "virtual time is not reproducible"


def case_no_namespaces():
    """Where no namespace is allowed the simulated link is chosen, and the reason is said."""
    deny = "echo 0 >/proc/sys/user/max_net_namespaces; exec %s demo --json --connections 2" % CHIMNEY
    prefix = ["unshare", "-Ur"] if os.geteuid() else NOBODY + ["unshare", "-Ur"]
    p = subprocess.run(prefix + ["sh", "-c", deny], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    sys.stderr.write(p.stderr)
    if not p.stdout:
        print("skipped: cannot forbid namespaces here")
        sys.exit(SKIP)
    assert p.returncode == 0, p.returncode
    assert json.loads(p.stdout)["sim"] is True
    assert "simulated link" in p.stderr, p.stderr


def case_pcap():
    path = "/tmp/chimney-demo-%d.pcap" % os.getpid()
    try:
        check(run(["--pcap", path, "--connections", "4", "--bytes", "1M"]), 4, 1 << 20)
        with open(path, "rb") as f:
            magic = f.read(4)
        assert magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"), magic
        assert os.path.getsize(path) > 4 * 2 * (1 << 20), "the capture holds less than the data"
    finally:
        if os.path.exists(path):
            os.unlink(path)


def case_killed():
    """SIGINT or SIGTERM at any moment: it ends, and nothing stays."""
    before = leftovers()
    seed = int(os.environ.get("SEED", "1"))
    rng = random.Random(seed)
    for n in range(12):
        p = subprocess.Popen([CHIMNEY, "demo", "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + rng.uniform(0, 3)
        while p.poll() is None and time.monotonic() < deadline:
            select.select([], [], [], 0.005)
        p.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM]))
        status = p.wait(20)
        assert status in (0, 130, -signal.SIGINT, -signal.SIGTERM), "round %d of seed %d: status %d" % (n, seed, status)
        settle(before)


def case_bad_values():
    for args, word in ((["--connections", "3"], "even"), (["--bytes", "x"], "number"), (["--mtu", "100"], "1280"),
                       (["--seed", "-1"], "number"), (["--nonsense"], "nonsense")):
        p = subprocess.run([CHIMNEY, "demo"] + args, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert p.returncode not in (0, 1), args
        assert word in p.stderr, p.stderr


if __name__ == "__main__":
    globals()["case_" + sys.argv[1]]()
