/* SPDX-License-Identifier: BSD-2-Clause */
#include <chimney/chimney.h>

#include <errno.h>
#include <fcntl.h>
#include <ndis/ndis.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "inproc/inproc.h"

#define REGION_MAX_BYTES (1u << 30)

void inproc_tell(struct chimney *chimney, struct inproc_event *event)
{
	if (event->queued)
		return;
	event->queued = true;
	event->next = NULL;
	*chimney->events_tail = event;
	chimney->events_tail = &event->next;
}

/* ---- regions ------------------------------------------------------------------------------ */

int chimney_region_add(struct chimney *chimney, void *base, size_t bytes,
		       struct chimney_region **out)
{
	struct chimney_region *region;

	if (bytes == 0 || bytes > REGION_MAX_BYTES)
		return -EINVAL;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->chimney = chimney;
	region->bytes = bytes;
	region->mdl = NdisAllocateMdl(NULL, base, (UINT)bytes);
	if (!region->mdl) {
		free(region);
		return -ENOMEM;
	}
	chimney->regions++;
	*out = region;
	return 0;
}

int chimney_region_remove(struct chimney_region *region)
{
	if (region->users)
		return -EBUSY;
	region->chimney->regions--;
	NdisFreeMdl(region->mdl);
	free(region);
	return 0;
}

/* ---- listener ----------------------------------------------------------------------------- */

static void accept_one(struct chimney *chimney, int fd)
{
	struct chimney_conn *conn;

	if (chimney_conn_add(chimney, fd, chimney->listen_user, &conn) < 0)
		return;
	inproc_tell(chimney, &conn->accepted);
	if (chimney->listen_offload)
		(void)chimney_conn_offload(conn);
}

static void acceptable(struct loop_watch *watch, uint32_t events)
{
	struct chimney *chimney =
		(struct chimney *)((char *)watch - offsetof(struct chimney, listen_watch));
	int fd;

	(void)events;
	while ((fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		accept_one(chimney, fd);
}

int chimney_listen(struct chimney *chimney, int fd, void *user, bool offload)
{
	if (chimney->listen_watch.active)
		return -EBUSY;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	chimney->listen_user = user;
	chimney->listen_offload = offload;
	chimney->listen_watch = (struct loop_watch){ .fn = acceptable, .fd = fd };
	return loop_watch_set(chimney->loop, &chimney->listen_watch, EPOLLIN);
}

/* ---- coming and going --------------------------------------------------------------------- */

int chimney_open(const struct chimney_config *config, struct chimney **out, char *why,
		 size_t why_size)
{
	struct chimney *chimney = calloc(1, sizeof(*chimney));
	struct stack_config stack = { .ifname = config->interface, .drivers = config->drivers };
	int err;

	if (why_size)
		why[0] = '\0';
	if (!chimney)
		return -ENOMEM;
	chimney->spin_us = config->spin_us;
	chimney->events_tail = &chimney->events;
	err = loop_create(&chimney->loop);
	stack.loop = chimney->loop;
	stack.host = (struct host_config){ .on_change = inproc_conn_changed, .ctx = chimney };
	if (!err)
		err = stack_open(&chimney->stack, &stack, why, why_size);
	if (err) {
		loop_destroy(chimney->loop);
		free(chimney);
		return err;
	}
	*out = chimney;
	return 0;
}

static void all_up(void *ctx, int err)
{
	(void)err;
	*(bool *)ctx = true;
}

static void bury(struct chimney *chimney)
{
	while (chimney->dead) {
		struct chimney_conn *conn = chimney->dead;

		chimney->dead = conn->next;
		inproc_conn_free(conn);
	}
}

/* An event has been told: a request ends with its own, a connection with its last. */
static void retire(struct chimney *chimney, struct inproc_event *event)
{
	if (event->told.kind == CHIMNEY_SENT || event->told.kind == CHIMNEY_RECEIVED)
		inproc_io_free(chimney, (struct inproc_io *)event);
	if (event->told.kind == CHIMNEY_CLOSED) {
		event->told.conn->next = chimney->dead;
		chimney->dead = event->told.conn;
	}
}

static void drop_events(struct chimney *chimney)
{
	while (chimney->events) {
		struct inproc_event *event = chimney->events;

		chimney->events = event->next;
		retire(chimney, event);
	}
	chimney->events_tail = &chimney->events;
}

void chimney_close(struct chimney *chimney)
{
	bool up = false;

	if (!chimney)
		return;
	if (chimney->listen_watch.active)
		loop_unwatch(chimney->loop, &chimney->listen_watch);
	host_set_offload(chimney->stack.host, false);
	host_upload_all(chimney->stack.host, UploadRequested, all_up, &up);
	while (!up && loop_round(chimney->loop, UINT64_MAX) == 0)
		;
	drop_events(chimney);
	bury(chimney);
	while (chimney->conns) {
		struct chimney_conn *conn = chimney->conns;

		chimney->conns = conn->next;
		if (conn->host)
			(void)host_conn_remove(conn->host);
		inproc_conn_free(conn);
	}
	stack_close(&chimney->stack);
	loop_destroy(chimney->loop);
	while (chimney->spare) {
		struct inproc_io *io = chimney->spare;

		chimney->spare = io->next;
		free(io);
	}
	free(chimney);
}

/* ---- poll --------------------------------------------------------------------------------- */

static void pump_dirty(struct chimney *chimney)
{
	struct chimney_conn *conn = chimney->dirty, *next;

	chimney->dirty = NULL;
	for (; conn; conn = next) {
		next = conn->next_dirty;
		conn->dirty = false;
		inproc_conn_pump(conn);
	}
}

static int hand_out(struct chimney *chimney, struct chimney_event *events, int max)
{
	int n = 0;

	while (n < max && chimney->events) {
		struct inproc_event *event = chimney->events;

		chimney->events = event->next;
		event->queued = false;
		events[n++] = event->told;
		retire(chimney, event);
	}
	if (!chimney->events)
		chimney->events_tail = &chimney->events;
	return n;
}

static uint64_t sleep_us(const struct chimney *chimney, uint64_t now_us, uint64_t spin_end_us,
			 uint64_t end_us)
{
	if (chimney->events || chimney->dirty || now_us < spin_end_us || now_us >= end_us)
		return 0;
	return end_us == UINT64_MAX ? UINT64_MAX : end_us - now_us;
}

int chimney_poll(struct chimney *chimney, struct chimney_event *events, int max, int64_t wait_us)
{
	uint64_t start_us = loop_tick(chimney->loop), now_us = start_us;
	uint64_t end_us = wait_us < 0 ? UINT64_MAX : start_us + (uint64_t)wait_us;
	uint64_t spin_end_us = start_us + chimney->spin_us;
	int err;

	bury(chimney);
	do {
		pump_dirty(chimney);
		err = loop_round(chimney->loop, sleep_us(chimney, now_us, spin_end_us, end_us));
		if (err)
			return err;
		now_us = loop_now_us(chimney->loop);
	} while (!chimney->events && (chimney->dirty || now_us < end_us));
	return hand_out(chimney, events, max);
}
