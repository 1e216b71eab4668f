/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The story of each connection, told while data flows in both directions:
 *
 *   host -> offload -> chimney -> upload -> host -> offload -> chimney -> upload -> host -> close      (odd connections)
 *                                                                  host -> offload -> close there      (even connections)
 *
 * A switch is asked for when both directions have passed its mark. The ends may run half a phase
 * beyond the next mark, so that data keeps flowing during the switch but no connection can finish
 * before its story is told. Connections move independently: at any moment some are in the host,
 * some in the chimney, some in between.
 */
#include "demo/demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "demo/demo_capture.h"
#include "demo/demo_ctl.h"
#include "demo/demo_end.h"
#include "demo/demo_net.h"

#define SWITCHES 5u /* of every connection; the even ones have one more */
#define STORY_US                                                                                   \
	2500000u /* how long the data of a connection takes at the rate that its ends keep */
#define STALL_US       20000000u
#define RETRIES_MAX    200u
#define RETRY_WAIT_US  5000u
#define SETTLE_WAIT_US 5000000u
#define QUERY_WAIT_MS  1

static volatile sig_atomic_t interrupted;

/* How long the switches into a phase took; quantiles are taken at the end. */
struct samples {
	uint32_t *total_us, *frozen_us;
	uint32_t count;
};

struct teller { /* one connection */
	struct demo_flow *flow;
	int64_t id; /* the daemon's name for it; 0 until known */
	enum demo_phase phase;
	unsigned int last_phase; /* where it ends */
	int64_t asked_tag;       /* of the switch under way, 0 if none */
	uint64_t not_before_us;  /* a refused switch is tried again then */
	uint32_t retries;
	uint64_t seen_bytes; /* accounted so far */
	uint32_t seen_segs, seen_retransmits;
	bool over;
};

struct story {
	const struct demo_options *options;
	struct demo_account *account;
	struct demo_net net;
	struct demo_table *table;
	struct demo_flow *echo; /* the python connection's flow; the last teller */
	struct demo_capture *capture;
	struct demo_addr server;
	struct teller *tellers;
	uint32_t teller_count;
	struct samples samples[DEMO_PHASES];
	int ctl_fd;
	int daemon_ctl_fd;
	int ready[2];
	pid_t daemon_pid, server_pid, peer_pid, echo_pid, python_pid, capture_pid;
	uint64_t moved_us; /* when something last happened */
};

static void on_interrupt(int sig)
{
	interrupted = sig;
}

static int run_daemon(void *arg)
{
	struct story *s = arg;
	struct daemon_config config = {
		.ifnames = { DEMO_HOST_IF },
		.ifname_count = 1,
		.im = s->options->im,
		.target = s->options->target,
		.control_fd = s->daemon_ctl_fd,
		.policy = "offload local-port 7007\noffload local-port 7008\n",
	};

	return daemon_main(&config);
}

static int run_server(void *arg)
{
	struct story *s = arg;

	return demo_server_run(s->table, s->ready[1]);
}

static int run_peers(void *arg)
{
	struct story *s = arg;

	return demo_peer_run(s->table, &s->server);
}

static int run_echo(void *arg)
{
	struct story *s = arg;

	return demo_echo_run(s->echo, s->options->seed, &s->server);
}

/* An ordinary asyncio echo server: the unmodified, epoll-driven program. */
static int run_python(void *arg)
{
	static const char script[] = "import asyncio, sys\n"
				     "async def echo(reader, writer):\n"
				     "    while data := await reader.read(65536):\n"
				     "        writer.write(data)\n"
				     "        await writer.drain()\n"
				     "    writer.close()\n"
				     "async def main():\n"
				     "    server = await asyncio.start_server(echo, None, 7008)\n"
				     "    sys.stdout.write('r'); sys.stdout.flush()\n"
				     "    await server.serve_forever()\n"
				     "asyncio.run(main())\n";
	struct story *s = arg;

	dup2(s->ready[1], STDOUT_FILENO);
	execl("/usr/bin/python3", "python3", "-S", "-E", "-c", script, (char *)NULL);
	return 127;
}

static int spawn(struct story *s, pid_t *pid, const char *name, const struct netns *ns,
		 int (*fn)(void *arg))
{
	*pid = demo_net_spawn(&s->net, name, ns, fn, s);
	return *pid < 0 ? (int)*pid : 0;
}

