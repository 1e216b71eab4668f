#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A daemon over two members of a bridge, a team above them: a connection of the bridge's address goes down and comes up again
while an echo runs. Needs root, for named namespaces; skipped elsewhere."""
import os
import subprocess
import sys
import tempfile
import time

CHIMNEY = os.path.abspath(sys.argv[1])
HOST, PEER, OTHER = (f"ch{os.getpid()}{x}" for x in "hpo")

SERVER = """
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.88.0.1", 7000))
s.listen(1)
print("ready", flush=True)
c, _ = s.accept()
while d := c.recv(65536):
    c.sendall(d)
"""

CLIENT = """
import os, socket, sys
c = socket.create_connection(("10.88.0.1", 7000))
c.settimeout(20)
print("connected", flush=True)
for line in sys.stdin:
    for _ in range(50):
        sent, got = os.urandom(30000), b""
        c.sendall(sent)
        while len(got) < len(sent):
            got += c.recv(65536)
        assert got == sent
    print("echoed", flush=True)
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def inside(ns, *argv, **options):
    return subprocess.Popen(["ip", "netns", "exec", ns, *argv], text=True, **options)


def wait_for(condition, what, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"no {what} within {seconds} s")
        time.sleep(0.01)


def build():
    for ns in (HOST, PEER, OTHER):
        ip("netns", "add", ns)
        ip("-n", ns, "link", "set", "lo", "up")
    ip("-n", HOST, "link", "add", "br0", "type", "bridge")
    for member, ns, address in (("m0", PEER, "10.88.0.2/24"), ("m1", OTHER, "10.88.0.3/24")):
        ip("-n", HOST, "link", "add", member, "type", "veth", "peer", "name", "e0", "netns", ns)
        ip("-n", HOST, "link", "set", member, "master", "br0")
        ip("-n", HOST, "link", "set", member, "up")
        ip("-n", ns, "address", "add", address, "dev", "e0")
        ip("-n", ns, "link", "set", "e0", "up")
    ip("-n", HOST, "address", "add", "10.88.0.1/24", "dev", "br0")
    ip("-n", HOST, "link", "set", "br0", "up")


def control(sock, *words):
    run = subprocess.run(["ip", "netns", "exec", HOST, CHIMNEY, words[0], "-c", sock, *words[1:]],
                         text=True, capture_output=True, timeout=30)
    if run.returncode:
        raise SystemExit(f"chimney {words}: {run.stdout}{run.stderr}")
    return run.stdout


def state(sock):
    rows = [line.split() for line in control(sock, "list").splitlines() if "10.88.0.2:" in line]
    return rows[0][4] if rows else "none"


def refusal(*interfaces):
    """Not members of one bridge: refused, with the interface and a remedy."""
    words = [w for name in interfaces for w in ("-i", name)]
    run = subprocess.run(["ip", "netns", "exec", HOST, CHIMNEY, "daemon", *words, "--im", "mux:active-backup", "-c", "@none"],
                         text=True, capture_output=True, timeout=30)
    return run.returncode, run.stderr


def story(folder, children):
    sock, policy = os.path.join(folder, "sock"), os.path.join(folder, "policy")
    open(policy, "w").write("offload local-port 7000\n")
    status, said = refusal("m0", "br0")
    assert status and "br0" in said and "master" in said, said
    daemon = inside(HOST, CHIMNEY, "daemon", "-i", "m0", "-i", "m1", "--im", "mux:active-backup", "--verify",
                    "-p", policy, "-c", sock, stderr=subprocess.PIPE)
    server = inside(HOST, sys.executable, "-c", SERVER, stdout=subprocess.PIPE)
    children += [daemon, server]
    server.stdout.readline()
    wait_for(lambda: os.path.exists(sock), "control socket")
    client = inside(PEER, sys.executable, "-c", CLIENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    children.append(client)

    def echo():
        client.stdin.write("go\n")
        client.stdin.flush()
        assert client.stdout.readline() == "echoed\n"

    assert client.stdout.readline() == "connected\n"
    echo()
    control(sock, "attach", str(server.pid))
    wait_for(lambda: state(sock) == "host", "connection in the list")
    for operation, where in (("offload", "offloaded"), ("upload", "host"), ("offload", "offloaded")):
        control(sock, operation, "1")
        assert state(sock) == where, state(sock)
        echo()
    client.stdin.close()
    assert client.wait(20) == 0
    daemon.terminate()
    said = daemon.stderr.read()
    assert daemon.wait(20) == 0 and "verifier" not in said, said


def main():
    if os.geteuid():
        print("needs root for named network namespaces")
        sys.exit(77)
    children = []
    try:
        try:
            build()
        except subprocess.CalledProcessError:
            print("no bridge or no named network namespace to be had here")
            sys.exit(77)
        with tempfile.TemporaryDirectory() as folder:
            story(folder, children)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
        for ns in (HOST, PEER, OTHER):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
