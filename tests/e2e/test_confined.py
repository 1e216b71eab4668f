#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The worker has given up what it does not need, and what it kept is enough: connections of another user's server on
a privileged port go to the target and back, again and again, with every byte compared."""
import os

import rig
import test_outside

# CAP_DAC_OVERRIDE, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE (docs/security.md)
KEPT = 1 << 1 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 19
PORT = 80
ANOTHER_USER = """
import os
try:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
except OSError:
    pass # a namespace that knows one user only
print("ready", flush=True)
"""


def status_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def worker_of(keeper):
    with open("/proc/%d/task/%d/children" % (keeper, keeper), encoding="ascii") as f:
        pids = [int(p) for p in f.read().split()]
    assert len(pids) == 1, pids
    return pids[0]


def test():
    test_outside.SERVER = test_outside.SERVER.replace("9000", str(PORT)).replace('print("ready", flush=True)\n',
                                                                                 ANOTHER_USER)
    test_outside.CLIENT = test_outside.CLIENT.replace("9000", str(PORT))
    s = test_outside.Scene(2)
    status = status_of(worker_of(s.r.daemon.pid))
    for field in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[field], 16) & ~KEPT == 0, field + " " + status[field]
    assert int(status["CapEff"], 16) == KEPT, status["CapEff"]
    assert int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert os.stat("/proc/%d" % s.server.pid).st_uid in (0, 65534)
    for _ in range(5):
        s.all("offload")
        s.flow(1 << 17)
        s.all("upload")
        s.flow(1 << 17)
    s.finish()


if __name__ == "__main__":
    rig.main(test)