/* A child says with one byte that it is ready; its early end is seen as the end of the pipe. */
static int await_ready(struct story *s, const char *name, char *why, size_t why_size)
{
	char byte;

	close(s->ready[1]);
	if (read(s->ready[0], &byte, 1) == 1) {
		close(s->ready[0]);
		return 0;
	}
	close(s->ready[0]);
	snprintf(why, why_size, "%s did not start", name);
	return interrupted ? -EINTR : -ECHILD;
}

static int spawn_ready(struct story *s, pid_t *pid, const char *name, const struct netns *ns,
		       int (*fn)(void *arg), char *why, size_t why_size)
{
	int err;

	if (pipe(s->ready) < 0)
		return -errno;
	s->capture->ready_fd = s->ready[1];
	err = spawn(s, pid, name, ns, fn);
	return err ? err : await_ready(s, name, why, why_size);
}

static int run_capture(void *arg)
{
	struct story *s = arg;

	return demo_capture_run(s->capture);
}

static int start_daemon(struct story *s)
{
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return -errno;
	s->ctl_fd = pair[0];
	s->daemon_ctl_fd = pair[1];
	err = spawn(s, &s->daemon_pid, "chimneyd", &s->net.host, run_daemon);
	close(pair[1]);
	return err;
}

static uint64_t mark(const struct teller *t, unsigned int phase)
{
	return t->flow->total / (DEMO_PHASES + 1) * (phase + 1);
}

static void allow_phase(struct teller *t)
{
	uint64_t slack = t->flow->total / (2 * (DEMO_PHASES + 1));

	if ((unsigned int)t->phase == t->last_phase) {
		atomic_store(&t->flow->allow, t->flow->total);
		atomic_store(&t->flow->may_close, true);
	} else {
		atomic_store(&t->flow->allow, mark(t, t->phase) + slack);
	}
}

static void init_flow(struct story *s, struct demo_flow *f, uint32_t i)
{
	f->total = s->options->bytes;
	f->rate_bps = f->total * 1000000u / STORY_US + 1000u;
	f->ipv6 = (i / 2) % 2 && !s->options->ipv4_only;
	f->closer = (i / 4) % 2 ? DEMO_SERVER : DEMO_PEER;
}

static int init_tellers(struct story *s)
{
	uint32_t n = s->options->connections;

	s->table = demo_table_create(n);
	s->echo = &demo_table_create(1)->flows[0];
	s->capture = demo_capture_create(DEMO_PEER_IF, s->options->pcap_path);
	s->tellers = calloc(n + 1, sizeof(*s->tellers));
	if (!s->table || !s->echo || !s->capture || !s->tellers)
		return -ENOMEM;
	s->table->seed = s->options->seed;
	s->teller_count = n + (s->options->python ? 1 : 0);
	for (uint32_t i = 0; i < s->teller_count; i++) {
		struct teller *t = &s->tellers[i];

		t->flow = i < n ? &s->table->flows[i] : s->echo;
		init_flow(s, t->flow, i);
		t->last_phase = i % 2 || i >= n ? DEMO_HOST_3 : DEMO_CHIMNEY_3;
		allow_phase(t);
	}
	s->echo->closer = DEMO_PEER;
	s->server = (struct demo_addr){ .v4 = DEMO_HOST_V4, .v6 = DEMO_HOST_V6 };
	return 0;
}

static int start_all(struct story *s, char *why, size_t why_size)
{
	int err = start_daemon(s);

	if (!err)
		err = spawn_ready(s, &s->capture_pid, "the onlooker", &s->net.peer, run_capture,
				  why, why_size);
	if (!err)
		err = spawn_ready(s, &s->server_pid, "the server", &s->net.host, run_server, why,
				  why_size);
	if (!err && s->options->python)
		err = spawn_ready(s, &s->python_pid, "/usr/bin/python3", &s->net.host, run_python,
				  why, why_size);
	if (!err)
		err = spawn(s, &s->peer_pid, "peers", &s->net.peer, run_peers);
	if (!err && s->options->python)
		err = spawn(s, &s->echo_pid, "python3's peer", &s->net.peer, run_echo);
	return err;
}

