#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Unmodified programs under `chimney exec`.

usage: test_exec.py CASE
"""
import json
import os
import subprocess
import sys

import rig
from rig import CHIMNEY, HOST_IF, PEER, Rig, wait_for
from test_outside import Client

PYTHON = "/usr/bin/python3"

# Answers a line with what it sees of the connection, by every call that names or describes a socket.
OPTIONS = '''
import json, socket, struct
l = socket.create_server(("10.78.0.1", 9000))
print("ready", flush=True)
c, from_accept = l.accept()
f = c.makefile("r")
def opt(level, name, size=None):
    try:
        v = c.getsockopt(level, name, size) if size else c.getsockopt(level, name)
        return v.hex() if size else v
    except OSError as e:
        return "errno %d" % e.errno
S, T, I = socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_IP
INFO = """state ca_state retransmits probes backoff options wscale flags
rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv last_ack_recv pmtu
rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space total_retrans
pacing_rate max_pacing_rate bytes_acked bytes_received segs_out segs_in notsent min_rtt data_segs_in data_segs_out"""
SET = [
    (T, socket.TCP_NODELAY, 1), (S, socket.SO_KEEPALIVE, 1), (T, socket.TCP_KEEPIDLE, 77), (T, socket.TCP_KEEPINTVL, 7),
    (T, socket.TCP_KEEPCNT, 3), (T, socket.TCP_USER_TIMEOUT, 12345), (T, socket.TCP_QUICKACK, 1), (I, socket.IP_TOS, 0x10),
    (I, socket.IP_TTL, 99), (S, socket.SO_PRIORITY, 3), (S, socket.SO_RCVBUF, 200000), (S, socket.SO_SNDBUF, 150000),
    (S, socket.SO_REUSEADDR, 1), (S, socket.SO_OOBINLINE, 1), (T, socket.TCP_LINGER2, 9), (T, socket.TCP_CORK, 0),
]
for line in f:
    if line.startswith("set"):
        for level, name, value in SET:
            c.setsockopt(level, name, value)
        c.setsockopt(S, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if line.startswith("close"):
        f.close()
        c.close()
        break
    info = c.getsockopt(T, socket.TCP_INFO, 512)
    seen = {
        "sockname": c.getsockname(), "peername": c.getpeername(), "accepted": from_accept,
        "type": opt(S, socket.SO_TYPE), "domain": opt(S, socket.SO_DOMAIN), "protocol": opt(S, socket.SO_PROTOCOL),
        "error": opt(S, socket.SO_ERROR), "linger": opt(S, socket.SO_LINGER, 8), "sndbuf": opt(S, socket.SO_SNDBUF),
        "nodelay": opt(T, socket.TCP_NODELAY), "maxseg": opt(T, socket.TCP_MAXSEG),
        "congestion": opt(T, socket.TCP_CONGESTION, 16), "tos": opt(I, socket.IP_TOS), "ttl": opt(I, socket.IP_TTL),
        "keepidle": opt(T, socket.TCP_KEEPIDLE), "user_timeout": opt(T, socket.TCP_USER_TIMEOUT),
        "info_length": len(info), "info_state": info[0], "info_options": info[5], "info_scales": info[6],
        "options": [opt(level, name) for level, name, _ in SET],
        "short_name": c.getsockopt(S, socket.SO_TYPE, 2).hex(), "nonsense": opt(T, 9999),
    }
    if line.startswith("info"):
        seen = dict(zip(INFO.split(), struct.unpack_from("=8B24I4Q6I", info)))
    c.sendall(json.dumps(seen).encode() + b"\\n")
'''

ECHO = """
def echo(c):
    while True:
        d = c.recv(65536)
        if not d:
            break
        c.sendall(d)
    c.close()
import os, socket, sys, threading
l = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
"""
THREADS = ECHO + """
while True:
    threading.Thread(target=echo, args=(l.accept()[0],), daemon=True).start()
"""
FORK = ECHO + """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    c, _ = l.accept()
    if os.fork() == 0:
        l.close()
        echo(c)
        os._exit(0)
    c.close()
