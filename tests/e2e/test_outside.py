#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""chimney seen with other people's eyes: python's own server and client, hashlib, the kernel's interface counters.

usage: test_outside.py CASE
"""
import json
import os
import subprocess
import sys

import rig
from rig import HOST, HOST_IF, Rig, ResetCounter, sh, wait_for

# A server that knows nothing: for each connection, echo everything. Epoll by selectors, its threads none.
SERVER = """
import selectors, socket, sys
sel = selectors.EpollSelector()
l = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True)
l.setblocking(False)
sel.register(l, selectors.EVENT_READ)
print("ready", flush=True)
out = {}
while True:
    for key, mask in sel.select():
        s = key.fileobj
        if s is l:
            c, _ = l.accept()
            c.setblocking(False)
            out[c] = bytearray()
            sel.register(c, selectors.EVENT_READ)
            continue
        if mask & selectors.EVENT_READ and len(out[s]) < 1 << 20:
            d = s.recv(65536)
            if not d:
                sel.unregister(s)
                s.setblocking(True)
                s.sendall(out.pop(s))
                s.close()
                continue
            out[s] += d
        if out[s]:
            try:
                n = s.send(out[s])
                del out[s][:n]
            except BlockingIOError:
                pass
        sel.modify(s, selectors.EVENT_READ | (selectors.EVENT_WRITE if out[s] else 0))
"""

# Sends pseudo-random data until told to stop, reads the echo, compares SHA-256 of both.
CLIENT = """
import hashlib, os, select, socket, sys, random
addr, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
s = socket.create_connection((addr, 9000))
print(s.getsockname()[1], flush=True)
sent, got = hashlib.sha256(), hashlib.sha256()
ns = nr = 0
stop = False
s.setblocking(False)
pending = b""
while True:
    if not pending and not stop:
        pending = rng.randbytes(rng.randrange(1, 60000))
    want = [s] if pending else []
    r, w, _ = select.select([s, sys.stdin] if not stop else [s], want, [])
    if sys.stdin in r:
        line = sys.stdin.readline()
        if line.startswith("bytes"):
            print(ns, nr, flush=True)
        else:
            stop = True
            if not pending:
                s.shutdown(socket.SHUT_WR)
    if w:
        n = s.send(pending)
        sent.update(pending[:n]); ns += n
        pending = pending[n:]
        if stop and not pending:
            s.shutdown(socket.SHUT_WR)
    if s in r:
        d = s.recv(262144)
        if not d:
            break
        got.update(d); nr += len(d)