static bool all_open(struct story *s)
{
	for (uint32_t i = 0; i < s->teller_count; i++) {
		struct demo_flow *f = s->tellers[i].flow;

		if (atomic_load(&f->end[DEMO_PEER].state) == DEMO_END_NONE)
			return false;
		if (f != s->echo && atomic_load(&f->end[DEMO_SERVER].state) == DEMO_END_NONE)
			return false;
	}
	return true;
}

static int await_open(struct story *s, char *why, size_t why_size)
{
	uint64_t until = clock_monotonic_us() + STALL_US;

	while (!all_open(s)) {
		struct demo_child *peers = demo_net_child(&s->net, s->peer_pid);

		demo_net_reap(&s->net);
		if (interrupted)
			return -EINTR;
		if (peers->status != -1 || clock_monotonic_us() > until) {
			snprintf(why, why_size, "the peers could not connect");
			return -ETIMEDOUT;
		}
		usleep(1000);
	}
	return 0;
}

static int attach(struct story *s, pid_t pid, char *why, size_t why_size)
{
	json_t *answer = demo_ctl_call(s->ctl_fd, "attach", json_pack("{s:i}", "pid", (int)pid));
	int err = answer && json_is_true(json_object_get(answer, "ok")) ? 0 : -EIO;

	if (err)
		snprintf(why, why_size, "the daemon cannot attach to process %d: %s", (int)pid,
			 answer ? json_string_value(json_object_get(answer, "error"))
				: "no answer");
	json_decref(answer);
	return err;
}

static void match_id(struct story *s, const json_t *conn)
{
	int remote_port = (int)json_integer_value(json_object_get(conn, "remote_port"));
	bool ipv6 = !strcmp(json_string_value(json_object_get(conn, "family")), "ipv6");

	for (uint32_t i = 0; i < s->teller_count; i++) {
		struct teller *t = &s->tellers[i];

		if (t->flow->peer_port == remote_port && t->flow->ipv6 == ipv6)
			t->id = json_integer_value(json_object_get(conn, "id"));
	}
}

static int learn_ids(struct story *s, char *why, size_t why_size)
{
	json_int_t next = 0;

	do {
		json_t *answer =
			demo_ctl_call(s->ctl_fd, "list", json_pack("{s:I}", "after", next));
		json_t *list = json_object_get(answer, "connections"), *conn;
		size_t i;

		if (!list)
			return -EIO;
		json_array_foreach(list, i, conn) match_id(s, conn);
		next = json_integer_value(json_object_get(answer, "next"));
		json_decref(answer);
	} while (next);
	for (uint32_t i = 0; i < s->teller_count; i++)
		if (!s->tellers[i].id) {
			snprintf(why, why_size,
				 "the daemon does not know connection %" PRIu32 " (peer port %u)",
				 i, s->tellers[i].flow->peer_port);
			return -ENOENT;
		}
	return 0;
}

static uint64_t progress(const struct story *s, const struct teller *t)
{
	uint64_t peer = atomic_load(&t->flow->end[DEMO_PEER].rcvd);
	uint64_t server = t->flow == s->echo ? peer : atomic_load(&t->flow->end[DEMO_SERVER].rcvd);

	return peer < server ? peer : server;
}

/* What the peer saw since the last call belongs to the phase that the connection is in. */
static void account_phase(struct story *s, struct teller *t)
{
	struct demo_end_report *peer = &t->flow->end[DEMO_PEER];
	struct demo_phase_account *a = &s->account->phase[t->phase];
	uint64_t bytes = atomic_load(&peer->rcvd) + atomic_load(&peer->sent);
	uint32_t segs = atomic_load(&peer->segs_in) + atomic_load(&peer->segs_out);
	uint32_t retransmits = atomic_load(&peer->retransmits);
	uint64_t gap = atomic_exchange(&peer->gap_us, 0);

	a->bytes += bytes - t->seen_bytes;
	a->segments += segs - t->seen_segs;
	a->retransmits += retransmits - t->seen_retransmits;
	s->account->retransmits += retransmits - t->seen_retransmits;
	if (gap > a->gap_us)
		a->gap_us = gap;
	t->seen_bytes = bytes;
	t->seen_segs = segs;
	t->seen_retransmits = retransmits;
}

