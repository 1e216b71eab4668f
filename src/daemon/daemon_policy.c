/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves that nobody asked for: while the chimney is enabled or automatic, connections that the
 * policy wants down are offloaded.
 *
 * enabled offloads what a rule matches at once. automatic offloads what a rule matches and what is
 * heavy and near besides: 130 KB exchanged and a round trip below 20 ms, the published thresholds.
 * One that was refused, or that came up again, is left alone for a growing while, so that nothing
 * swings. What passes (urgent data, a pause, a full target) is no refusal: it is tried again soon.
 */
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_int.h"

#define PERIOD_US       100000u
#define HEAVY_BYTES     (130u * 1024)
#define NEAR_RTT_US     20000u
#define PATIENCE_US     200000u /* after a refusal, doubled by each up to */
#define PATIENCE_MAX_US 60000000u
#define PASSING_MAX_US  2000000u
#define STAY_FACTOR     10u /* at the target for so many times its patience: it is not swinging */
#define MOVES_A_ROUND   16u

/* Routes change: it is asked for each time, if any rule wants to know. */
static bool find_interface(const struct worker *w, struct daemon_conn *dc)
{
	uint32_t ifindex = host_select_asks_interface(w->policy) ? host_conn_ifindex(dc->conn) : 0;

	return ifindex && if_indextoname(ifindex, dc->interface);
}

void daemon_policy_judge(struct worker *w, struct daemon_conn *dc, uint64_t bytes, uint64_t rtt_us)
{
	const struct host_conn_info *info = host_conn_info(dc->conn);
	bool by_interface = find_interface(w, dc);
	struct host_select_facts facts = { .family = info->flow.family,
					   .local_port = ntohs(info->flow.local_port_be),
					   .remote_port = ntohs(info->flow.remote_port_be),
					   .age_ms = (loop_now_us(w->loop) - dc->seen_us) / 1000,
					   .bytes = bytes,
					   .rtt_us = rtt_us,
					   .program = dc->program[0] ? dc->program : NULL,
					   .uid = dc->uid,
					   .direction = dc->direction,
					   .interface = by_interface ? dc->interface : NULL };

	memcpy(facts.local, info->flow.local, sizeof(facts.local));
	memcpy(facts.remote, info->flow.remote, sizeof(facts.remote));
	host_select_judge(w->policy, &facts, &dc->verdict);
}

static void wait_longer(const struct worker *w, struct daemon_conn *dc, uint64_t *wait_us,
			uint64_t max_us)
{
	*wait_us = *wait_us ? *wait_us * 2 : PATIENCE_US;
	if (*wait_us > max_us)
		*wait_us = max_us;
	dc->next_try_us = loop_now_us(w->loop) + *wait_us;
}

static void be_patient(const struct worker *w, struct daemon_conn *dc)
{
	wait_longer(w, dc, &dc->patience_us, PATIENCE_MAX_US);
}

static void refused(const struct worker *w, struct daemon_conn *dc, int err)
{
	if (daemon_passes(err))
		wait_longer(w, dc, &dc->passing_us, PASSING_MAX_US);
	else
		be_patient(w, dc);
}

void daemon_policy_moved(struct worker *w, struct daemon_conn *dc, enum host_conn_state to)
{
	uint64_t stayed_us = loop_now_us(w->loop) - dc->down_us;

	if (to == HOST_CONN_OFFLOADED) {
		dc->down_us = loop_now_us(w->loop);
		dc->passing_us = 0;
		return;
	}
	if (stayed_us > dc->patience_us * STAY_FACTOR)
		dc->patience_us = 0;
	be_patient(w, dc);
}

static void moved(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct daemon_conn *dc = host_conn_user(conn);

	dc->switching = false;
	if (err) {
		log_debug("connection %u stays in the host: %s", dc->id, why);
		refused(ctx, dc, err);
	}
	if (dc->leaving)
		daemon_sweep_soon(ctx);
}

/* What the program's socket says of itself; false when nobody whom we know has it any more. */
static bool read_info(struct worker *w, struct daemon_conn *dc, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);
	int fd, err;

	memset(info, 0, sizeof(*info));
	err = exec_fetch(dc->holders, &fd);
	if (err) {
		daemon_conn_unheld(w, dc, err);
		return false;
	}
	err = getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len);
	close(fd);
	return err == 0;
}

void daemon_policy_refresh(struct worker *w, struct daemon_conn *dc)
{
	struct tcp_info info;

	/* What is offloaded has no kernel socket to ask, and is heavy by its being there. */
	if (!read_info(w, dc, &info))
		return;
	daemon_policy_judge(w, dc, info.tcpi_bytes_acked + info.tcpi_bytes_received, info.tcpi_rtt);
	dc->next_try_us = 0;
}

static bool wanted_down(struct worker *w, struct daemon_conn *dc)
{
	struct tcp_info info;
	uint64_t bytes;

	if (!read_info(w, dc, &info))
		return false;
	bytes = info.tcpi_bytes_acked + info.tcpi_bytes_received;
	daemon_policy_judge(w, dc, bytes, info.tcpi_rtt);
	if (!dc->verdict.offload)
		return false;
	return w->mode == DAEMON_ENABLED || (bytes >= HEAVY_BYTES && info.tcpi_rtt < NEAR_RTT_US);
}

static bool consider(struct worker *w, struct daemon_conn *dc)
{
	int err;

	if (dc->switching || dc->leaving || loop_now_us(w->loop) < dc->next_try_us ||
	    host_conn_info(dc->conn)->state != HOST_CONN_HOST || !wanted_down(w, dc))
		return false;
	dc->switching = true;
	err = host_conn_offload(dc->conn, moved, w);
	if (err) {
		dc->switching = false;
		refused(w, dc, err);
	}
	return true;
}

static void tick(struct loop_timer *timer)
{
	struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, policy_timer));
	unsigned int moves = 0;
	struct daemon_conn *next;

	if (w->stopping || w->paused || (w->mode != DAEMON_ENABLED && w->mode != DAEMON_AUTOMATIC))
		return;
	for (struct daemon_conn *dc = w->conns; dc && moves < MOVES_A_ROUND; dc = next) {
		next = dc->next;
		moves += consider(w, dc);
	}
	if (w->conns)
		loop_timer_set(w->loop, timer, loop_now_us(w->loop) + PERIOD_US);
}

void daemon_policy_soon(struct worker *w)
{
	w->policy_timer.fn = tick;
	loop_timer_set(w->loop, &w->policy_timer, loop_now_us(w->loop));
}

/* Somebody asked for this upload: leave it up for a while. */
void daemon_policy_rest(struct worker *w, struct daemon_conn *dc)
{
	dc->patience_us = PATIENCE_MAX_US / 2;
	be_patient(w, dc);
}
