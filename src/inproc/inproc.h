/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inproc.h - what the files behind include/chimney/chimney.h share.
 *
 *	chimney --< conn --< io (queue to send, queue to receive)
 *
 * A request waits in its connection's queue, is given to whoever has the connection (the target, or
 * the kernel piece by piece), and becomes an event. Requests given to the target are always the
 * first of their queue; what comes back unfinished when the connection moves is where it was.
 * Events are members of what they tell about, so telling never needs memory.
 */
#ifndef INPROC_INPROC_H
#define INPROC_INPROC_H

#include <chimney/chimney.h>

#include "base/loop.h"
#include "host/host.h"
#include "stack/stack.h"

struct inproc_event {
	struct inproc_event *next;
	struct chimney_event told;
	bool queued;
};

struct chimney_region {
	struct chimney *chimney;
	void *mdl;
	size_t bytes;
	unsigned int users; /* requests */
};

struct inproc_io {
	struct inproc_event event; /* first: its end */
	struct inproc_io *next;
	struct chimney_region *region;
	size_t offset, bytes, done;
	bool whole, given;
};

struct inproc_queue {
	struct inproc_io *first, **tail;
};

struct chimney_conn {
	struct chimney *chimney;
	struct chimney_conn *next, *next_dirty;
	struct host_conn *host; /* NULL: it has ended there */
	int fd;                 /* the kernel's; -1 while it is offloaded, or closed */
	struct loop_watch watch;
	void *user;
	struct inproc_queue tx, rx;
	bool dirty;
	bool fin_wanted, fin_given;
	bool ended; /* by the peer's FIN or an error: nothing more is received */
	bool broken;
	bool closing, finished;
	unsigned int tries; /* of an offload that met a segment under way */
	char why[HOST_WHY_BYTES];
	struct inproc_event accepted, end, moved, closed;
};

struct chimney {
	struct loop *loop;
	struct stack stack;
	uint32_t spin_us;
	struct chimney_conn *conns, *dirty;
	struct inproc_event *events, **events_tail;
	struct inproc_io *spare;
	struct chimney_conn *dead; /* told to be closed; freed by the next poll */
	struct loop_watch listen_watch;
	void *listen_user;
	bool listen_offload;
	unsigned int regions;
};

/* inproc_tell() - an event, once; one that waits already is overwritten. */
void inproc_tell(struct chimney *chimney, struct inproc_event *event);

/* ---- inproc_conn.c ---- */

void inproc_conn_dirty(struct chimney_conn *conn); /* it is looked at before the next sleep */
void inproc_conn_pump(struct chimney_conn *conn);
void inproc_conn_changed(void *ctx, struct host_conn *host, enum host_conn_state from,
			 enum host_conn_state to);
void inproc_conn_free(struct chimney_conn *conn); /* without a word; its requests, too */

/* ---- inproc_io.c ---- */

void inproc_queue_init(struct inproc_queue *queue);
int inproc_queue_add(struct inproc_queue *queue, struct chimney_conn *conn,
		     struct chimney_region *region, const struct inproc_io *io);
/* The first request is over; its event is told. */
void inproc_queue_finish(struct inproc_queue *queue, struct chimney *chimney, int err);
/* All that nobody else holds. */
void inproc_queue_cancel(struct inproc_queue *queue, struct chimney *chimney, int err);
void inproc_queue_drop(struct inproc_queue *queue, struct chimney *chimney);
void inproc_io_free(struct chimney *chimney, struct inproc_io *io);
/* What the kernel's socket takes or has now. 0, or -errno of a broken connection. */
int inproc_native_send(struct chimney_conn *conn);
int inproc_native_receive(struct chimney_conn *conn, bool *fin);

#endif