static bool goes_down(const struct teller *t)
{
	return t->phase == DEMO_HOST_1 || t->phase == DEMO_HOST_2 || t->phase == DEMO_HOST_3;
}

static int ask_switch(struct story *s, struct teller *t)
{
	int64_t tag = demo_ctl_ask(s->ctl_fd, goes_down(t) ? "offload" : "upload",
				   json_pack("{s:I}", "id", t->id));

	if (tag == -EAGAIN)
		return 0; /* the daemon is busy: next round */
	if (tag < 0)
		return (int)tag;
	account_phase(s, t);
	t->asked_tag = tag;
	return 0;
}

static void record_switch(struct samples *to, const json_t *answer, uint32_t room)
{
	if (!to->total_us) {
		to->total_us = calloc(room, sizeof(*to->total_us));
		to->frozen_us = calloc(room, sizeof(*to->frozen_us));
	}
	if (!to->total_us || !to->frozen_us || to->count == room)
		return;
	to->total_us[to->count] = (uint32_t)json_integer_value(json_object_get(answer, "total_us"));
	to->frozen_us[to->count++] =
		(uint32_t)json_integer_value(json_object_get(answer, "frozen_us"));
}

static void copy_text(char *out, size_t size, json_t *answer)
{
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (text)
		snprintf(out, size, "%s", text);
	json_decref(answer);
}

/*
 * The account shows the state of the first that goes down, and what the target says of it while it
 * runs it.
 */
static void show_state(struct story *s, struct teller *t)
{
	if (s->account->tree[0] || t->phase != DEMO_CHIMNEY_1)
		return;
	copy_text(s->account->tree, sizeof(s->account->tree),
		  demo_ctl_call(s->ctl_fd, "tree", json_pack("{s:I}", "id", t->id)));
	copy_text(s->account->query, sizeof(s->account->query),
		  demo_ctl_call(s->ctl_fd, "query", json_pack("{s:I}", "id", t->id)));
}

static int switched(struct story *s, struct teller *t, json_t *answer, char *why, size_t why_size)
{
	t->asked_tag = 0;
	s->moved_us = clock_monotonic_us();
	if (!json_is_true(json_object_get(answer, "ok"))) {
		const char *error = json_string_value(json_object_get(answer, "error"));

		s->account->retries++;
		t->not_before_us = s->moved_us + RETRY_WAIT_US;
		if (json_is_true(json_object_get(answer, "retry")) && ++t->retries < RETRIES_MAX)
			return 0;
		snprintf(why, why_size, "connection %" PRId64 " could not be %s: %s", t->id,
			 goes_down(t) ? "offloaded" : "uploaded",
			 error ? error : "no reason given");
		return -EIO;
	}
	if (t->flow != s->echo) {
		s->account->offloads += goes_down(t) && t->phase != DEMO_HOST_3;
		s->account->uploads += !goes_down(t);
	}
	t->phase++;
	record_switch(&s->samples[t->phase], answer, s->teller_count);
	show_state(s, t);
	allow_phase(t);
	return 0;
}

static int hear_answer(struct story *s, char *why, size_t why_size)
{
	int err;
	json_t *answer = demo_ctl_next(s->ctl_fd, QUERY_WAIT_MS, &err);
	int64_t tag = json_integer_value(json_object_get(answer, "tag"));

	if (err)
		snprintf(why, why_size, "the daemon is gone: %s", strerror(-err));
	for (uint32_t i = 0; answer && i < s->teller_count; i++)
		if (s->tellers[i].asked_tag == tag) {
			err = switched(s, &s->tellers[i], answer, why, why_size);
			break;
		}
	json_decref(answer);
	return err;
}

static void finish_teller(struct story *s, struct teller *t)
{
	struct demo_end_report *peer = &t->flow->end[DEMO_PEER],
			       *server = &t->flow->end[DEMO_SERVER];
	bool good = atomic_load(&peer->state) == DEMO_END_CLOSED &&
		    atomic_load(&server->state) == DEMO_END_CLOSED &&
		    !memcmp(peer->sha_sent, server->sha_rcvd, 32) &&
		    !memcmp(server->sha_sent, peer->sha_rcvd, 32);

	account_phase(s, t);
	t->over = true;
	s->moved_us = clock_monotonic_us();
	if (atomic_load(&peer->error) == ECONNRESET)
		s->account->peer_resets++;
	if (t->flow == s->echo) {
		s->account->python_ok = good;
		return;
	}
	s->account->matched += good;
	s->account->broken += !good;
	s->account->bytes_each_way += atomic_load(&peer->rcvd);
}

