# SPDX-License-Identifier: BSD-2-Clause
"""Two hosts out of namespaces for tests that look at chimney from outside, with peers that are not our code.

        this process' namespace (host)                 child's namespace (peer)
     ho0 10.78.0.1/24 fd78::1/64  ===== veth =====  pr0 10.78.0.2/24 fd78::2/64

Run a test through main(): it puts itself into fresh namespaces (user + network when not root) first. Everything ends
with the processes. Nothing here sleeps: every wait has a condition.
"""
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

HOST_IF, PEER_IF = "ho0", "pr0"
HOST = {4: "10.78.0.1", 6: "fd78::1"}
PEER = {4: "10.78.0.2", 6: "fd78::2"}
CHIMNEY = os.environ.get("CHIMNEY", "build/src/cli/chimney")
SKIP = 77


def skip(why):
    print("skipped: " + why)
    sys.exit(SKIP)


def sh(*argv, check=True):
    return subprocess.run(argv, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("timed out: " + what)
        select.select([], [], [], 0.002)


def enter():
    """Re-execute inside fresh namespaces; returns once we are there."""
    if os.environ.get("RIG_INSIDE"):
        return
    # A pid namespace of its own, so that whatever the test leaves behind ends with it.
    flags = ["-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        flags = ["-U", "-r"] + flags
    probe = subprocess.run(["unshare"] + flags + ["true"], stderr=subprocess.PIPE, text=True)
    if probe.returncode:
        skip("no namespaces here: " + probe.stderr.strip())
    os.environ["RIG_INSIDE"] = "1"
    os.execvp("unshare", ["unshare"] + flags + [sys.executable] + sys.argv)


class Rig:
    """The two hosts and a daemon."""

    def __init__(self, mtu=1500, im=None, policy="offload any\n", mode=None, daemon=True):
        # The shell's exec keeps the pid, so that 'peer.pid' names the namespace.
        self.peer = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 1000000"],
                                     stdout=subprocess.PIPE, text=True)
        self.peer.stdout.readline()
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", HOST_IF, "mtu", str(mtu), "type", "veth", "peer", "name", PEER_IF, "mtu", str(mtu),
           "netns", str(self.peer.pid))
        for where, name, addr in (([], HOST_IF, HOST), (self.in_peer(), PEER_IF, PEER)):
            sh(*where, "ip", "addr", "add", addr[4] + "/24", "dev", name)
            sh(*where, "ip", "addr", "add", addr[6] + "/64", "dev", name, "nodad")
            sh(*where, "ip", "link", "set", name, "up")
        sh(*self.in_peer(), "ip", "link", "set", "lo", "up")
        self.folder = tempfile.TemporaryDirectory(prefix="chimney-test-")
        self.control = os.path.join(self.folder.name, "control")
        self.policy = os.path.join(self.folder.name, "policy")
        with open(self.policy, "w", encoding="utf-8") as f:
            f.write(policy)
        self.daemon = None
        if not daemon:
            return
        argv = [CHIMNEY, "daemon", "-i", HOST_IF, "-c", self.control, "-p", self.policy]
        argv += ["--im", im] if im else []
        argv += ["--chimney", mode] if mode else []
        self.daemon = subprocess.Popen(argv)
        wait_for(lambda: os.path.exists(self.control) or self.daemon.poll() is not None, "control socket")
        assert self.daemon.poll() is None, "the daemon ended at once"

    def in_peer(self):
        return ["nsenter", "-t", str(self.peer.pid), "-n"]

    def ctl(self, *argv, check=True):
        p = subprocess.run([CHIMNEY, str(argv[0]), "-c", self.control, "--json"] + [str(a) for a in argv[1:]], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
        if check and p.returncode:
            raise AssertionError("%s: %s" % (" ".join(map(str, argv)), p.stderr.strip()))
        if p.returncode:
            return {"error": p.stderr.strip()}
        try:
            return json.loads(p.stdout)
        except ValueError:
            return {"text": p.stdout}

    def connections(self):
        return self.ctl("list")["connections"]

    def switch(self, op, ident):
        """Offload or upload, again while the moment is busy."""
        answer = {}

        def done():
            answer.update(self.ctl(op, ident, check=False))
            if "error" in answer:
                answer["tries"] = answer.get("tries", 0) + 1
                if answer["tries"] > 50:
                    raise AssertionError("%s: %s" % (op, answer["error"]))
            busy = "error" in answer
            answer.pop("error", None)
            return not busy

        wait_for(done, op)
        return answer

    def close(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
        status = self.daemon.wait(20) if self.daemon else 0
        self.peer.kill()
        self.peer.wait()
        self.folder.cleanup()
        return status


def links():
    """Interfaces of the host's namespace: name -> statistics."""
    return {link["ifname"]: link["stats64"] for link in json.loads(sh("ip", "-j", "-s", "link", "show"))}


class ResetCounter:
    """RST segments on the peer's interface, counted by a packet socket of python's."""

    SCRIPT = """
import socket, sys, select
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((%r, 0))
print("ready", flush=True)
n = 0
while True:
    r, _, _ = select.select([s, sys.stdin], [], [])
    if s in r:
        f = s.recv(262144)
        if f[12:14] == b"\\x08\\x00" and f[23] == 6:
            n += bool(f[14 + (f[14] & 15) * 4 + 13] & 4)
        elif f[12:14] == b"\\x86\\xdd" and f[20] == 6:
            n += bool(f[67] & 4)
    elif sys.stdin in r:
        break
print(n)
""" % PEER_IF

    def __init__(self, rig):
        self.p = subprocess.Popen(rig.in_peer() + [sys.executable, "-c", self.SCRIPT], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        assert self.p.stdout.readline().strip() == "ready"

    def count(self):
        return int(self.p.communicate("\n")[0])


def main(test):
    enter()
    test()