"""
# Leaves its connection to a child when it is told to.
LATE_FORK = ECHO + """
c, _ = l.accept()
sys.stdin.readline()
if os.fork() == 0:
    echo(c)
    os._exit(0)
c.close()
print("left", flush=True)
os.wait()
"""
ASYNCIO = """
import asyncio
async def echo(reader, writer):
    while d := await reader.read(65536):
        writer.write(d)
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(echo, None, 9000)
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

# Sends what it is told to, from a seed, and prints the hash of what comes back.
CONNECTOR = """
import hashlib, random, socket, sys, threading
s = socket.create_connection((sys.argv[1], 9000))
rng = random.Random(7)
sent = hashlib.sha256()
def send():
    for line in sys.stdin:
        d = rng.randbytes(1 << 20)
        sent.update(d)
        s.sendall(d)
        print("sent", flush=True)
    s.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send)
print("ready", flush=True)
t.start()
got = hashlib.sha256()
while d := s.recv(1 << 16):
    got.update(d)
t.join()
try:
    peer = s.getpeername()[0]
except OSError as e:
    peer = e.errno
print("same" if got.digest() == sent.digest() else "different", peer, flush=True)
"""


def run(r, script, *argv, options=("--strict",), **popen):
    p = subprocess.Popen([CHIMNEY, "exec", "-c", r.control, *options, "--", PYTHON, "-c", script, *argv],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen)
    assert p.stdout.readline() == "ready\n"
    return p


def states(r):
    return sorted(c["state"] for c in r.connections())


def end(p):
    p.kill()
    p.wait()