static bool ended(const struct teller *t)
{
	int peer = atomic_load(&t->flow->end[DEMO_PEER].state),
	    server = atomic_load(&t->flow->end[DEMO_SERVER].state);

	return peer == DEMO_END_BROKEN || server == DEMO_END_BROKEN ||
	       (peer == DEMO_END_CLOSED && server == DEMO_END_CLOSED);
}

/* One look at every connection; returns how many are still open, or -errno. */
static int look(struct story *s)
{
	uint64_t now = clock_monotonic_us();
	int open = 0;

	for (uint32_t i = 0; i < s->teller_count; i++) {
		struct teller *t = &s->tellers[i];
		int err = 0;

		if (t->over)
			continue;
		open++;
		if (ended(t))
			finish_teller(s, t);
		else if (!t->asked_tag && (unsigned int)t->phase < t->last_phase &&
			 now >= t->not_before_us && progress(s, t) >= mark(t, t->phase))
			err = ask_switch(s, t);
		if (err)
			return err;
	}
	return open;
}

static void say_stall(const struct story *s, char *why, size_t why_size)
{
	for (uint32_t i = 0; i < s->teller_count; i++) {
		const struct teller *t = &s->tellers[i];

		if (!t->over) {
			snprintf(why, why_size,
				 "connection %" PRIu32
				 " stands still in phase %d: peer sent %" PRIu64 " got %" PRIu64
				 ", server sent %" PRIu64 " got %" PRIu64,
				 i, (int)t->phase, atomic_load(&t->flow->end[0].sent),
				 atomic_load(&t->flow->end[0].rcvd),
				 atomic_load(&t->flow->end[1].sent),
				 atomic_load(&t->flow->end[1].rcvd));
			return;
		}
	}
}

static uint64_t all_bytes(const struct story *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->teller_count; i++)
		n += progress(s, &s->tellers[i]);
	return n;
}

static int tell(struct story *s, char *why, size_t why_size)
{
	uint64_t bytes = 0;
	int open = 1, err = 0;

	s->moved_us = clock_monotonic_us();
	while (!err && open > 0) {
		if (interrupted)
			return -EINTR;
		err = hear_answer(s, why, why_size);
		if (err)
			break;
		open = look(s);
		if (open < 0)
			return open;
		if (all_bytes(s) != bytes) {
			bytes = all_bytes(s);
			s->moved_us = clock_monotonic_us();
		}
		if (clock_monotonic_us() - s->moved_us > STALL_US) {
			say_stall(s, why, why_size);
			err = -ETIMEDOUT;
		}
	}
	return err;
}

static uint32_t count_time_wait(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[512];
	uint32_t n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned int port, state;

		if (sscanf(line, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &port, &state) == 2 &&
		    port == DEMO_PORT && state == 6)
			n++;
	}
	if (f)
		fclose(f);
	return n;
}

