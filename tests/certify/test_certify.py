#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Correct targets pass (a small one with what it does not announce left out); every mutant fails, and with a requirement
that names what it breaks."""
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

# What is broken, and the requirement that has to say so.
MUTANTS = {
    "ack-ahead": "TCP-05",
    "bad-checksum": "TCP-02",
    "corrupt-data": "SND-03",
    "deaf-to-fin": "DIS-23",
    "deaf-to-rst": "DIS-25",
    "disconnect-failure": "DIS-15",
    "disconnect-lost": "DIS-15",
    "entries-status": "OFF-10",
    "fin-not-told": "DIS-23",
    # the debug runtime stops it before the host sees it
    "indicate-status": "RCV-27|RCV-61",
    "initiate-lost": "OFF-01",
    "initiate-no-context": "OFF-04",
    "initiate-status": "OFF-04",
    "invalid-not-told": "INV-06",
    "invalidate-lost": "INV-09",
    "invalidate-status": "INV-09",
    "more-than-hardware": "INI-33",
    "no-ack": "INI-22",
    "no-capacity": "INI-08",
    "no-family": "INI-05",
    "no-fin": "DIS-10",
    "no-psh": "SND-11",
    "no-retransmission": "TCP-13",
    "no-rst": "DIS-03",
    "no-timestamps": "TCP-17",
    "query-lost": "QRY-01",
    "query-rcvnxt": "QRY-03",
    "query-snduna": "QRY-03",
    "query-status": "QRY-03",
    "query-timer": "QRY-16",
    "rare-acks": "INI-21",
    "receive-count": "RCV-03",
    "receive-lost": "RCV-03",
    "reserved-flags": "INI-09",
    "rst-for-fin": "DIS-04",
    "rst-not-told": "DIS-25",
    "send-count": "SND-14",
    "send-failure": "SND-14",
    "send-twice": "SND-03",
    "terminate-lost": "TRM-12",
    "terminate-rcvnxt": "TRM-12",
    "terminate-snduna": "TRM-12",
    "terminate-state": "TRM-14",
    "terminate-status": "TRM-12",
    "timestamp-clock": "TCP-03",
    "timestamp-echo": "TSP-10",
    "urgent": "TCP-01",
    "window-zero": "STA-21",
    "wrong-mac": "STA-15",
    "wrong-port": "STA-23",
    "wrong-tos": "STA-28",
    "wrong-ttl": "STA-27",
}


def certify(chimney, target, mutant=None):
    env = {k: v for k, v in os.environ.items() if k != "CHIMNEY_MUTANT"}
    if mutant:
        env["CHIMNEY_MUTANT"] = mutant
    run = subprocess.run([chimney, "certify", "--json", target], env=env, capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise SystemExit(f"certify {target} {mutant}: exit {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def failed_ids(report):
    return {row["id"]: row["why"] for row in report["requirements"] if row["verdict"] == "failed"}


# What examples/target-min does not announce.
SMALL_SKIPS = {"SND-09", "TCP-03"}


def skipped_ids(report):
    return {row["id"] for row in report["requirements"] if row["verdict"] == "not applicable"}


def main():
    chimney, target, small = sys.argv[1:4]
    wrong = []
    report = certify(chimney, small)
    print(small, report["checked"], "requirements, skipped", skipped_ids(report), failed_ids(report))
    if report["failed"] or report["checked"] < 60 or skipped_ids(report) != SMALL_SKIPS:
        wrong.append(small)
    for correct in ("builtin", target):
        report = certify(chimney, correct)
        print(correct, report["checked"], "requirements", failed_ids(report))
        if report["failed"] or report["checked"] < 60 or skipped_ids(report):
            wrong.append(correct)
    with ThreadPoolExecutor(2) as pool:
        reports = dict(zip(MUTANTS, pool.map(lambda m: certify(chimney, target, m), MUTANTS)))
    for mutant, expected in MUTANTS.items():
        found = failed_ids(reports[mutant])
        print(mutant, "expected", expected, "found", sorted(found))
        if not set(expected.split("|")) & set(found):
            wrong.append(mutant)
    if wrong:
        raise SystemExit(f"wrong verdicts: {wrong}")


if __name__ == "__main__":
    main()
