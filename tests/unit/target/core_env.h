/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core_env.h - a connection and everything around it, for tests of the engine: an adapter with a
 * real arena and a real wheel, and the DDI side replaced by functions that record what they were
 * told.
 *
 * A test puts the connection straight into a state, feeds segments, lets time pass, and looks at
 * what was sent. After every event the invariants of the connection are checked. Sequence numbers
 * start near 2^32.
 */
#ifndef TESTS_CORE_ENV_H
#define TESTS_CORE_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "req.h"
#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

#define ENV_ISS   0xfffff000u /* our first unacknowledged number */
#define ENV_IRS   0xffffe000u /* the number we expect from the peer */
#define ENV_MSS   1000u
#define ENV_SENT  4096u /* segments remembered */
#define ENV_BYTES (4u << 20)

struct env_sent {
	tcp_seq seq, ack;
	uint32_t len;
	uint16_t wnd_raw, gso_size;
	uint8_t flags, ecn;
	bool retransmit;
	struct tgt_opts opts;
	uint8_t first, last; /* payload bytes at both ends */
	uint64_t at_us;
};

struct env {
	struct tgt_adapter a;
	struct tgt_conn *conn;
	struct nic_info nic_info;
	/* what the engine sent; sent[0] is the oldest since env_forget() */
	struct env_sent sent[ENV_SENT];
	unsigned int sent_count;
	int xmit_error; /* returned by tgt_frame_xmit() when not 0 */
	/* what the engine delivered */
	uint8_t *received;
	uint32_t received_bytes;
	uint32_t held_bytes; /* pretended backlog of the application; -1u: all that was received */
	bool last_push;
	unsigned int fins, aborts, fin_acks, uploads, progress, doubts, push_expiries;
	enum tgt_upload_reason reason;
	uint32_t acked_bytes;
	/* peer */
	uint16_t peer_wnd_raw;
	uint32_t peer_tsval;
	/* hook: called inside tgt_deliver_data() and tgt_send_acked() */
	void (*reenter)(struct env *e);
	bool check_off;
};

extern struct env *env; /* the one under test */

/* An ESTABLISHED connection: MSS 1000 over a large MTU, no options, window 65535 both ways, cwnd
 * large. */
struct env *env_new(void);
void env_free(struct env *e);  /* also checks that no chunk leaked */
void env_start(struct env *e); /* tgt_conn_start(), asserts success, forgets the first ACK */

void env_check(struct env *e);
void env_forget(struct env *e);
const struct env_sent *env_last(struct env *e);

/* Time: run timers up to now + us, event by event. */
void env_run(struct env *e, uint64_t us);

/* Bytes whose value depends on their sequence number, so that a misplaced byte shows. */
uint8_t env_byte(tcp_seq seq);

/* Queue len bytes behind the send queue (end of a request) and send. */
void env_send(struct env *e, uint32_t len);

/* Segments from the peer. */
enum tgt_verdict env_segment(struct env *e, const struct tgt_segment *seg);
enum tgt_verdict env_data(struct env *e, tcp_seq seq, uint32_t len); /* ACK of all we sent */
enum tgt_verdict env_ack(struct env *e, tcp_seq ack); /* no data, window as in peer_wnd_raw */
enum tgt_verdict env_flags(struct env *e, uint8_t flags, tcp_seq seq, tcp_seq ack);
enum tgt_verdict env_ack_sack(struct env *e, tcp_seq ack, const struct tgt_range *blocks,
			      unsigned int count);

/* Count of segments sent since env_forget() that match: flags all set, or with data. */
unsigned int env_count_data(struct env *e);
unsigned int env_count_flag(struct env *e, uint8_t flag);

#define assert_received(e, n)                                                                      \
	do {                                                                                       \
		assert_int_equal((e)->received_bytes, n);                                          \
		for (uint32_t i_ = 0; i_ < (uint32_t)(n); i_++)                                    \
			assert_int_equal((e)->received[i_], env_byte(ENV_IRS + i_));               \
	} while (0)

#endif