/* The namespace's socket table is read by a child that lives there. */
static void look_at_time_wait(struct story *s)
{
	uint32_t seen = 0;
	int pipefd[2];
	pid_t pid;

	if (pipe(pipefd) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		if (!netns_switch(&s->net.host))
			seen = count_time_wait("/proc/self/net/tcp") +
			       count_time_wait("/proc/self/net/tcp6");
		_exit(write(pipefd[1], &seen, sizeof(seen)) < 0);
	}
	close(pipefd[1]);
	if (pid > 0 && read(pipefd[0], &seen, sizeof(seen)) == (ssize_t)sizeof(seen))
		s->account->time_wait = seen;
	close(pipefd[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Quantiles of the values of several lists together. */
static struct demo_quantiles quantiles(const struct samples *const *lists, unsigned int count,
				       bool frozen)
{
	struct demo_quantiles q = { 0 };
	uint32_t total = 0, *all;

	for (unsigned int i = 0; i < count; i++)
		total += lists[i]->count;
	all = calloc(total + 1, sizeof(*all));
	if (!all || !total) {
		free(all);
		return q;
	}
	for (unsigned int i = 0; i < count; i++)
		for (uint32_t k = 0; k < lists[i]->count; k++)
			all[q.count++] = frozen ? lists[i]->frozen_us[k] : lists[i]->total_us[k];
	qsort(all, q.count, sizeof(*all), compare_u32);
	q.p50_us = all[(q.count - 1) / 2];
	q.p99_us = all[(uint64_t)(q.count - 1) * 99 / 100];
	free(all);
	return q;
}

static void account_switches(struct story *s)
{
	const struct samples *down[] = { &s->samples[DEMO_CHIMNEY_1], &s->samples[DEMO_CHIMNEY_2],
					 &s->samples[DEMO_CHIMNEY_3] };
	const struct samples *up[] = { &s->samples[DEMO_HOST_2], &s->samples[DEMO_HOST_3] };

	s->account->offload = quantiles(down, 3, false);
	s->account->upload = quantiles(up, 2, false);
	for (int p = 0; p < DEMO_PHASES; p++) {
		const struct samples *one = &s->samples[p];

		s->account->phase[p].enter = quantiles(&one, 1, false);
		s->account->phase[p].frozen = quantiles(&one, 1, true);
	}
}

/*
 * The daemon's counters, once the hand-over of the last closed connection is in them: its ends have
 * closed a moment before. What is missing after that time is missing.
 */
static json_t *settled_stats(struct story *s)
{
	uint64_t end_us = clock_monotonic_us() + SETTLE_WAIT_US;
	json_t *answer;

	while ((answer = demo_ctl_call(s->ctl_fd, "stats", NULL))) {
		uint32_t closed =
			(uint32_t)json_integer_value(json_object_get(answer, "closed_offloaded"));

		if (closed >= s->account->connections / 2 || clock_monotonic_us() >= end_us)
			break;
		json_decref(answer);
		usleep(1000);
	}
	return answer;
}

static int final_account(struct story *s)
{
	json_t *answer = settled_stats(s);

	account_switches(s);
	if (!answer)
		return -EIO;
	s->account->retransmits +=
		(uint64_t)json_integer_value(json_object_get(answer, "retransmits"));
	s->account->closed_offloaded =
		(uint32_t)json_integer_value(json_object_get(answer, "closed_offloaded"));
	json_decref(answer);
	look_at_time_wait(s);
	kill(s->capture_pid, SIGTERM);
	while (demo_net_child(&s->net, s->capture_pid)->status == -1) {
		demo_net_reap(&s->net);
		usleep(1000);
	}
	s->account->wire_resets = atomic_load(&s->capture->resets);
	return 0;
}

static int run(struct story *s, char *why, size_t why_size)
{
	uint64_t start;
	int err = init_tellers(s);

	if (!err)
		err = demo_net_open(&s->net, s->options->mtu_bytes, s->options->no_sack, why,
				    why_size);
	if (!err)
		err = start_all(s, why, why_size);
	if (!err)
		err = await_open(s, why, why_size);
	if (!err)
		err = attach(s, s->server_pid, why, why_size);
	if (!err && s->options->python)
		err = attach(s, s->python_pid, why, why_size);
	if (!err)
		err = learn_ids(s, why, why_size);
	if (err)
		return err;
	for (uint32_t i = 0; i < s->teller_count; i++)
		atomic_store(&s->tellers[i].flow->end[DEMO_PEER].gap_us, 0);
	start = clock_monotonic_us();
	err = tell(s, why, why_size);
	s->account->seconds = (double)(clock_monotonic_us() - start) / 1e6;
	return err ? err : final_account(s);
}

int demo_story_run(const struct demo_options *options, struct demo_account *account, char *why,
		   size_t why_size)
{
	struct sigaction sa = { .sa_handler = on_interrupt };
	struct story s = { .options = options, .account = account, .ctl_fd = -1 };
	int err;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	account->connections = options->connections;
	account->python_used = options->python;
	err = run(&s, why, why_size);
	if (interrupted)
		err = -EINTR;
	demo_net_close(&s.net);
	if (s.ctl_fd >= 0)
		close(s.ctl_fd);
	for (int p = 0; p < DEMO_PHASES; p++) {
		free(s.samples[p].total_us);
		free(s.samples[p].frozen_us);
	}
	free(s.tellers);
	return err;
}
