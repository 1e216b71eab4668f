/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chimney.h - TCP connections through the chimney inside your own process, without a copy between
 * you and the offload target, and without a system call for a message.
 *
 *	chimney_open -> chimney_region_add -> chimney_listen or chimney_conn_add
 *	chimney_conn_offload;  chimney_send, chimney_receive;  chimney_poll gives their ends
 *
 * A connection begins as an ordinary socket of the kernel's. You hand it over, then post memory to
 * receive into and memory to send; it may be offloaded and uploaded at any time, and the same calls
 * work on both sides: whoever has the connection serves your requests, in order, and nothing is
 * lost or doubled when it moves. A connection that cannot be offloaded stays in the kernel and
 * works; chimney_conn_info() tells why.
 *
 * Context:   one thread for everything that belongs to one struct chimney. Nothing is called back:
 *            what has happened comes out of chimney_poll(). Needs CAP_NET_ADMIN in the network
 *            namespace (that of a user namespace of your own is enough).
 */
#ifndef CHIMNEY_CHIMNEY_H
#define CHIMNEY_CHIMNEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct chimney;
struct chimney_region;
struct chimney_conn;

struct chimney_config {
	const char *interface; /* "eth0": that of the connections */
	const char *drivers;   /* intermediate drivers, "passthru,vlan:5"; NULL: none */
	uint32_t spin_us;      /* chimney_poll() looks so long before it sleeps */
};

/*
 * chimney_open() - the offload target, its adapter on the interface, and the stack above it.
 * Returns:   0; -EBUSY: the process has one already; other -errno, with one line of why.
 */
int chimney_open(const struct chimney_config *config, struct chimney **out, char *why,
		 size_t why_size);
/*
 * chimney_close() - give every connection back to the kernel, close it there as close() would, and
 * take the stack away. Memory of requests is yours again when it returns. NULL is allowed.
 */
void chimney_close(struct chimney *chimney);

/*
 * chimney_region_add() - memory for requests: described once, used any number of times.
 * Ownership: stays yours; must not move or go away before chimney_region_remove().
 * Returns:   0; -EINVAL: empty, or larger than 1 GiB; -ENOMEM.
 * chimney_region_remove() - -EBUSY while a request uses it.
 */
int chimney_region_add(struct chimney *chimney, void *base, size_t bytes,
		       struct chimney_region **out);
int chimney_region_remove(struct chimney_region *region);

/*
 * chimney_conn_add() - take on an established connection.
 * Ownership: takes the descriptor, also on error; afterwards it must not be used in any other way.
 * Returns:   0; -ENOTSUP no TCP socket; -ENOTCONN; -ENOMEM.
 */
int chimney_conn_add(struct chimney *chimney, int fd, void *user, struct chimney_conn **out);
/*
 * chimney_listen() - accept from this listener: each connection comes as CHIMNEY_ACCEPTED, with
 * what was given here as its user pointer, and is on its way into the target already when offload
 * is set. The descriptor stays yours and becomes non-blocking. 0, -EBUSY: it listens to another
 * one already; -errno.
 */
int chimney_listen(struct chimney *chimney, int fd, void *user, bool offload);

/* chimney_conn_offload(), chimney_conn_upload() - begin to move it; CHIMNEY_MOVED is the end.
 * Returns:   0; -EALREADY it is there; -EBUSY it moves or is being closed; -EAGAIN not now. */
int chimney_conn_offload(struct chimney_conn *conn);
int chimney_conn_upload(struct chimney_conn *conn);

/*
 * chimney_send() - bytes of a region, behind all that was given before.
 * Ownership: the memory belongs to the request until CHIMNEY_SENT names its cookie: the peer has
 *            acknowledged every byte, or the kernel has a copy.
 * Returns:   0; -EINVAL: not inside the region, or 0 bytes; -EPIPE after chimney_shutdown() or the
 *            end of the connection; -ENOMEM.
 *
 * chimney_receive() - memory to receive into, filled in the order of the calls. CHIMNEY_RECEIVED
 * comes when bytes are there and nothing more follows at once, or, with whole, only when it is
 * full. bytes 0: the stream or the connection has ended. Returns as above.
 *
 * chimney_shutdown() - FIN behind all that was given.
 */
int chimney_send(struct chimney_conn *conn, struct chimney_region *region, size_t offset,
		 size_t bytes, void *cookie);
int chimney_receive(struct chimney_conn *conn, struct chimney_region *region, size_t offset,
		    size_t bytes, bool whole, void *cookie);
int chimney_shutdown(struct chimney_conn *conn);

/*
 * chimney_conn_close() - as close(): what was given is still sent, nothing is received any more.
 * Requests to receive end at once, in their order; CHIMNEY_CLOSED is the last event, and conn is
 * valid until the poll after it.
 */
void chimney_conn_close(struct chimney_conn *conn);

enum chimney_event_kind {
	CHIMNEY_ACCEPTED, /* a new connection */
	CHIMNEY_RECEIVED, /* cookie, bytes */
	CHIMNEY_SENT,     /* cookie, bytes */
	CHIMNEY_ENDED,    /* err 0: the peer's FIN, behind its last byte; else it is broken: -errno */
	CHIMNEY_MOVED,    /* err 0: it is now where you wanted it; else it stayed: why */
	CHIMNEY_CLOSED,
};

struct chimney_event {
	enum chimney_event_kind kind;
	struct chimney_conn *conn;
	void *cookie;
	size_t bytes;
	int err;
};

/*
 * chimney_poll() - run the target and everything else, and tell what has happened.
 * wait_us:   sleep at most so long while there is nothing to tell; 0: look once; negative: any
 *            time. A signal does not end it.
 * Returns:   the number of events, at most max; or -errno.
 */
int chimney_poll(struct chimney *chimney, struct chimney_event *events, int max, int64_t wait_us);

struct chimney_conn_info {
	bool offloaded, moving;
	const char *why;    /* of the last move that failed; "" */
	uint64_t frozen_us; /* how long the last move kept it from sending and receiving */
	uint32_t offloads, uploads;
};
void chimney_conn_info(const struct chimney_conn *conn, struct chimney_conn_info *out);
/* Your own pointer, as given with the connection or set since. */
void chimney_conn_set_user(struct chimney_conn *conn, void *user);
void *chimney_conn_user(const struct chimney_conn *conn);

#ifdef __cplusplus
}
#endif

#endif
