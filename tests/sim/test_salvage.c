/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker dies between two instructions, ten thousand times. A child runs two engines on a lossy
 * link; we are its tracer and let it go on one instruction at a time through events that the seed
 * picks. Every few instructions it stands still, and what its two arenas say is compared with what
 * had left the process by then: nothing that the peer was told may be unknown, no byte that is
 * needed may be missing or wrong. Now and then both ends are restored into new engines, without
 * anything that was on the wire, and their streams must come to their ends, exact.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wheel.h"
#include "req.h"
#include "target/tgt_cc.h"
#include "target/tgt_salvage.h"
#include "target/tgt_sendq.h"

enum {
	SEEDS = 20,
	POINTS = 500, /* a seed */
	POINTS_A_EVENT = 40,
	STRIDE = 24,        /* at most so many instructions between two points */
	SKIP = 1600,        /* in some events before the first */
	RESTORE_EVERY = 50, /* points */
	GOAL_BYTES = 400000,
	CHUNKS = 600,
	ON_WIRE = 256,
	MSS = 1448,
	DELAY_US = 2000,
	LIMIT_S = 600,
};

struct packet {
	uint64_t due_us;
	struct tgt_segment seg;
	uint8_t opt[40];
	uint8_t data[MSS + 12];
};

/* What left the worker: kept where its death does not reach. */
struct outside {
	volatile tcp_seq sent, acked; /* furthest number on the wire; furthest acknowledged */
	volatile uint64_t taken;      /* bytes that the host handed over and forgot */
	volatile uint64_t read;       /* bytes that the program has */
};

struct shared {
	struct outside outside[2];
	volatile uint64_t event, stop_at;
	volatile bool over;
};

struct end {
	struct tgt_adapter a; /* first: the engine's callbacks get it */
	struct tgt_conn *conn;
	struct nic_info nic_info;
	struct packet *wire; /* towards this end */
	unsigned int head, count;
	tcp_seq iss, peer_iss; /* number of the first byte of each direction */
	uint64_t queued, read;
	bool fin_ordered, fin_received, fin_acked;
	struct outside *outside;
};

static struct end ends[2];
static struct shared *shared;
static uint64_t now_us, seed, rng;
static uint64_t points, restores, bytes_salvaged;

static uint32_t draw(uint32_t below)
{
	rng += 0x9e3779b97f4a7c15u;
	uint64_t z = (rng ^ (rng >> 30)) * 0xbf58476d1ce4e5b9u;

	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ (z >> 31)) >> 16) % below;
}

static uint8_t byte_at(int sender, uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 8) * 31 + (offset >> 16) * 3 + (uint64_t)sender);
}

static int index_of(const struct tgt_adapter *a)
{
	return (const struct end *)(const void *)a == &ends[1];
}

#define CHECK(ok, ...)                                                                             \
	do {                                                                                       \
		if (!(ok))                                                                         \
			broken(__VA_ARGS__);                                                       \
	} while (0)

static void __attribute__((format(printf, 1, 2), noreturn)) broken(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "seed %llu, event %llu, point %llu: ", (unsigned long long)seed,
		(unsigned long long)shared->event, (unsigned long long)points);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	abort();
}

/* ---- the DDI side, as far as an engine needs it ---- */

struct tgt_conn *tgt_conn_of_slot(struct tgt_adapter *a, uint32_t slot)
{
	return slot == 0 ? ((struct end *)a)->conn : NULL;
}

/* The program has them first, then they leave the queue: as tgt_deliver does it. */
static void read_some(struct end *end, uint32_t max)
{
	struct tgt_chunk_list *q = &end->conn->rcvq;
	uint32_t n = q->bytes < max ? q->bytes : max;
	uint32_t seen = 0;

	for (arena_ref ref = q->head; ref && seen < n; ref = tgt_chunk_at(&end->a, ref)->next) {
		const struct tgt_chunk *c = tgt_chunk_at(&end->a, ref);

		for (uint32_t i = 0; i < c->len && seen < n; i++, seen++)
			CHECK(c->data[c->off + i] == byte_at(end == &ends[0], end->read + seen),
			      "byte %llu is wrong", (unsigned long long)(end->read + seen));
	}
	end->read += n;
	if (end->outside)
		end->outside->read = end->read;
	arena_order();
	tgt_chunks_drop(&end->a, q, n);
}

