#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is installed besides the program agrees with it: man pages, completion, service units; and what a service manager
and Prometheus get from it.

usage: test_packaging.py CASE
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import rig
from rig import CHIMNEY, HOST_IF, Rig

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging")


def output(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


def commands():
    names = re.findall(r"^  ([a-z][a-z-]*) ", output(CHIMNEY, "--help"), re.M)
    assert len(names) > 15, names
    return names


def options(command):
    found = set(re.findall(r"--([a-z][a-z-]*)", output(CHIMNEY, command, "--help"))) - {"help", "usage"}
    assert command == "check" or command in ("certify",) or found, command
    return found


def page(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return f.read().replace("\\-", "-")


def case_man():
    """Every command and option that --help lists stands in the man page, every condition of a rule in that of rules."""
    text = page("chimney.1")
    for command in commands():
        assert re.search(r"^\.B %s$" % command, text, re.M), command
        for option in options(command):
            assert "--" + option in text, (command, option)
    for option in options("daemon"):
        assert "--" + option in page("chimneyd.8"), option
    with tempfile.NamedTemporaryFile("w") as f:
        f.write("offload nonsense 1\n")
        f.flush()
        said = output(CHIMNEY, "daemon", "-i", "lo", "-c", f.name + ".sock", "-p", f.name)
    conditions = re.search(r"\(any, (.*?)\)", said)
    assert conditions, said
    for condition in conditions[1].split(", "):
        assert condition in page("chimney.conf.5"), condition


def complete(*words):
    script = """
. %s
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_chimney
printf '%%s\\n' "${COMPREPLY[@]}"
""" % os.path.join(HERE, "chimney.bash")
    return output("bash", "-c", script, "bash", CHIMNEY, *words).split()


def case_completion():
    assert complete("")[:3] == commands()[:3] and len(complete("")) == len(commands())
    assert set(complete("up")) == {"upload", "upload-all"}
    assert complete("show", "ad") == ["adapters"]
    assert "chimney=automatic" in complete("set", "")
    assert set(complete("exec", "--")) >= {"--" + o for o in options("exec")}
    assert str(os.getpid()) in complete("attach", "")


def case_unit():
    """systemd itself finds nothing wrong with the units."""
    if not shutil.which("systemd-analyze"):
        rig.skip("no systemd-analyze")
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(HERE, "chimneyd@.service.in"), encoding="utf-8") as f:
            text = f.read().replace("@BINDIR@/chimneyd", "/bin/true")
        with open(os.path.join(folder, "chimneyd@.service"), "w", encoding="utf-8") as f:
            f.write(text)
        shutil.copy(os.path.join(HERE, "chimneyd@.socket"), folder)
        for unit in ("chimneyd@eth0.service", "chimneyd@eth0.socket"):
            p = subprocess.run(["systemd-analyze", "verify", "--man=no", os.path.join(folder, unit)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            wrong = [line for line in p.stdout.splitlines() if folder in line or "chimneyd" in line]
            assert not wrong, wrong


def case_service():
    """As a service: the socket is handed over and keeps its name, READY=1 comes when it serves, STOPPING=1 at the end."""
    rig.enter()
    r = Rig()
    r.daemon.send_signal(signal.SIGTERM)
    assert r.daemon.wait(20) == 0
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(os.path.join(r.folder.name, "notify"))
    notify.settimeout(20)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(r.control)
    listener.listen(16)
    start = 'exec 3<&%d; LISTEN_PID=$$ exec "$@"' % listener.fileno()
    r.daemon = subprocess.Popen(["sh", "-c", start, "sh", CHIMNEY, "daemon", "-i", HOST_IF, "-c", r.control],
                                pass_fds=[listener.fileno()],
                                env=dict(os.environ, LISTEN_FDS="1", NOTIFY_SOCKET=notify.getsockname()))
    assert notify.recv(100) == b"READY=1"
    assert r.ctl("show", "global")["interface"] == HOST_IF
    r.ctl("stop")
    assert notify.recv(100) == b"STOPPING=1"
    assert r.daemon.wait(20) == 0
    assert os.path.exists(r.control), "the name is the service manager's"
    r.close()


SAMPLE = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\[\\"n])*"\})? -?[0-9]+$')


def case_prometheus():
    """The text is what Prometheus reads: every sample under a TYPE line of its own name, none twice."""
    rig.enter()
    r = Rig()
    text = output(CHIMNEY, "show", "-c", r.control, "--prometheus", "stats")
    typed, seen = None, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed = line.split()[2]
            assert line.split()[3] == "counter" and typed.endswith("_total"), line
            continue
        assert SAMPLE.match(line), line
        name = line.split(" ")[0]
        assert name.split("{")[0] == typed and name not in seen, line
        seen.add(name)
    assert {"chimney_segments_in_total", "chimney_retransmits_total"} <= seen, text
    p = subprocess.run([CHIMNEY, "list", "-c", r.control, "--prometheus"], stderr=subprocess.PIPE, text=True, check=False)
    assert p.returncode == 2 and "show stats" in p.stderr
    assert r.close() == 0


if __name__ == "__main__":
    globals()["case_" + sys.argv[1]]()
