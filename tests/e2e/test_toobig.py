#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A router in the middle whose next link is smaller than either end knows: path MTU discovery at the target.

        host                          router                             client
     ho0 10.78.0.1  == 1500 ==  pr0 10.78.0.2 | dn0 10.79.0.1  == 1300 ==  pr0 10.79.0.2

The client announces an MSS for 1500, as behind a tunnel that it does not see.

usage: test_toobig.py 4|6
"""
import json
import subprocess
import sys
import time

import rig
from rig import PEER, PEER_IF, sh, wait_for

DOWN_IF = "dn0"
DOWN = {4: "10.79.0.1", 6: "fd79::1"}
CLIENT = {4: "10.79.0.2", 6: "fd79::2"}
SMALL_MTU = 1300
SMALLER_MTU = {4: 1000, 6: 1280}
ADVERTISED_MSS = {4: 1460, 6: 1440}
SEVERAL = 4 << 20

# For each number that a client sends, so many bytes that follow from the client's port.
SERVER = """
import random, socket, threading
def serve(s):
    rng = random.Random(s.getpeername()[1])
    for line in s.makefile("rb"):
        s.sendall(rng.randbytes(int(line)))
    s.close()
l = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(l.accept()[0],)).start()
"""

# Asks for as many bytes as it is told, and compares each of them with what it has to be.
READER = """
import random, socket, sys
s = socket.create_connection((sys.argv[1], 9000))
s.settimeout(30)
port = s.getsockname()[1]
rng = random.Random(port)
print(port, flush=True)
for line in sys.stdin:
    s.sendall(line.encode())
    want, got = rng.randbytes(int(line)), bytearray()
    while len(got) < len(want):
        d = s.recv(262144)
        if not d:
            break
        got += d
    print("same" if got == want else "different", flush=True)
s.shutdown(socket.SHUT_WR)
print("end" if s.recv(1) == b"" else "more", flush=True)
"""


def link(where, name):
    return json.loads(sh(*where, "ip", "-j", "-s", "link", "show", name))[0]


class RoutedRig(rig.Rig):
    """The router is where the peer used to be; in_peer() is the client behind it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.router = self.peer
        self.peer = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 1000000"],
                                     stdout=subprocess.PIPE, text=True)
        self.peer.stdout.readline()
        sh(*self.in_router(), "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        sh(*self.in_router(), "ip", "link", "add", DOWN_IF, "mtu", str(SMALL_MTU), "type", "veth", "peer", "name", PEER_IF,
           "mtu", str(SMALL_MTU), "netns", str(self.peer.pid))
        for where, name, addr in ((self.in_router(), DOWN_IF, DOWN), (self.in_peer(), PEER_IF, CLIENT)):
            sh(*where, "ip", "addr", "add", addr[4] + "/24", "dev", name)
            sh(*where, "ip", "addr", "add", addr[6] + "/64", "dev", name, "nodad")
            sh(*where, "ip", "link", "set", name, "up")
        # Routes over a link work once the kernel has noticed its carrier, a little later.
        for where, name in (([], rig.HOST_IF), (self.in_router(), PEER_IF), (self.in_router(), DOWN_IF),
                            (self.in_peer(), PEER_IF)):
            wait_for(lambda: link(where, name)["operstate"] == "UP", name + " up")
        for family, net in ((4, "10.79.0.0/24"), (6, "fd79::/64")):
            sh("ip", "route", "add", net, "via", PEER[family])
            sh(*self.in_peer(), "ip", "-%d" % family, "route", "add", "default", "via", DOWN[family], "advmss",
               str(ADVERTISED_MSS[family]))

    def in_router(self):
        return ["nsenter", "-t", str(self.router.pid), "-n"]

    def close(self):
        status = super().close()
        self.router.kill()
        self.router.wait()
        return status

    def too_big(self, family):
        """Packets that the router could not forward for their size."""
        if family == 6:
            pairs = (line.split() for line in sh(*self.in_router(), "cat", "/proc/net/snmp6").splitlines())
            return int(dict(pairs)["Ip6FragFails"])
        names, values = (line.split() for line in sh(*self.in_router(), "cat", "/proc/net/snmp").splitlines()[:2])
        counters = dict(zip(names, values))
        assert counters["FragCreates"] == "0", "the router has fragmented"
        return int(counters["FragFails"])

    def delivered(self):
        """Bytes that the router has sent to the client."""
        return link(self.in_router(), DOWN_IF)["stats64"]["tx"]["bytes"]

    def icmp_taken(self):
        return self.ctl("show", "adapters")["adapters"][0]["icmp_taken"]

    def states(self):
        return [c["state"] for c in self.connections()]