void tgt_deliver_data(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		      uint32_t len, bool psh)
{
	(void)psh;
	CHECK(tgt_rcvq_append(a, conn, data, len) == 0, "no room for received bytes");
	if (draw(2))
		read_some((struct end *)a, 1 + draw(8000));
}

void tgt_deliver_fin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)conn;
	((struct end *)a)->fin_received = true;
}

uint32_t tgt_deliver_buffered_bytes(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	(void)a;
	return conn->rcvq.bytes;
}

void tgt_deliver_push_expired(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
}

void tgt_send_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes)
{
	(void)a;
	(void)conn;
	(void)bytes;
}

void tgt_send_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)conn;
	((struct end *)a)->fin_acked = true;
}

void tgt_indicate_abort(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)conn;
	broken("end %d aborted", index_of(a));
}

void tgt_request_upload(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_upload_reason reason)
{
	CHECK(conn->state == TGT_TIME_WAIT, "end %d wants an upload: %d", index_of(a), (int)reason);
}

void tgt_forward_progress(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
}

void tgt_reach_doubt(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
}

static void copy_payload(const struct tgt_xmit *x, uint8_t *to)
{
	for (unsigned int i = 0; i < x->iovcnt; i++) {
		memcpy(to, x->iov[i].iov_base, x->iov[i].iov_len);
		to += x->iov[i].iov_len;
	}
}

int tgt_frame_xmit(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_xmit *x)
{
	struct end *from = (struct end *)a, *to = &ends[!index_of(a)];
	struct packet *p = &to->wire[(to->head + to->count) % ON_WIRE];
	tcp_seq end = x->seq + x->len + !!(x->flags & TGT_TH_FIN);

	(void)conn;
	if (to->count < ON_WIRE && draw(100) >= 4) {
		*p = (struct packet){ .due_us = now_us + DELAY_US };
		copy_payload(x, p->data);
		memcpy(p->opt, x->opt, x->opt_len);
		p->seg = (struct tgt_segment){ .seq = x->seq,
					       .ack = x->ack,
					       .wnd_raw = x->wnd_raw,
					       .flags = x->flags,
					       .opt = p->opt,
					       .opt_len = x->opt_len,
					       .data = p->data,
					       .len = x->len };
		to->count++;
	}
	if (from->outside) { /* whether it arrives or not: the peer may know it now */
		from->outside->sent = seq_max(from->outside->sent, end);
		from->outside->acked = seq_max(from->outside->acked, x->ack);
	}
	return 0;
}

/* ---- a run ---- */

static void write_some(struct end *end)
{
	uint8_t piece[8192];
	uint32_t len = 1 + draw(sizeof(piece));

	if (end->fin_ordered)
		return;
	if (len > GOAL_BYTES - end->queued)
		len = (uint32_t)(GOAL_BYTES - end->queued);
	if (len && tgt_sendq_room(&end->a, end->conn) >= len) {
		for (uint32_t i = 0; i < len; i++)
			piece[i] = byte_at(end == &ends[1], end->queued + i);
		CHECK(tgt_sendq_append(&end->a, end->conn, piece, len, true) == 0, "send queue");
		end->queued += len;
		if (end->outside)
			end->outside->taken = end->queued;
		tgt_output(&end->a, end->conn, now_us);
	}
	if (end->queued == GOAL_BYTES) {
		end->fin_ordered = true;
		tgt_close_send_fin(&end->a, end->conn);
	}
}

/* Lets the tracer in when it asked for this event. */
static void new_event(void)
{
	shared->event++;
	if (shared->event == shared->stop_at)
		raise(SIGSTOP);
}

static void serve(struct end *end)
{
	end->a.now_us = now_us;
	while (end->count && end->wire[end->head].due_us <= now_us) {
		struct packet *p = &end->wire[end->head];

		end->head = (end->head + 1) % ON_WIRE;
		end->count--;
		new_event();
		tgt_input(&end->a, end->conn, &p->seg, now_us);
	}
	if (tgt_timers_next(&end->a) <= now_us) {
		new_event();
		tgt_timers_run(&end->a, now_us);
	}
	if (draw(4) == 0) {
		new_event();
		write_some(end);
	}
	if (end->conn->rcvq.bytes && draw(3) == 0) {
		new_event();
		read_some(end, 1 + draw(20000));
		tgt_rcv_window_changed(&end->a, end->conn);
	}
}

