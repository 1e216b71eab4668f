/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_ends.h - two offload targets joined by memory (nic_pair), a protocol driver above both, and
 * connections between them: the engine with nothing else around it.
 *
 * Every connection has two socks, one at each target. All state goes down in one tree a path, and
 * comes up the same way. Time is the machine's.
 *
 * Context: one thread.
 */
#ifndef BENCH_BENCH_ENDS_H
#define BENCH_BENCH_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

struct bench_ends;

struct bench_ends_config {
	uint32_t conns;
	uint32_t mtu_bytes;
	uint32_t window_bytes;
	bool tso;              /* super-frames of up to 64 KiB */
	bool csum;             /* the engine makes and verifies TCP checksums itself */
	unsigned int passthru; /* intermediate drivers above each target */
};

/* One end of a connection. */
struct bench_sock {
	NDIS_OFFLOAD_HANDLE handle; /* first: OffloadContext of indications */
	struct bench_ends *ends;
	uint32_t number; /* of the connection */
	uint8_t side;
	bool broken; /* the connection was reset, or its target asked for it back */
	uint64_t queued, acked, received;
	struct bench_send *spare; /* requests for the next sends */
	void *ctx;
};

/* What the program of the measurement is told; called while the targets run. */
struct bench_program {
	void (*received)(struct bench_sock *sock, uint32_t bytes);
	void (*acked)(struct bench_sock *sock, uint32_t bytes);
};

struct bench_ends_count {
	uint64_t frames; /* on the wire, both directions, ACKs included */
	uint64_t bytes;  /* payload taken by the programs */
};

/*
 * bench_ends_open() - the stack, without connections.
 * Returns: 0 or -errno; on failure nothing is left.
 */
int bench_ends_open(struct bench_ends **out, const struct bench_ends_config *config,
		    const struct bench_program *program);
/* bench_ends_close() - everything; connections that are still down are terminated first. */
void bench_ends_close(struct bench_ends *ends);

/*
 * bench_ends_offload(), bench_ends_upload() - all connections, one state tree a path and target.
 * Returns: microseconds from the first call to the last completion, or -errno.
 */
int64_t bench_ends_offload(struct bench_ends *ends);
int64_t bench_ends_upload(struct bench_ends *ends);

/* bench_ends_run() - one round of both targets; returns false when nothing happened in it. */
bool bench_ends_run(struct bench_ends *ends);

struct bench_sock *bench_ends_sock(struct bench_ends *ends, uint32_t number, unsigned int side);

/*
 * bench_send() - bytes (at most BENCH_SEND_MAX) of the sock's stream. The stream is a pattern, and
 * the other end compares: every byte of its first BENCH_CHECK_ALL bytes, the beginning of each
 * indication later.
 * Returns: 0, -ENOMEM.
 */
#define BENCH_SEND_MAX  (256u << 10)
#define BENCH_CHECK_ALL (16u << 20)
int bench_send(struct bench_sock *sock, uint32_t bytes);

void bench_ends_count(const struct bench_ends *ends, struct bench_ends_count *count);
/* bench_ends_wrong() - a wrong byte, a broken connection, a refused operation: why; else NULL. */
const char *bench_ends_wrong(const struct bench_ends *ends);

#endif