def asker(r):
    """A client of OPTIONS in the peer; the program, and what asks it."""
    client = subprocess.Popen(r.in_peer() + [PYTHON, "-c", """
import socket, sys
s = socket.create_connection(("10.78.0.1", 9000))
f = s.makefile("r")
for line in sys.stdin:
    s.sendall(line.encode())
    try:
        print(f.readline() or "end\\n", end="", flush=True)
    except ConnectionResetError:
        print('"reset"', flush=True)
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(what):
        client.stdin.write(what + "\n")
        client.stdin.flush()
        return json.loads(client.stdout.readline())

    return client, ask


def case_options():
    """What a program sees of a connection is the same in the host, offloaded, and in the host again."""
    r = Rig(mode="manual")
    server = run(r, OPTIONS)
    client, ask = asker(r)
    before = ask("look")
    assert before["peername"][0] == PEER[4] and before["nodelay"] == 0, before
    wait_for(lambda: len(r.connections()) == 1, "the connection is known without attach")
    ident = r.connections()[0]["id"]
    r.switch("offload", ident)
    offloaded = ask("look")
    assert states(r) == ["offloaded"]
    differs = {k: (before[k], offloaded[k]) for k in before if before[k] != offloaded[k]}
    assert not differs, differs
    changed = ask("set")
    assert changed["options"] == [1, 1, 77, 7, 3, 12345, 1, 0x10, 99, 3, 400000, 300000, 1, 1, 9, 0], changed
    assert changed["linger"] == "0100000000000000"
    assert states(r) == ["offloaded"], "no option of these takes it up"
    r.switch("upload", ident)
    again = ask("look")
    assert {k: (changed[k], again[k]) for k in again if changed[k] != again[k]} == {}, "they hold in the host"
    r.switch("offload", ident)
    again = ask("look")
    assert {k: (changed[k], again[k]) for k in again if changed[k] != again[k]} == {}, "and after it"
    assert ask("close") == "reset", "SO_LINGER with no time resets"
    end(client)
    end(server)
    assert r.close() == 0


def case_info():
    """TCP_INFO goes on counting while the target carries the connection."""
    r = Rig(mode="manual")
    server = run(r, OPTIONS)
    client, ask = asker(r)
    native = ask("info")
    wait_for(lambda: len(r.connections()) == 1, "known")
    ident = r.connections()[0]["id"]
    r.switch("offload", ident)
    seen = [ask("info") for _ in range(50)]
    first, last = seen[0], seen[-1]
    assert states(r) == ["offloaded"]
    assert first["bytes_received"] == native["bytes_received"] + len("info\n"), (native, first)
    assert last["bytes_received"] == first["bytes_received"] + 49 * len("info\n"), (first, last)
    for a, b in zip([native] + seen, seen):
        for name in ("bytes_acked", "segs_in", "segs_out", "data_segs_in", "data_segs_out", "total_retrans"):
            assert b[name] >= a[name], (name, a, b)
    assert last["data_segs_in"] >= first["data_segs_in"] + 49 and last["segs_out"] > first["segs_out"], (first, last)
    assert last["bytes_acked"] > first["bytes_acked"] + 48 * 400, (first, last)
    for name in ("rtt", "rttvar", "snd_cwnd", "snd_mss", "pmtu", "rto", "rcv_space"):
        assert last[name] > 0, (name, last)
    assert last["options"] == native["options"] and last["wscale"] == native["wscale"]
    assert last["unacked"] == last["sacked"] == last["lost"] == last["notsent"] == 0, last
    assert last["state"] == 1 and last["last_data_recv"] < 5000
    end(client)
    end(server)
    assert r.close() == 0


def serve(script):
    """Every connection of this server goes down by policy while data flows; no byte is lost."""
    r = Rig(mode="enabled")
    server = run(r, script)
    clients = [Client(r, 6 if i % 2 else 4, i) for i in range(4)]
    wait_for(lambda: states(r) == ["offloaded"] * 4, "all connections offloaded")
    for ident in [c["id"] for c in r.connections()][:2]:
        r.switch("upload", ident)
    start = [c.bytes()[1] for c in clients]
    wait_for(lambda: all(c.bytes()[1] > s + (1 << 20) for c, s in zip(clients, start)), "data flows")
    assert states(r) == ["host"] * 2 + ["offloaded"] * 2, "those taken up stay up for a while"
    stats = r.ctl("stats")
    assert stats["segments_in"] > 100 and stats["segments_out"] > 100, stats
    assert sum(c.finish() for c in clients) > 4 << 20
    wait_for(lambda: not r.connections(), "closed connections are forgotten")
    end(server)
    assert r.close() == 0


def case_threads():
    serve(THREADS)


def case_fork():
    serve(FORK)


def case_left():
    """A connection found with one process, which then leaves it to another, still goes down."""
    r = Rig(mode="manual")
    server = run(r, LATE_FORK)
    client = Client(r, 4, 1)
    wait_for(lambda: states(r) == ["host"], "found with the parent")
    server.stdin.write("\n")
    server.stdin.flush()
    assert server.stdout.readline() == "left\n"
    r.ctl("set", "global", "chimney=enabled")
    wait_for(lambda: states(r) == ["offloaded"], "offloaded with the child")
    start = client.bytes()[1]
    wait_for(lambda: client.bytes()[1] > start + (1 << 20), "data flows")
    client.finish()
    end(server)
    assert r.close() == 0


def case_asyncio():
    serve(ASYNCIO)


def case_client():
    """A connection that the program made itself."""
    r = Rig(mode="enabled")
    server = subprocess.Popen(r.in_peer() + [PYTHON, "-c", THREADS], stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    p = run(r, CONNECTOR, PEER[4])
    for _ in range(3):
        p.stdin.write("more\n")
        p.stdin.flush()
        assert p.stdout.readline() == "sent\n"
        wait_for(lambda: states(r) == ["offloaded"], "offloaded")
    assert r.ctl("stats")["segments_out"] > 100
    p.stdin.close()
    # The connection is over in both directions: a kernel socket has no peer any more (ENOTCONN).
    assert p.stdout.readline() == "same 107\n"
    assert p.wait(20) == 0
    end(server)
    assert r.close() == 0


def case_direction():
    """Rules tell connections that were accepted from those that were made, while data flows; and know the interface."""
    r = Rig(mode="enabled", policy="keep interface nowhere0\noffload direction in interface %s\nkeep direction out\n" % HOST_IF)
    peer = subprocess.Popen(r.in_peer() + [PYTHON, "-c", THREADS], stdout=subprocess.PIPE, text=True)
    peer.stdout.readline()
    server = run(r, THREADS)
    clients = [Client(r, 6 if i % 2 else 4, i) for i in range(4)]
    made = run(r, CONNECTOR, PEER[4])
    made.stdin.write("more\n" * 5)
    made.stdin.flush()
    wait_for(lambda: states(r) == ["host"] + ["offloaded"] * 4, "accepted ones are offloaded")
    known = {c["pid"]: c for c in r.connections()}
    assert [c["direction"] for c in r.connections() if c["pid"] == server.pid] == ["in"] * 4
    assert known[made.pid]["direction"] == "out" and known[made.pid]["policy_rule"] == 3, known
    assert known[server.pid]["policy_rule"] == 2, known
    made.stdin.close()
    assert "same" in made.stdout.read()
    for c in clients:
        c.finish()
    end(made)
    end(server)
    end(peer)
    assert r.close() == 0


# Does not read what came until it is told to.
UNREAD = """
import socket, sys
l = socket.create_server(("10.78.0.1", 9000))
print("ready", flush=True)
c, _ = l.accept()
sys.stdin.readline()
print(c.recv(1, socket.MSG_OOB), c.recv(10), flush=True)
sys.stdin.readline()
"""


def case_passing():
    """What passes does not make the policy wait longer and longer: urgent data keeps a connection up only as long as it is there."""
    r = Rig(mode="enabled")
    server = run(r, UNREAD)
    client = subprocess.Popen(r.in_peer() + [PYTHON, "-c", """
import socket, sys
s = socket.create_connection(("10.78.0.1", 9000))
s.send(b"x!", socket.MSG_OOB)
sys.stdin.readline()
"""], stdin=subprocess.PIPE, text=True)
    failures = lambda: sum(c["failures"] for c in r.connections())
    wait_for(lambda: failures() >= 7, "refused again and again")
    assert "urgent" in r.connections()[0]["reason"]
    server.stdin.write("\n")
    server.stdin.flush()
    assert server.stdout.readline() == "b'!' b'x'\n"
    wait_for(lambda: states(r) == ["offloaded"], "offloaded soon after", seconds=5)
    end(client)
    end(server)
    assert r.close() == 0


def case_missing():
    """exec starts a daemon where none runs; without one the program runs natively and keeps its status, or not at all."""
    r = Rig()
    r.daemon.terminate()
    assert r.daemon.wait(20) == 0
    argv = [CHIMNEY, "exec", "-c", r.control, "-i", "nowhere0", "--", "sh", "-c", "echo it runs; exit 7"]
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 7 and p.stdout == "it runs\n" and "runs natively" in p.stderr, p
    p = subprocess.run(argv[:2] + ["--strict"] + argv[2:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 126 and p.stdout == "" and "nowhere0" in p.stderr, p
    server = run(r, THREADS, options=("--strict", "-i", HOST_IF, "-p", r.policy, "-m", "enabled"))
    client = Client(r, 4, 1)
    wait_for(lambda: states(r) == ["offloaded"], "offloaded by the daemon that was started")
    # Descriptors that a caller left open, with whatever numbers, are nobody's business.
    high = [os.dup2(0, n) for n in range(100, 104)]
    p = subprocess.run([CHIMNEY, "exec", "--strict", "-c", r.control, "--", "true"], pass_fds=high)
    assert p.returncode == 0, p
    # The daemon goes in the middle: the connection comes up, and the program calls what it likes as before.
    r.ctl("stop")
    wait_for(lambda: not os.path.exists(r.control), "the daemon has ended")
    more = Client(r, 6, 2)
    start = [client.bytes()[1], more.bytes()[1]]
    wait_for(lambda: client.bytes()[1] > start[0] + (1 << 20) and more.bytes()[1] > start[1] + (1 << 20), "data flows")
    client.finish()
    more.finish()
    end(server)
    r.peer.kill()
    r.peer.wait()


if __name__ == "__main__":
    rig.main(globals()["case_" + sys.argv[1]])
