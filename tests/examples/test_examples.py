#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The example drivers carry the demo, loaded, alone and in stacks; a driver that is not right is named with what is wrong
and what helps, before anything begins."""
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

CHIMNEY, TARGET, IM, NO_ENTRY, UNDEFINED, NO_PROTOCOL, NO_INSTANCE = map(os.path.abspath, sys.argv[1:8])

SMALL = ["-c", "4", "-b", "200k", "--verify"]

# arguments of the demo that must end well
GOOD = [
    ["--sim", "--im", IM],
    ["--sim", "--im", f"passthru,{IM},vlan:5"],
    ["--sim", "--im", f"{IM},{IM}"],
    ["--sim", "--im", f"mux:balance,{IM}"],
    ["--sim", "--target", TARGET],
    ["--sim", "--target", TARGET, "--im", f"{IM},passthru"],
    ["--no-python", "--im", f"{IM},passthru"],
    ["--no-python", "--target", TARGET],
    ["--no-python", "--target", TARGET, "--im", IM],
]

# arguments, words that the message must have: the file, what is wrong, the remedy
BAD = [
    (["--im", "./none.so"], ["./none.so", "No such file", "--im"]),
    (["--im", "mine.so"], ["mine.so", "./mine.so"]),
    (["--im", NO_ENTRY], [NO_ENTRY, "DriverEntry", "without static"]),
    (["--im", UNDEFINED], [UNDEFINED, "no_such_function", "link everything else"]),
    (["--im", NO_PROTOCOL], [NO_PROTOCOL, "protocol edge", "NdisIMAssociateMiniport"]),
    (["--im", TARGET], [TARGET, "not an intermediate driver", "--target"]),
    (["--target", IM], [IM, "is an intermediate driver", "--im"]),
    (["--target", "./none.so"], ["./none.so", "No such file"]),
    (["--target", NO_ENTRY], [NO_ENTRY, "DriverEntry"]),
    (["--target", UNDEFINED], [UNDEFINED, "no_such_function"]),
    (["--sim", "--target", TARGET, "--im", "mux:balance"], ["--target", "leave out mux"]),
    (["--no-python", "--im", NO_INSTANCE], [NO_INSTANCE, "NdisIMInitializeDeviceInstanceEx"]),
]


def demo(args, cwd):
    return subprocess.run([CHIMNEY, "demo", *SMALL, *args], capture_output=True, text=True, cwd=cwd, timeout=120)


def main():
    wrong = []
    cwd = tempfile.mkdtemp()
    shutil.copy(TARGET, os.path.join(cwd, "mine.so"))
    try:
        with ThreadPoolExecutor(2) as pool:
            good = list(pool.map(lambda a: demo(a, cwd), GOOD))
            bad = list(pool.map(lambda a: demo(a[0], cwd), BAD))
        relative = demo(["--sim", "--target", "./mine.so"], cwd)
    finally:
        shutil.rmtree(cwd)
    for args, run in zip(GOOD + [["--sim", "--target", "./mine.so"]], good + [relative]):
        if run.returncode or "Everything matched." not in run.stdout:
            wrong.append((args, run.returncode, run.stdout[-300:] + run.stderr))
    for (args, words), run in zip(BAD, bad):
        missing = [w for w in words if w not in run.stderr]
        if not run.returncode or missing:
            wrong.append((args, run.returncode, missing, run.stderr))
    for row in wrong:
        print(*row)
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(GOOD) + len(BAD) + 1} runs are wrong")


if __name__ == "__main__":
    main()
