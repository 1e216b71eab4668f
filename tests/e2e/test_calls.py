#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The same calls on a kernel socket and on an offloaded one under `chimney exec`: results, errors, readiness and what the
peer sees must be equal, except for what docs/differences.md lists.

usage: test_calls.py [SCENARIO...]   (with names: shows what differs)
"""
import json
import os
import socket
import subprocess
import sys

import rig
from rig import CHIMNEY, Rig, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
sys.path.insert(0, HERE)
from calls import SCENARIOS  # noqa: E402 pylint: disable=wrong-import-position

# Scenario -> what docs/differences.md calls it.
KNOWN = {
    "set socket.SO_RCVLOWAT": "`SO_RCVLOWAT`",
    "bind_again": "`bind`",
    "send_to_an_address": "`sendto` with an address",
    "read_at": "`mmap`",
    "close_linger_zero_after_shut": "`SO_LINGER`",
    "write_after_their_close": "`EPIPE`",
    "poll_masks": "`POLLWRBAND`",
}


class Lines:
    """A process that is spoken to in lines of JSON."""

    def __init__(self, argv):
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, order):
        self.p.stdin.write(json.dumps(order) + "\n")
        self.p.stdin.flush()
        return self.read()

    def read(self):
        line = self.p.stdout.readline()
        if not line:
            raise AssertionError("the process has ended: %s" % self.p.args)
        return json.loads(line)

    def end(self):
        self.p.kill()
        self.p.wait()


class Control:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.connect(path)

    def ask(self, op, **more):
        self.s.send(json.dumps({"op": op, "tag": 1, **more}).encode())
        return json.loads(self.s.recv(65536))


def program(port, *before):
    p = Lines([*before, PYTHON, os.path.join(HERE, "calls.py"), "serve", str(port)])
    p.port = port
    assert p.p.stdout.readline() == "ready\n"
    return p


def offload(control, pid, port):
    """The connection to that port of the peer goes down."""
    found = []

    def down():
        if not found:
            control.ask("attach", pid=pid, filters=1)
            found.extend(c for c in control.ask("list")["connections"] if c["remote_port"] == port)
        answer = control.ask("offload", id=found[0]["id"]) if found else {"ok": False, "retry": True}
        assert answer["ok"] or answer.get("retry"), answer
        return answer["ok"]

    wait_for(down, "offloaded")


def run(name, prog, peer, control=None):
    port = peer.ask({"open": prog.port})["value"]
    prog.ask({"do": "open"})
    if control:
        offload(control, prog.p.pid, port)
    answer = prog.ask({"do": "run", "name": name})
    while "peer" in answer:
        answer = prog.ask(peer.ask({"code": answer["peer"]}))
    return answer


def differences(names):
    r = Rig(mode="manual")
    peer = Lines(r.in_peer() + [PYTHON, os.path.join(HERE, "calls.py"), "peer"])
    plain = program(9100)
    native = {name: run(name, plain, peer) for name in names}
    plain.end()
    control = Control(r.control)
    switched = program(9101, CHIMNEY, "exec", "--strict", "-c", r.control, "--")
    result = {}
    for name in names:
        offloaded = run(name, switched, peer, control)
        if offloaded != native[name]:
            result[name] = (native[name], offloaded)
    switched.end()
    peer.end()
    assert r.close() == 0
    errors = {n: v["error"] for n, v in native.items() if v["error"]}
    assert not errors, errors
    return result


def show(result):
    for name, (native, offloaded) in result.items():
        print("%s:" % name)
        if offloaded["error"]:
            print("    error %s" % offloaded["error"])
        for a, b in zip(native["notes"], offloaded["notes"]):
            if a != b:
                print("    kernel %s\n    ours   %s" % (a, b))
    sys.stdout.flush()


def everything():
    names = sys.argv[1:] or list(SCENARIOS)
    result = differences(names)
    show(result)
    if sys.argv[1:]:
        return
    print("%d scenarios, %d differ" % (len(names), len(result)))
    assert len(names) >= 200
    assert set(result) == set(KNOWN), (sorted(set(result) - set(KNOWN)), sorted(set(KNOWN) - set(result)))
    with open(os.path.join(HERE, "../../docs/differences.md"), encoding="utf-8") as f:
        text = f.read()
    for what in KNOWN.values():
        assert what in text, what


if __name__ == "__main__":
    rig.main(everything)