static bool is_over(const struct end *end)
{
	return end->fin_acked && end->fin_received && end->read == GOAL_BYTES;
}

static void run(void)
{
	uint64_t start_us = now_us;

	while (!is_over(&ends[0]) || !is_over(&ends[1])) {
		serve(&ends[0]);
		serve(&ends[1]);
		now_us += 500;
		CHECK(now_us - start_us < LIMIT_S * 1000000ull, "no end in time (%llu %llu)",
		      (unsigned long long)ends[0].read, (unsigned long long)ends[1].read);
	}
}

static void make_adapter(struct end *end)
{
	static const struct arena_pool_spec pools[] = {
		{ .name = "conn", .object_bytes = sizeof(struct tgt_conn), .count = 1 },
		{ .name = "chunk",
		  .object_bytes = TGT_CHUNK_BYTES,
		  .count = CHUNKS,
		  .zero_bytes = sizeof(struct tgt_chunk) },
	};

	end->a.now_us = now_us;
	CHECK(arena_create(&end->a.arena, "salvage", pools, 2) == 0, "no arena");
	end->a.pool_conn = 0;
	end->a.pool_chunk = 1;
	CHECK(wheel_create(&end->a.wheel, 1, now_us) == 0, "no wheel");
	end->a.params = (struct tgt_params){ .ticks_per_second = 1000,
					     .delayed_ack_us = 40000,
					     .sws_us = 200000,
					     .push_us = 500000,
					     .dup_ack_threshold = 3,
					     .ack_frequency = 2,
					     .max_retransmissions = 15 };
	end->a.limits.conn_send_bytes = 128 << 10;
	end->a.limits.conn_reasm_bytes = 128 << 10;
	end->a.cc = seed % 2 ? &tgt_cc_cubic : &tgt_cc_newreno;
	end->nic_info.max_frame_bytes = 1514;
	end->a.nic_info = &end->nic_info;
	end->conn = arena_take(end->a.arena, 0);
	tgt_conn_init(&end->a, end->conn, 0);
	end->wire = calloc(ON_WIRE, sizeof(*end->wire));
	CHECK(end->wire, "no memory");
}

static void destroy(struct end *end)
{
	tgt_conn_stop(&end->a, end->conn);
	tgt_conn_release(&end->a, end->conn);
	CHECK(arena_used(end->a.arena, 1) == 0, "chunks are lost");
	wheel_destroy(end->a.wheel);
	arena_destroy(end->a.arena);
	free(end->wire);
	memset(end, 0, sizeof(*end));
}

static void make_conn(struct end *end, const tcp_seq iss[2])
{
	struct tgt_conn *conn = end->conn;
	int i = end == &ends[1];

	end->iss = iss[i];
	end->peer_iss = iss[!i];
	conn->state = TGT_ESTABLISHED;
	conn->options = seed % 3 ? TGT_OPT_SACK | TGT_OPT_TIMESTAMP : 0;
	conn->remote_mss = 1460;
	conn->path_mtu_bytes = 1500;
	conn->rcv_buf_bytes = 128 << 10;
	conn->rcv_wscale = conn->snd_wscale = 2;
	conn->rcv_nxt = conn->rcv_stored = iss[!i];
	conn->rcv_adv = conn->rcv_nxt + (64 << 10);
	conn->snd_una = conn->snd_nxt = conn->snd_max = iss[i];
	conn->snd_wnd_bytes = conn->max_snd_wnd_bytes = 64 << 10;
	conn->snd_wl1 = conn->rcv_nxt;
	conn->cwnd_bytes = 10 * MSS;
	conn->ssthresh_bytes = 0x7fffffff;
	tgt_sendq_begin(conn, conn->snd_una);
}

static void start_pair(void)
{
	/* often the numbers wrap within the stream */
	tcp_seq iss[2] = { 0u - draw(2 * GOAL_BYTES), 0u - draw(2 * GOAL_BYTES) };

	memset(ends, 0, sizeof(ends));
	for (int i = 0; i < 2; i++) {
		make_adapter(&ends[i]);
		make_conn(&ends[i], iss);
	}
}

/* ---- the dead worker's arenas ---- */

/* What a successor would know of one end. */
struct salvaged {
	struct tgt_conn conn;
	uint8_t tx[GOAL_BYTES], rx[GOAL_BYTES];
	uint32_t tx_bytes, rx_bytes;
	uint64_t read, taken; /* from outside */
	tcp_seq iss, peer_iss;
};

