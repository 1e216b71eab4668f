/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_capture.h - an onlooker on the peer's end of the veth pair: counts resets, and writes a
 * capture file on demand.
 *
 * It is a process of its own in the peer's namespace and shares nothing with the daemon, so that
 * its count of resets is a second opinion.
 */
#ifndef DEMO_DEMO_CAPTURE_H
#define DEMO_DEMO_CAPTURE_H

#include <stdatomic.h>
#include <stdint.h>

struct demo_capture {
	_Atomic uint64_t frames, bytes; /* seen; without a capture file only resets are looked at */
	_Atomic uint64_t resets;        /* TCP segments with RST, either direction */
	_Atomic uint64_t lost;          /* frames that the onlooker missed */
	const char *ifname;
	const char *pcap_path; /* NULL: no file */
	int ready_fd;          /* gets one byte once frames are seen */
};

struct demo_capture *demo_capture_create(const char *ifname,
					 const char *pcap_path); /* shared memory */
int demo_capture_run(void *capture); /* until SIGTERM; for demo_net_spawn() */

#endif