class Reader:
    def __init__(self, r, family):
        self.p = subprocess.Popen(r.in_peer() + [sys.executable, "-c", READER, rig.HOST[family]], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline())

    def ask(self, count):
        self.p.stdin.write("%d\n" % count)
        self.p.stdin.flush()

    def check(self):
        answer = self.p.stdout.readline().strip()
        assert answer == "same", "bytes at the client: " + (answer or "no answer")

    def finish(self):
        self.p.stdin.close()
        assert self.p.stdout.readline().strip() == "end"
        assert self.p.wait(20) == 0


def read(readers, count):
    """All of them at the same time."""
    begun = time.monotonic()
    for reader in readers:
        reader.ask(count)
    for reader in readers:
        reader.check()
    return time.monotonic() - begun


def check_path(r, family, readers, idents):
    """The first connection finds out; the second knows through the path that they share."""
    first, second = idents
    read(readers, 100)
    assert r.too_big(family) == 0, "the network knows before anything was too big"

    r.switch("offload", first)
    taken = r.icmp_taken()
    took = read(readers[:1], SEVERAL)
    refused = r.too_big(family)
    print("first: %.3f s, %d too big, %d messages taken" % (took, refused, r.icmp_taken() - taken))
    assert refused > 0, "nothing was too big"
    assert r.icmp_taken() > taken, "no message was taken"

    r.switch("offload", second)
    took = read(readers, SEVERAL)
    print("both: %.3f s" % took, r.ctl("stats"))
    assert r.too_big(family) == refused, "the path has forgotten its MTU"
    assert r.states() == ["offloaded"] * 2, r.connections()


def check_back(r, family, readers, idents):
    """The kernel finds out by itself once it has them back, and what it knows goes down with them."""
    for ident in idents:
        r.switch("upload", ident)
    read(readers, SEVERAL)
    assert r.states() == ["host"] * 2, r.connections()
    refused = r.too_big(family)
    for ident in idents:
        r.switch("offload", ident)
    read(readers, SEVERAL)
    assert r.too_big(family) == refused, "the target was not told what the kernel knew"
    assert r.states() == ["offloaded"] * 2, r.connections()


def check_shrinks(r, family, readers):
    """The path gets smaller again while both have much in flight."""
    refused, taken, start = r.too_big(family), r.icmp_taken(), r.delivered()
    for reader in readers:
        reader.ask(4 * SEVERAL)
    wait_for(lambda: r.delivered() > start + (1 << 20), "data flows")
    sh(*r.in_router(), "ip", "link", "set", DOWN_IF, "mtu", str(SMALLER_MTU[family]))
    for reader in readers:
        reader.check()
    took = read(readers, SEVERAL)
    print("smaller: %.3f s, %d too big, %d messages taken" % (took, r.too_big(family) - refused, r.icmp_taken() - taken))
    assert r.too_big(family) > refused and r.icmp_taken() > taken
    assert r.states() == ["offloaded"] * 2, r.connections()


def test():
    family = int(sys.argv[1])
    r = RoutedRig()
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    resets = rig.ResetCounter(r)
    readers = [Reader(r, family) for _ in range(2)]
    wait_for(lambda: r.ctl("attach", server.pid) and len(r.connections()) >= 2, "both connections known")
    by_port = {c["remote_port"]: c["id"] for c in r.connections()}
    idents = [by_port[reader.port] for reader in readers]
    check_path(r, family, readers, idents)
    check_back(r, family, readers, idents)
    check_shrinks(r, family, readers)
    for reader in readers:
        reader.finish()
    server.kill()
    server.wait()
    count = resets.count()
    assert r.close() == 0, "the daemon failed"
    assert count == 0, "%d resets on the wire" % count


if __name__ == "__main__":
    rig.main(test)
