/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_socket.h - what the files that answer for switched descriptors share.
 *
 * Read daemon_socket.c for what is done with a call.
 */
#ifndef DAEMON_DAEMON_SOCKET_H
#define DAEMON_DAEMON_SOCKET_H

#include <linux/tcp.h>
#include <stdint.h>
#include <sys/socket.h>

#include "daemon/daemon_int.h"

#define SOCKET_VALUE_BYTES 512u

enum socket_call_kind {
	SOCKET_GETSOCKNAME,
	SOCKET_GETPEERNAME,
	SOCKET_GETSOCKOPT,
	SOCKET_SETSOCKOPT,
	SOCKET_IOCTL,    /* name: the request */
	SOCKET_SHUTDOWN, /* how */
	SOCKET_CONNECT,  /* family of the address */
	SOCKET_SEND,     /* flags, those of interest */
	SOCKET_RECV,
	SOCKET_CALL_KINDS
};

struct socket_call {
	enum socket_call_kind kind;
	uint64_t inode;
	int level, name;
	socklen_t length; /* room for a value asked for, or bytes of one to be set */
	uint8_t data[SOCKET_VALUE_BYTES];
};

/* A call that is answered later: an upload or a question to the target goes first. */
struct daemon_wait {
	struct worker *worker;
	struct daemon_client *client; /* may be gone by then */
	json_int_t tag;
	struct socket_call call;
	struct tcp_info live;     /* of daemon_info_ask() */
	unsigned int tries;       /* uploads that failed */
	struct daemon_wait *next; /* of those that wait for the end of a move */
};

/* daemon_socket.c */
json_t *daemon_socket_native(void);
json_t *daemon_socket_value(int err, const void *data, socklen_t length);

/*
 * daemon_socket_info.c: TCP_INFO of a connection that is offloaded. daemon_info_ask() starts the
 * question, done() gets wait; then daemon_info_answer() has the value.
 * Returns: 0, or the -errno of host_conn_tcp_info().
 */
int daemon_info_ask(struct daemon_conn *dc, struct daemon_wait *wait, host_done_fn *done);
json_t *daemon_info_answer(struct daemon_conn *dc, const struct daemon_wait *wait);
/* SIOCOUTQ and SIOCOUTQNSD, by the same question. */
json_t *daemon_outq_answer(struct daemon_conn *dc, const struct daemon_wait *wait);
/* An option of TCP's whose value a parked socket has forgotten. */
bool daemon_info_agreed(const struct daemon_conn *dc, int name, int *value);

/* daemon_socket_gone.c: true when the stream was a connection's that is over. */
bool daemon_socket_over(const struct worker *w, const struct socket_call *call, json_t **reply);

#endif
