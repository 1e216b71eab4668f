# SPDX-License-Identifier: BSD-2-Clause
"""The example of an echo server in the chimney's own process, with clients that know nothing of it."""
import os
import re
import signal
import subprocess
import sys

import rig

ECHO = os.environ.get("ECHO", "build/examples/echo")
PORT = 7000
BYTES = 3 << 20
CLIENTS = 4

# Runs in the peer's namespace: sends, reads it all back, says whether it was the same.
CLIENT = """
import hashlib, os, socket, sys, threading
def one(seed):
    s = socket.create_connection((%r, %d))
    data = hashlib.sha256(bytes([seed])).digest() * (%d // 32)
    t = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
    t.start()
    got = bytearray()
    while len(got) < len(data):
        piece = s.recv(1 << 16)
        if not piece:
            break
        got += piece
    t.join()
    assert bytes(got) == data, (len(got), len(data))
    assert s.recv(1) == b""
    print("same")
ts = [threading.Thread(target=one, args=(i,)) for i in range(%d)]
[t.start() for t in ts]; [t.join() for t in ts]
""" % (rig.HOST[4], PORT, BYTES, CLIENTS)


def test():
    r = rig.Rig(daemon=False)
    server = subprocess.Popen([ECHO, rig.HOST_IF, rig.HOST[4], str(PORT)], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "listening\n"
    out = subprocess.run(r.in_peer() + [sys.executable, "-c", CLIENT], stdout=subprocess.PIPE, text=True, timeout=60)
    assert out.stdout.count("same") == CLIENTS, out
    lines = [server.stdout.readline() for _ in range(CLIENTS)]
    for line in lines:
        m = re.fullmatch(r"echoed (\d+) bytes, offloads (\d+)\n", line)
        assert m and int(m[1]) == BYTES and int(m[2]) == 1, lines
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0
    assert sorted(rig.links()) == [rig.HOST_IF, "lo"], rig.links()
    r.close()


if __name__ == "__main__":
    rig.main(test)
