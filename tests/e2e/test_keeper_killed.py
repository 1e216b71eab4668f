#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The keeper is killed while connections are offloaded: the worker gives them all back, and nothing stays behind."""
import os
import signal

import rig
import test_outside
from rig import wait_for
from test_confined import worker_of


def test():
    s = test_outside.Scene(4)
    s.all("offload")
    s.flow(1 << 18)
    worker = worker_of(s.r.daemon.pid)
    s.r.daemon.send_signal(signal.SIGKILL)
    assert s.r.daemon.wait(20) == -signal.SIGKILL
    wait_for(lambda: not os.path.exists("/proc/%d" % worker) or status(worker) == "Z", "the worker's end")
    assert not [name for name in rig.links() if name.startswith("chimney")], "a device stays"
    assert "chimney" not in rig.sh("nft", "list", "tables", check=False), "rules stay"
    s.flow(1 << 20)  # by the kernel now
    s.r.close = lambda: 0  # it has ended already; the peer's namespace ends with us
    s.finish()
    s.r.peer.kill()


def status(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"


if __name__ == "__main__":
    rig.main(test)