print("same" if sent.digest() == got.digest() and ns == nr else "different", ns, nr, flush=True)
"""


class Client:
    def __init__(self, r, family, seed):
        self.p = subprocess.Popen(r.in_peer() + ["/usr/bin/python3", "-c", CLIENT, HOST[family], str(seed)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline())
        self.family = family

    def bytes(self):
        self.p.stdin.write("bytes\n")
        self.p.stdin.flush()
        return [int(n) for n in self.p.stdout.readline().split()]

    def finish(self):
        self.p.stdin.write("stop\n")
        self.p.stdin.flush()
        result = self.p.stdout.readline().split()
        assert self.p.wait(20) == 0, "client failed"
        assert result[0] == "same", result
        return int(result[1])


class Scene:
    def __init__(self, count=4, **rig_options):
        self.r = Rig(**rig_options)
        self.server = subprocess.Popen(["/usr/bin/python3", "-c", SERVER], stdout=subprocess.PIPE, text=True)
        self.server.stdout.readline()
        self.resets = ResetCounter(self.r)
        self.clients = [Client(self.r, 6 if i % 2 else 4, i) for i in range(count)]
        self.attach()

    def attach(self):
        wait_for(lambda: self.r.ctl("attach", self.server.pid) and
                 len(self.r.connections()) >= len(self.clients), "all connections known")
        by_port = {c["remote_port"]: c["id"] for c in self.r.connections()}
        self.ids = [by_port[c.port] for c in self.clients]

    def flow(self, count=1 << 20):
        """Until every client has had so many more bytes echoed."""
        start = [c.bytes()[1] for c in self.clients]
        try:
            wait_for(lambda: all(c.bytes()[1] >= s + count for c, s in zip(self.clients, start)), "data flows")
        except AssertionError:
            self.describe(start)
            raise

    def describe(self, start):
        """What each side thinks of the connections, for whoever has to find out why nothing flows."""
        print("bytes then and now:", start, [c.bytes() for c in self.clients])
        print("connections:", json.dumps(self.r.connections(), indent=1), self.r.ctl("stats"))
        for ident in self.ids:
            print("query", ident, self.r.ctl("query", ident, check=False))
        self.capture()
        print("host:", sh("ss", "-tinoe", check=False), "peer:", sh(*self.r.in_peer(), "ss", "-tinoe", check=False))

    def capture(self):
        """What still goes over the wire, if the tool is there."""
        try:
            print(sh("timeout", "8", "tcpdump", "-c", "60", "-nni", HOST_IF, "-vv", "tcp", check=False))
            print(sh("ip", "-s", "neigh", check=False), sh(*self.r.in_peer(), "nstat", "-az", "TcpExtPAWS*", check=False))
        except FileNotFoundError:
            pass

    def all(self, op):
        for ident in self.ids:
            self.r.switch(op, ident)

    def finish(self):
        total = sum(c.finish() for c in self.clients)
        resets = self.resets.count()
        self.server.kill()
        self.server.wait()
        assert self.r.close() == 0, "the daemon failed"
        assert resets == 0, "%d resets on the wire" % resets
        return total


def tap_counters():
    """Bytes that the kernel saw coming out of the TAP's descriptor and going in: the engine's transmits and receives."""
    stats = [v for name, v in rig.links().items() if name.startswith("chimney")][0]
    return stats["rx"]["bytes"], stats["tx"]["bytes"]


def case_counters():
    """The engine's account of its TAP agrees with the kernel's, and with what the clients saw."""
    s = Scene()
    s.flow()
    before = s.r.ctl("stats")
    assert before["segments_in"] == 0, before
    s.all("offload")
    s.flow()
    s.all("upload")
    s.flow()
    stats = s.r.ctl("stats")
    sent, received = tap_counters()
    print("kernel: %d sent, %d received; engine: %s" % (sent, received, stats))
    # What is written to the TAP goes to the wire or, caught during an upload, to the kernel's own stack.
    written = stats["tap_bytes_out"] + stats["tap_bytes_indicated"]
    assert sent > 4 << 20 and abs(sent - written) < sent // 50, (sent, stats)
    assert received > 4 << 20 and abs(received - stats["tap_bytes_in"]) < received // 50, (received, stats)
    assert stats["resets_sent"] == 0, stats
    s.finish()


def case_flush():
    """nft flush ruleset in the middle changes nothing."""
    s = Scene()
    s.all("offload")
    s.flow()
    sh("nft", "flush", "ruleset")
    s.flow()
    s.all("upload")
    sh("nft", "flush", "ruleset")
    s.flow()
    s.all("offload")
    s.flow()
    s.finish()


STATEFUL = """
table inet fw {
  chain input { type filter hook input priority 0; policy drop;
    ct state invalid drop
    ct state established,related accept
    iifname "lo" accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    tcp dport 9000 ct state new accept
  }
  chain output { type filter hook output priority 0; policy accept;
    ct state invalid drop
  }
}
"""


def case_stateful():
    """Neither does a stateful ruleset that drops what conntrack calls invalid."""
    p = subprocess.run(["nft", "-f", "-"], input=STATEFUL, text=True, stderr=subprocess.PIPE)
    if p.returncode:
        rig.skip("no conntrack rules here: " + p.stderr.splitlines()[0])
    s = Scene()
    s.flow()
    for _ in range(3):
        s.all("offload")
        s.flow()
        s.all("upload")
        s.flow()
    s.finish()


def case_again():
    """Many hand-overs of the same connections, one after the other, under load."""
    s = Scene(2)
    for _ in range(20):
        s.all("offload")
        s.flow(1 << 17)
        s.all("upload")
        s.flow(1 << 17)
    s.finish()


def case_daemon_ends():
    """The daemon gives everything back when it ends; programs and peers go on."""
    s = Scene()
    s.all("offload")
    s.flow()
    s.r.daemon.terminate()
    assert s.r.daemon.wait(20) == 0
    s.flow()
    total = sum(c.finish() for c in s.clients)
    assert total > 0 and s.resets.count() == 0
    s.server.kill()
    s.server.wait()
    s.r.close()
    assert not [n for n in rig.links() if n.startswith("chimney")], "the TAP is still there"
    assert sh("nft", "list", "tables").strip() == "", "a table is still there"


def case_policy():
    """A connection that the policy keeps stays in the host, works, and says why."""
    s = Scene(2, policy="offload local-port 1\n")
    answer = s.r.ctl("offload", s.ids[0], check=False)
    assert "policy" in answer["error"], answer
    # A rule that is added while the daemon runs stands before those of the file, until it is deleted.
    program = s.r.connections()[0]["program"]
    assert "error" in s.r.ctl("add", "port", "no-port", check=False)
    assert "error" in s.r.ctl("delete", "application", program, check=False)
    s.r.ctl("add", "application", program)
    assert program in s.r.ctl("show", "rules")["text"]
    s.r.switch("offload", s.ids[0])
    s.flow()
    s.r.switch("upload", s.ids[0])
    s.r.ctl("delete", "application", program)
    answer = s.r.ctl("offload", s.ids[0], check=False)
    assert "policy" in answer["error"], answer
    assert all(c["state"] == "host" for c in s.r.connections())
    s.flow()
    s.finish()


def case_closed():
    """A connection that its program closes leaves the table by itself, in the host as well as offloaded."""
    s = Scene(4)
    s.r.switch("offload", s.ids[0])
    s.flow()
    for c in s.clients[:2]:
        c.finish()
    wait_for(lambda: len(s.r.connections()) == 2, "closed connections are forgotten")
    assert {c["id"] for c in s.r.connections()} == set(s.ids[2:])
    s.clients = s.clients[2:]
    s.finish()


def case_detach():
    """After detach the process has kernel sockets only, the daemon knows none of them, and data flows."""
    s = Scene(4)
    s.all("offload")
    s.flow()
    links = {os.readlink("/proc/%d/fd/%s" % (s.server.pid, n)) for n in os.listdir("/proc/%d/fd" % s.server.pid)}
    wait_for(lambda: "error" not in s.r.ctl("detach", s.server.pid, check=False), "detach")
    assert s.r.connections() == []
    assert s.r.ctl("show", "adapters")["adapters"][0]["offloaded"] == 0
    s.flow()
    after = {os.readlink("/proc/%d/fd/%s" % (s.server.pid, n)) for n in os.listdir("/proc/%d/fd" % s.server.pid)}
    assert len(after) == len(links) and len(after - links) == 4, (links, after)
    s.finish()


def case_global():
    """chimney=enabled offloads what the policy matches, disabled takes everything up, pause holds, nothing is lost."""
    s = Scene(4)
    states = lambda: [c["state"] for c in s.r.connections()]
    assert states() == ["host"] * 4
    s.r.ctl("pause")
    s.r.ctl("set", "global", "chimney=enabled")
    answer = s.r.ctl("offload", s.ids[0], check=False)
    assert "error" in answer, answer
    s.flow()
    assert states() == ["host"] * 4
    s.r.ctl("resume")
    wait_for(lambda: states() == ["offloaded"] * 4, "policy offloads")
    s.flow()
    s.r.ctl("set", "global", "chimney=disabled")
    assert states() == ["host"] * 4
    assert s.r.ctl("show", "global")["chimney"] == "disabled"
    assert len(s.r.ctl("show", "history")["history"]) >= 8
    s.flow()
    s.r.ctl("set", "global", "chimney=enabled")
    wait_for(lambda: states() == ["offloaded"] * 4, "policy offloads again")
    s.flow()
    adapter = s.r.ctl("show", "adapters")["adapters"][0]
    assert adapter["offloaded"] == 4 and adapter["icmp_taken"] == 0, adapter
    s.finish()


if __name__ == "__main__":
    rig.main(globals()["case_" + sys.argv[1]])