static void check_bytes(const uint8_t *data, uint32_t len, int sender, uint64_t offset,
			const char *what)
{
	for (uint32_t i = 0; i < len; i++)
		CHECK(data[i] == byte_at(sender, offset + i), "%s byte %llu is wrong", what,
		      (unsigned long long)(offset + i));
}

static void salvage(int i, struct salvaged *to)
{
	const struct outside *out = &shared->outside[i];
	const struct end *end = &ends[i];
	const struct tgt_conn *conn;
	struct tgt_salvage *s;
	tcp_seq read_seq, fin_seq = end->iss + GOAL_BYTES;

	CHECK(tgt_salvage_open(&s, arena_fd(end->a.arena)) == 0, "arena cannot be opened");
	conn = tgt_salvage_next(s, NULL);
	CHECK(conn && !tgt_salvage_next(s, conn), "not one connection");
	tgt_salvage_state(conn, &to->conn);
	to->read = out->read;
	to->taken = out->taken;
	to->iss = end->iss;
	to->peer_iss = end->peer_iss;
	read_seq = end->peer_iss + (tcp_seq)to->read;

	CHECK(seq_geq(to->conn.rcv_nxt, out->acked), "the peer was told %u, known is %u",
	      out->acked - end->peer_iss, to->conn.rcv_nxt - end->peer_iss);
	CHECK(seq_geq(to->conn.snd_max, out->sent), "%u was sent, known is %u",
	      out->sent - end->iss, to->conn.snd_max - end->iss);
	CHECK(seq_geq(to->conn.rcv_stored, read_seq), "read before it was stored");
	to->rx_bytes = tgt_salvage_bytes(s, conn, TGT_SALVAGE_RECEIVED, read_seq, to->rx,
					 to->conn.rcv_stored - read_seq);
	CHECK(read_seq + to->rx_bytes == to->conn.rcv_stored, "%u bytes received, %u are there",
	      to->conn.rcv_stored - read_seq, to->rx_bytes);
	check_bytes(to->rx, to->rx_bytes, !i, to->read, "received");
	to->tx_bytes = tgt_salvage_bytes(s, conn, TGT_SALVAGE_SENT, to->conn.snd_una, to->tx,
					 sizeof(to->tx));
	check_bytes(to->tx, to->tx_bytes, i, to->conn.snd_una - end->iss, "sent");
	if (!(to->conn.flags & TGT_CF_FIN_ACKED))
		CHECK(to->conn.snd_una + to->tx_bytes - end->iss >= to->taken,
		      "%llu bytes taken, %u are there", (unsigned long long)to->taken,
		      to->conn.snd_una + to->tx_bytes - end->iss);
	if (seq_gt(out->sent, fin_seq))
		CHECK(to->conn.flags & TGT_CF_FIN_QUEUED, "our FIN is forgotten");
	bytes_salvaged += to->rx_bytes + to->tx_bytes;
	tgt_salvage_close(s);
}

static void restore(struct end *end, const struct salvaged *from)
{
	struct tgt_conn *conn;
	uint32_t owner;

	make_adapter(end);
	conn = end->conn;
	owner = conn->owner;
	uint8_t cc_id = conn->cc_id;

	*conn = from->conn;
	conn->owner = owner;
	conn->cc_id = cc_id;
	conn->last_syn_challenge_us = conn->last_oow_ack_us = TGT_TIME_NONE;
	end->iss = from->iss;
	end->peer_iss = from->peer_iss;
	end->read = from->read;
	conn->rcv_stored -= from->rx_bytes;
	CHECK(tgt_rcvq_append(&end->a, conn, from->rx, from->rx_bytes) == 0, "no room");
	tgt_sendq_begin(conn, conn->snd_una);
	CHECK(tgt_sendq_append(&end->a, conn, from->tx, from->tx_bytes, true) == 0, "no room");
	/* what the host had in hand when the worker died it gives again */
	end->queued = conn->flags & TGT_CF_FIN_ACKED ? GOAL_BYTES
						     : conn->snd_una - end->iss + from->tx_bytes;
	end->fin_ordered = conn->flags & TGT_CF_FIN_QUEUED;
	end->fin_acked = conn->flags & TGT_CF_FIN_ACKED;
	end->fin_received = conn->flags & TGT_CF_FIN_RECEIVED;
}

