#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs that others wrote: natively, under `chimney exec` with every connection offloaded, and once more with
connections taken up and handed down all the time. Results must be equal; the daemon's counters must show that the target
carried the bytes.

usage: test_apps.py redis|nginx|iperf3|node
"""
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import rig
from rig import CHIMNEY, HOST, Rig, wait_for

ADDR = HOST[4]
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def need(*programs):
    for p in programs:
        if not shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin"):
            rig.skip("%s is not installed" % p)


class Churn:
    """Takes every offloaded connection up and hands it down again until stopped; counts the moves that succeeded."""

    def __init__(self, r):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.connect(r.control)
        self.end = threading.Event()
        self.moves = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def ask(self, **request):
        self.s.send(json.dumps(dict(request, tag=1)).encode())
        return json.loads(self.s.recv(65536))

    def run(self):
        while not self.end.wait(0.05):
            for c in self.ask(op="list")["connections"]:
                op = {"offloaded": "upload", "host": "offload"}.get(c["state"])
                if op:
                    self.moves += self.ask(op=op, id=c["id"])["ok"]

    def stop(self):
        self.end.set()
        self.thread.join()
        self.s.close()


def listens(server, port):
    """Seen from outside: a server may take a connection made to find out for its client's."""
    def is_there():
        with open("/proc/%d/net/tcp" % server.pid, encoding="ascii") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        return any(row[3] == "0A" and int(row[1].split(":")[1], 16) == port for row in rows)
    wait_for(is_there, "the server listens")


def three_ways(argv, port, work, may_reset=False):
    """work(rig) -> result, with the server run in each of the three ways."""
    results = []
    for way in ("native", "offloaded", "churned"):
        r = Rig(mode="enabled")
        prefix = [] if way == "native" else [CHIMNEY, "exec", "-c", r.control, "--strict", "--"]
        server = subprocess.Popen(prefix + argv(r), env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin"),
                                  cwd=r.folder.name, **QUIET)
        listens(server, port)
        churn = Churn(r) if way == "churned" else None
        results.append(work(r))
        if churn:
            churn.stop()
            assert churn.moves >= 2, "only %d moves" % churn.moves
        stats = r.ctl("stats")
        print(way, results[-1], "moves %d" % (churn.moves if churn else 0), stats)
        assert (stats["segments_out"] > 0) == (way != "native"), stats
        assert may_reset or stats["resets_sent"] == 0, stats
        server.terminate()
        server.wait(20)
        assert r.close() == 0, "the daemon failed"
        remove_links()
    assert results[0] == results[1] == results[2], results


def remove_links():
    """The next rig makes them anew."""
    wait_for(lambda: rig.HOST_IF not in rig.links() or
             subprocess.run(["ip", "link", "del", rig.HOST_IF], **QUIET).returncode == 0, "old links are gone")


def case_redis():
    """A pipelined load of pseudo-random keys, then redis' own digest of its data; its benchmark runs without an error."""
    need("redis-server", "redis-cli", "redis-benchmark")
    rng = random.Random(1)
    load = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(k), k, len(v), v) for k, v in
                    ((b"k%d" % i, rng.randbytes(rng.randrange(1, 2000)).hex().encode()) for i in range(20000)))

    def work(r):
        cli = r.in_peer() + ["redis-cli", "-h", ADDR, "-p", "6400"]
        piped = subprocess.run(cli + ["--pipe"], input=load, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()
        digest = subprocess.run(cli + ["debug", "digest"], stdout=subprocess.PIPE, check=True, timeout=30).stdout.decode()
        bench = subprocess.run(r.in_peer() + ["redis-benchmark", "-h", ADDR, "-p", "6400", "-t", "set,get,lrange_100", "-n",
                                              "20000", "-c", "8", "-P", "8", "-d", "512", "-q"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True)
        assert bench.returncode == 0 and "rror" not in bench.stdout, bench
        return piped.splitlines()[-1], digest

    three_ways(lambda r: ["redis-server", "--port", "6400", "--bind", ADDR, "--save", "", "--protected-mode", "no",
                          "--enable-debug-command", "yes"], 6400, work)


def fetch_all(r, url, times):
    """SHA-256 of what curl got, over one kept-alive connection each."""
    script = "for i in 1 2 3; do curl -sSf --max-time 60 %s || exit 1; done" % " ".join([url] * 3)
    ps = [subprocess.Popen(r.in_peer() + ["sh", "-c", script], stdout=subprocess.PIPE) for _ in range(times)]
    hashes = []
    for p in ps:
        h = hashlib.sha256()
        while d := p.stdout.read(1 << 20):
            h.update(d)
        assert p.wait(60) == 0, "curl failed"
        hashes.append(h.hexdigest())
    return hashes


def case_nginx():
    """Files by sendfile to several clients at once, several requests a connection, two worker processes."""
    need("nginx", "curl")
    data = random.Random(2).randbytes(16 << 20)

    def argv(r):
        conf = os.path.join(r.folder.name, "nginx.conf")
        os.chmod(r.folder.name, 0o755)
        with open(os.path.join(r.folder.name, "file"), "wb") as f:
            f.write(data)
        with open(conf, "w", encoding="utf-8") as f:
            f.write("""daemon off; worker_processes 2; user root; pid %(d)s/pid; error_log %(d)s/errors;
events { worker_connections 64; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_timeout 60; client_body_temp_path %(d)s/b;
 proxy_temp_path %(d)s/p; fastcgi_temp_path %(d)s/f; uwsgi_temp_path %(d)s/u; scgi_temp_path %(d)s/s;
 server { listen %(a)s:8080; root %(d)s; } }
""" % {"d": r.folder.name, "a": ADDR})
        return ["nginx", "-c", conf, "-p", r.folder.name]

    three_ways(argv, 8080, lambda r: fetch_all(r, "http://%s:8080/file" % ADDR, 3))


def case_iperf3():
    """Both directions, four streams: every stream flows until the end, and the two sides agree that it was complete."""
    need("iperf3")

    def work(r):
        for extra in ([], ["-R"], ["-P", "4"]):
            # Between two tests the server makes its listener anew and resets who was waiting at the old one, natively
            # too: a client that never got a stream asks again.
            for _ in range(20):
                p = subprocess.run(r.in_peer() + ["iperf3", "-c", ADDR, "-p", "5300", "-t", "1", "-J"] + extra,
                                   stdout=subprocess.PIPE, timeout=60, text=True)
                answer = json.loads(p.stdout)
                if answer["start"]["connected"] or "error" not in answer:
                    break
            assert p.returncode == 0, p.stdout[-600:]
            # The server stops counting at the client's word, so what it received may be less than what was sent.
            assert "error" not in answer and all(s["receiver"]["bytes"] > 1 << 20 for s in answer["end"]["streams"]), answer
        return "complete"

    three_ways(lambda r: ["iperf3", "-s", "-p", "5300", "-B", ADDR], 5300, work,
               may_reset=True)  # it closes its streams with data unread


NODE = """
const http = require("http"), crypto = require("crypto");
const body = Buffer.alloc(8 << 20);
for (let i = 0; i < body.length; i++) body[i] = (i * 2654435761) >>> 13;
http.createServer((q, a) => { a.setHeader("peer", String(q.socket.remoteAddress)); a.end(body); }).listen(8100, "%s");
""" % ADDR


def case_node():
    need("node", "curl")
    three_ways(lambda r: ["node", "-e", NODE], 8100, lambda r: fetch_all(r, "http://%s:8100/" % ADDR, 2))


if __name__ == "__main__":
    rig.main(globals()["case_" + sys.argv[1]])
