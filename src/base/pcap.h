/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcap.h - write Ethernet frames to a capture file that tcpdump and wireshark read (pcap format
 * with nanosecond time stamps, written in the byte order of this machine). Used by the simulated
 * link and by the demo.
 *
 * Context: one thread per writer.
 */
#ifndef BASE_PCAP_H
#define BASE_PCAP_H

#include <stdint.h>
#include <sys/uio.h>

struct pcap_writer;

/* pcap_writer_open() - create or overwrite the file at path. 0 or -errno. */
int pcap_writer_open(struct pcap_writer **out, const char *path);

/*
 * pcap_writer_frame() - append one frame that was on the wire at time_ns (since the epoch, or
 * virtual time).
 * Ownership: borrows iov.
 * Returns:   0 or -errno. After the first error nothing more is written and every call returns that
 *            error.
 */
int pcap_writer_frame(struct pcap_writer *writer, uint64_t time_ns, const struct iovec *iov,
		      unsigned int iov_count);

uint64_t pcap_writer_frames(const struct pcap_writer *writer);

/*
 * pcap_writer_close() - flush and free; 0, or the first error of the writer's life. NULL is
 * allowed.
 */
int pcap_writer_close(struct pcap_writer *writer);

#endif