static void restore_both(const struct salvaged from[2])
{
	struct end before[2];

	memcpy(before, ends, sizeof(ends));
	memset(ends, 0, sizeof(ends));
	for (int i = 0; i < 2; i++)
		restore(&ends[i], &from[i]);
	for (int i = 0; i < 2; i++)
		if (ends[i].conn->state != TGT_TIME_WAIT && ends[i].conn->state != TGT_CLOSED)
			CHECK(tgt_conn_start(&ends[i].a, ends[i].conn) == 0,
			      "end %d does not start: %s", i, tgt_state_name(ends[i].conn->state));
	run();
	for (int i = 0; i < 2; i++)
		destroy(&ends[i]);
	memcpy(ends, before, sizeof(ends));
	restores++;
}

static bool both_run(const struct salvaged from[2])
{
	for (int i = 0; i < 2; i++)
		if (from[i].conn.state == TGT_TIME_WAIT || from[i].conn.state == TGT_CLOSED)
			return false; /* the host's: there is no engine for it */
	return true;
}

static void one_point(struct salvaged from[2])
{
	points++;
	salvage(0, &from[0]);
	salvage(1, &from[1]);
	if (points % RESTORE_EVERY == 0 && both_run(from)) {
		uint64_t now = now_us, stream = rng, event = shared->event, at = shared->stop_at;

		shared->stop_at = 0;
		restore_both(from);
		now_us = now;
		rng = stream;
		shared->event = event;
		shared->stop_at = at;
	}
}

/* ---- the tracer ---- */

static bool step(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
		return false;
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}

static bool next_stop(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
		return false;
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	CHECK(WIFSTOPPED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0),
	      "the worker ended with status 0x%x", status);
	return WIFSTOPPED(status);
}

/* Points within the event that the child has just begun. */
static void step_through(pid_t pid, struct salvaged from[2], unsigned int *left)
{
	uint64_t event = shared->event;

	for (unsigned int i = 0; i < POINTS_A_EVENT && *left && shared->event == event; i++) {
		unsigned int n = 1 + draw(STRIDE) + (i == 0 && draw(4) == 0 ? draw(SKIP) : 0);

		while (n--)
			if (!step(pid))
				return;
		one_point(from);
		--*left;
	}
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0, "fork");
	if (pid)
		return pid;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGSTOP);
	for (int i = 0; i < 2; i++)
		if (tgt_conn_start(&ends[i].a, ends[i].conn))
			_exit(1);
	run();
	_exit(0);
}

static unsigned int one_seed(struct salvaged from[2])
{
	unsigned int left = POINTS;
	int status;
	pid_t pid;

	rng = seed * 7919;
	now_us = 1000000;
	memset(shared, 0, sizeof(*shared));
	start_pair();
	for (int i = 0; i < 2; i++) {
		ends[i].outside = &shared->outside[i];
		shared->outside[i].sent = ends[i].iss;
		shared->outside[i].acked = ends[i].peer_iss;
	}
	pid = start_child();
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	if (WIFEXITED(status))
		return 0;
	rng = seed;
	shared->stop_at = 1 + draw(20);
	while (next_stop(pid) && left) {
		step_through(pid, from, &left);
		shared->stop_at = shared->event + 1 + draw(60);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	for (int i = 0; i < 2; i++) {
		wheel_destroy(ends[i].a.wheel);
		arena_destroy(ends[i].a.arena);
		free(ends[i].wire);
	}
	return POINTS - left;
}

static void test_killed_anywhere(void **state)
{
	const char *count_text = getenv("SIM_SEEDS"), *first_text = getenv("SIM_FIRST");
	uint64_t count = count_text ? strtoull(count_text, NULL, 0) : SEEDS;
	uint64_t first = first_text ? strtoull(first_text, NULL, 0) : 1;
	struct salvaged *from = calloc(2, sizeof(*from));

	(void)state;
	assert_non_null(from);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	for (seed = first; seed < first + count; seed++)
		if (!one_seed(from)) {
			free(from);
			printf("no tracing here\n");
			skip();
		}
	printf("%llu points, %llu restored and run to the end, %llu bytes salvaged\n",
	       (unsigned long long)points, (unsigned long long)restores,
	       (unsigned long long)bytes_salvaged);
	assert_true(points == count * POINTS);
	assert_true(restores > points / RESTORE_EVERY / 2);
	free(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
