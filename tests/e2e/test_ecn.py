#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Connections that agreed to ECN, down and up and down again, while the network marks packets in both directions.

usage: test_ecn.py
"""
import subprocess
import sys

import rig
import test_outside
from rig import PEER_IF, sh, wait_for

# One packet in so many gets a mark where it was ECN-capable.
MARKS = """
table inet marks {
	chain arriving {
		type filter hook prerouting priority mangle
		ip ecn ect0 numgen random mod 40 0 ip ecn set ce
		ip6 ecn ect0 numgen random mod 40 0 ip6 ecn set ce
	}
	chain leaving {
		type filter hook output priority mangle
		ip ecn ect0 numgen random mod 40 0 ip ecn set ce
		ip6 ecn ect0 numgen random mod 40 0 ip6 ecn set ce
	}
}
"""

# What the host sends, as it arrives at the peer: data that is ECN-capable, data that is not, ECE, CWR.
SNIFFER = """
import socket, sys, select
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind((%r, 0))
print("ready", flush=True)
ect = plain = ece = cwr = 0
while True:
    r, _, _ = select.select([s, sys.stdin], [], [])
    if sys.stdin in r: # first: there is always another frame
        if not sys.stdin.readline():
            break
        print(ect, plain, ece, cwr, flush=True)
        ect = plain = ece = cwr = 0
    elif s in r:
        f, where = s.recvfrom(262144)
        if where[2] == socket.PACKET_OUTGOING:
            continue
        if f[12:14] == b"\\x08\\x00" and f[23] == 6:
            ecn, tcp, end = f[15] & 3, 14 + (f[14] & 15) * 4, 14 + int.from_bytes(f[16:18], "big")
        elif f[12:14] == b"\\x86\\xdd" and f[20] == 6:
            ecn, tcp, end = f[15] >> 4 & 3, 54, 54 + int.from_bytes(f[18:20], "big")
        else:
            continue
        data = end - tcp - (f[tcp + 12] >> 4) * 4 > 0
        ect += data and ecn == 2
        plain += data and not ecn
        ece += bool(f[tcp + 13] & 0x40)
        cwr += bool(f[tcp + 13] & 0x80)
""" % PEER_IF


class EcnRig(rig.Rig):
    def __init__(self, **options):
        with open("/proc/sys/net/ipv4/tcp_ecn", "w", encoding="ascii") as f:
            f.write("1")
        super().__init__(**options)
        sh(*self.in_peer(), "sysctl", "-qw", "net.ipv4.tcp_ecn=1")
        p = subprocess.run(self.in_peer() + ["nft", "-f", "-"], input=MARKS, stderr=subprocess.PIPE, text=True)
        if p.returncode:
            rig.skip("nft cannot mark packets here: " + p.stderr.strip())


class Sniffer:
    def __init__(self, r):
        self.p = subprocess.Popen(r.in_peer() + [sys.executable, "-c", SNIFFER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        assert self.p.stdout.readline().strip() == "ready"

    def take(self):
        """Counts since the last time."""
        self.p.stdin.write("\n")
        self.p.stdin.flush()
        return dict(zip(("ect", "plain", "ece", "cwr"), map(int, self.p.stdout.readline().split())))

    def close(self):
        self.p.stdin.close()
        self.p.wait(10)


def delivered_ce(r):
    """How often the peer's kernel heard that its data had been marked."""
    lines = sh(*r.in_peer(), "cat", "/proc/net/netstat").splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        if names.startswith("TcpExt:"):
            return int(dict(zip(names.split(), values.split()))["TCPDeliveredCE"])
    raise AssertionError("no TcpExt in netstat")


def until_all(s, sniffer, what):
    """Data flows until everything that ECN does was seen; the sum of the counts."""
    total, ce = {"ect": 0, "plain": 0, "ece": 0, "cwr": 0}, delivered_ce(s.r)

    def seen():
        s.flow(1 << 18)
        for name, n in sniffer.take().items():
            total[name] += n
        return total["ect"] > 100 and total["ece"] and total["cwr"] and delivered_ce(s.r) > ce

    wait_for(seen, "ECN at work " + what, 40)
    print(what, total, "marks heard by the peer:", delivered_ce(s.r) - ce)
    # What goes again is not marked ECN-capable; little of it should.
    assert total["plain"] < total["ect"] // 4, total
    return total


def test():
    test_outside.Rig = EcnRig
    s = test_outside.Scene()
    sniffer = Sniffer(s.r)
    for _ in range(2):
        until_all(s, sniffer, "in the kernel")
        s.all("offload")
        sniffer.take()
        until_all(s, sniffer, "at the target")
        assert all(c["state"] == "offloaded" for c in s.r.connections()), s.r.connections()
        s.all("upload")
        sniffer.take()
    until_all(s, sniffer, "in the kernel again")
    sniffer.close()
    s.finish()


if __name__ == "__main__":
    rig.main(test)
