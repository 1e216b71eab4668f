/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - the host stack's side of the chimney: moves established TCP connections of the Linux
 * kernel into an offload target, carries their data, and takes them back.
 *
 *	host_create -> host_adapter_open (binds to the top of an NDIS stack)
 *	host_conn_add -> host_conn_offload <-> host_conn_upload ... -> on_change(HOST_CONN_GONE)
 *
 * A connection in the host belongs to its program alone: no descriptor of it is kept here, so a
 * close() there is a close. While it is offloaded the program holds one end of a UNIX stream
 * pair; the kernel's socket is parked here.
 *
 * Context:   every function, and every callback out of this room, on the one worker thread that
 *            runs the loop. A callback must not destroy the host or the adapter; it may start
 *            operations on any connection.
 *
 * Read host_offload.c for the order of events down, host_upload.c for up, host_repair.c for the
 * kernel's socket.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <ndis/ndischimney.h>

#include "base/loop.h"
#include "steer/steer.h"

struct host;
struct host_adapter;
struct host_conn;
struct nic;

#define HOST_WHY_BYTES 160 /* room for one line of reason */

/*
 * Where a connection is. HOST_CONN_GONE is reported once; the object is freed when on_change()
 * returns.
 */
enum host_conn_state {
	HOST_CONN_HOST, /* the kernel's own */
	HOST_CONN_OFFLOADING,
	HOST_CONN_OFFLOADED,
	HOST_CONN_UPLOADING,
	HOST_CONN_GONE,
	HOST_CONN_STATES
};

/* Descriptors whose loss would hurt: what a keeper should have a copy of. */
enum host_held {
	HOST_HELD_STREAM, /* our end of the stream pair */
	HOST_HELD_SOCKET, /* parked kernel socket */
};

struct host_config {
	struct loop *loop;
	/* Both may be NULL. */
	void (*on_change)(void *ctx, struct host_conn *conn, enum host_conn_state from,
			  enum host_conn_state to);
	/*
	 * Give the keeper a copy of fd (borrowed); -1 releases. Failure is the callee's business.
	 */
	int (*hold)(void *ctx, struct host_conn *conn, enum host_held kind, int fd);
	void *ctx;
};

/*
 * host_create() - register the protocol driver with both client characteristics.
 * Ownership: copies config; borrows the loop until host_destroy().
 * Returns:   0, -ENOMEM or the errno of the registration status. DDI: NdisRegisterProtocolDriver.
 */
int host_create(struct host **out, const struct host_config *config)
	__attribute__((warn_unused_result));

/*
 * host_destroy() - close adapters and deregister. Connections still offloaded must have been
 * uploaded (host_upload_all()); those that are left are closed as the kernel closes them at the
 * end of a process.
 */
void host_destroy(struct host *host);

/*
 * Linux side of a bound adapter. The name is that of the top of the NDIS stack (target or
 * intermediate driver).
 */
struct host_adapter_config {
	const char *adapter_name;
	unsigned int ifindex; /* interface of the flows */
	struct steer *steer;  /* borrowed until host_adapter_close() */
	struct nic
		*nic; /* borrowed; frames that are not for the target go to the kernel through it */
	/*
	 * The target's early catch: while on, frames of the flow wait in the target although it
	 * does not know the connection yet. off gives what still waits to the host. May be NULL
	 * (frames of the gap are then lost).
	 */
	void (*expect)(void *ctx, const struct steer_flow *flow, bool on);
	void *ctx;
};

/*
 * host_adapter_open() - bind the protocol driver to the stack and switch connection offload on.
 * Returns:   0; -ENOTSUP when the stack cannot offload TCP connections, with the reason in why;
 *            other -errno.
 * DDI:       ProtocolBindAdapterEx, NdisOpenAdapterEx, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS.
 */
int host_adapter_open(struct host *host, const struct host_adapter_config *config,
		      struct host_adapter **out, char *why, size_t why_size)
	__attribute__((warn_unused_result));
/* host_adapter_close() - -EBUSY while connections of it exist. */
int host_adapter_close(struct host_adapter *adapter);

/*
 * host_adapter_use() - switch connection offload of each IP version on or off. What is switched
 * off takes no new connections at once; those of it that are offloaded are uploaded, and only
 * then the target is told. done() is called once, possibly before the return: 0, -EBUSY when one
 * could not be uploaded (the target then stays as it was), or the target's refusal.
 * Returns:   0; -EBUSY the change before is still under way.
 * DDI:       OID_TCP_CONNECTION_OFFLOAD_PARAMETERS (INI-37).
 */
int host_adapter_use(struct host_adapter *adapter, bool ipv4, bool ipv6,
		     void (*done)(void *ctx, int err), void *ctx)
	__attribute__((warn_unused_result));

struct host_adapter_info {
	bool paused;        /* by NDIS_STATUS_OFFLOAD_PAUSE or UPLOAD_ALL, until OFFLOAD_RESUME */
	uint32_t capacity;  /* connections that the target can take */
	uint32_t offloaded; /* TCP, path and neighbor objects at the target */
	uint32_t paths, neighbors;
	uint64_t indicated; /* frames given to the kernel by the plain receive path */
	uint64_t forwarded; /* segments for the target that the kernel had to look at first */
	/* messages about offloaded connections: believed; not, or of no use */
	uint64_t icmp_taken, icmp_ignored;
	bool ipv4, ipv6; /* the target can, and it is switched on */
	bool sack;
};
void host_adapter_info(const struct host_adapter *adapter, struct host_adapter_info *out);

struct host_tcp_stats {
	uint64_t in_segs, out_segs, established, resets, retransmits, in_errors, out_resets;
};

struct host_ip_stats {
	uint64_t in_receives, in_octets, in_delivers, out_requests, out_octets, in_header_errors;
	uint64_t in_truncated, in_discards, out_discards, out_no_routes;
};

struct host_stats {
	struct host_tcp_stats tcp; /* both IP versions */
	struct host_ip_stats ip4, ip6;
};

/*
 * host_adapter_stats() - what the target counted, and the sum of that and of the kernel's own
 * counters in this network namespace: what an administrator expects to see (STT-07).
 * Returns:   0; -EINPROGRESS a driver below takes its time: ask again; other -errno.
 * DDI:       OID_TCP4_OFFLOAD_STATS, OID_TCP6_OFFLOAD_STATS, OID_IP4_OFFLOAD_STATS,
 *            OID_IP6_OFFLOAD_STATS.
 */
int host_adapter_stats(struct host_adapter *adapter, struct host_stats *target,
		       struct host_stats *sum) __attribute__((warn_unused_result));

/*
 * Whoever holds the descriptor: unmodified programs under exec, or this very process
 * (host_program_self.h). All calls are synchronous. 0 or -errno; why gets one line.
 */
struct host_program_ops {
	int (*prepare)(void *ctx, char *why,
		       size_t why_size); /* all that can be done before the stop */
	int (*stop)(void *ctx, char *why, size_t why_size); /* -EBADF: every holder has closed it */
	int (*exchange)(
		void *ctx,
		int new_fd); /* borrows new_fd; between stop and resume, any number of times */
	void (*resume)(void *ctx); /* harmless when nothing is stopped */
	void (*gone)(void *ctx);   /* last call: the connection object is finished */
	int (*fetch)(void *ctx,
		     int *fd); /* a copy of what the program holds now; the caller owns it */
};

/*
 * host_conn_add() - make a connection known.
 * Ownership: takes kernel_fd, also on error: its addresses are read, then it is closed. From
 *            success on the program context belongs to the connection; gone() is its end.
 * Returns:   0; -ENOTSUP not a TCP socket, -ENOTCONN, -ENOMEM.
 */
int host_conn_add(struct host_adapter *adapter, int kernel_fd, const struct host_program_ops *ops,
		  void *program, struct host_conn **out) __attribute__((warn_unused_result));

/*
 * A direct connection: its program is this very process, and gives and takes its bytes by the
 * calls below instead of a stream pair. Completions come in order, from inside the loop's round;
 * none of these functions may remove the connection.
 */
struct host_direct_ops {
	void (*exchange)(void *ctx, int kernel_fd); /* -1: it is offloaded; borrowed, else */
	int (*fetch)(void *ctx);                    /* the kernel's descriptor, -EBADF: closed */
	void (*ready)(void *ctx);                   /* requests may be made, now or again */
	/* The memory is the program's again: acknowledged by the peer, or with the kernel by now. */
	void (*sent)(void *ctx, void *cookie);
	/* bytes may be fewer than posted, 0 too: the connection is on its way up. */
	void (*received)(void *ctx, void *cookie, uint32_t bytes);
	void (*peer_closed)(void *ctx); /* behind its last byte */
};

/* host_conn_add_direct() - as host_conn_add(). */
int host_conn_add_direct(struct host_adapter *adapter, int kernel_fd,
			 const struct host_direct_ops *ops, void *ctx, struct host_conn **out)
	__attribute__((warn_unused_result));

/* A piece of the program's memory; all of it belongs to the request until its completion. */
struct host_direct_io {
	MDL *mdl;
	uint32_t offset, bytes; /* in the MDL; 1 to 2^31 - 1 bytes */
	void *cookie;           /* not NULL */
};

/*
 * host_direct_send(), host_direct_receive() - one request to the target.
 * Returns:   0: the completion follows; -EAGAIN: not offloaded, moving, or as much is outstanding
 *            as the kernel could take back: ready() tells when to try again; -EPIPE: after
 *            host_direct_shutdown(); -ENOMEM.
 * DDI:       NdisOffloadTcpSend, NdisOffloadTcpReceive; whole: TcpReceiveNoPush.
 */
int host_direct_send(struct host_conn *conn, const struct host_direct_io *io)
	__attribute__((warn_unused_result));
int host_direct_receive(struct host_conn *conn, const struct host_direct_io *io, bool whole)
	__attribute__((warn_unused_result));
/* host_direct_shutdown() - FIN behind all that was sent. 0 or -EAGAIN. DDI: NdisOffloadTcpDisconnect. */
int host_direct_shutdown(struct host_conn *conn) __attribute__((warn_unused_result));

/*
 * The end of an operation: err 0, or -errno with the reason in words. The connection works in
 * every case.
 */
typedef void host_done_fn(void *ctx, struct host_conn *conn, int err, const char *why);

/*
 * host_conn_offload() - kernel -> target. host_conn_upload() - target -> kernel.
 * done() is called exactly once when 0 was returned, possibly before it returns.
 * Returns:   0; -EBUSY an operation is under way; -EALREADY it is there already; -EAGAIN the
 *            target asked for a pause. Ineligible connections end in done() with -ENOTSUP and
 *            info()->reason.
 */
int host_conn_offload(struct host_conn *conn, host_done_fn *done, void *ctx)
	__attribute__((warn_unused_result));
int host_conn_upload(struct host_conn *conn, TCP_UPLOAD_REASON reason, host_done_fn *done,
		     void *ctx) __attribute__((warn_unused_result));

/* Delegated state of a running connection, in natural units. */
struct host_query_result {
	uint8_t tcp_state; /* TCP_OFFLOAD_CONNECTION_STATE */
	uint32_t rcv_nxt, snd_una, snd_nxt, snd_max;
	uint32_t rcv_wnd_bytes, snd_wnd_bytes, cwnd_bytes, ssthresh_bytes;
	uint64_t srtt_us, rttvar_us;
	uint32_t dup_acks, retransmit_count;
	uint32_t send_backlog_bytes, receive_backlog_bytes; /* UINT32_MAX: not supported */
};
/* host_conn_query() - result is borrowed until done(). -ENOTCONN when it is not offloaded. */
int host_conn_query(struct host_conn *conn, struct host_query_result *result, host_done_fn *done,
		    void *ctx) __attribute__((warn_unused_result));

/*
 * host_conn_set_option() - setsockopt() of a program that holds the stream end: applied to the
 * parked socket; where the target has a cached variable for it, an update follows. If the target
 * refuses that, the connection comes up.
 * Returns:   0; -ENOTCONN not offloaded: the program's own call reaches the kernel's socket;
 *            -EBUSY it moves: ask again when that is over; -ENOPROTOOPT an option that cannot be
 *            set while it is offloaded; -EPERM; the kernel's error for this value.
 * DDI:       NdisUpdateOffload (UPD-09, UPD-10, STA-04).
 *
 * host_conn_get_option() - getsockopt(); *len is room, then length. Errors as above. TCP_INFO is
 * host_conn_tcp_info().
 */
int host_conn_set_option(struct host_conn *conn, int level, int name, const void *value, size_t len)
	__attribute__((warn_unused_result));
int host_conn_get_option(struct host_conn *conn, int level, int name, void *value, size_t *len)
	__attribute__((warn_unused_result));

/*
 * host_conn_tcp_info() - TCP_INFO as <linux/tcp.h> has it: the parked socket's answer and, over
 * it, state, windows, estimates and retransmissions queried from the target. Bytes count from the
 * first offload. info is borrowed until done(). Returns as above, or -ENOMEM.
 */
struct tcp_info;
int host_conn_tcp_info(struct host_conn *conn, struct tcp_info *info, host_done_fn *done, void *ctx)
	__attribute__((warn_unused_result));

/*
 * host_conn_remove() - forget a connection that is in the host (-EBUSY otherwise). Calls gone(),
 * frees conn.
 */
int host_conn_remove(struct host_conn *conn);

#define HOST_HISTORY 4

struct host_history {
	bool upload;
	int reason; /* TCP_UPLOAD_REASON of an upload */
	int err;    /* 0 when it succeeded */
	uint64_t at_us;
};

struct host_conn_info {
	struct sockaddr_storage local, remote; /* as the program sees them */
	struct steer_flow flow;                /* on the wire: IPv4 also for a mapped address */
	enum host_conn_state state;
	uint64_t since_us;           /* of the present state */
	int reason_code;             /* enum host_ineligible of the last attempt that was refused */
	char reason[HOST_WHY_BYTES]; /* why it is in the host, or why the last operation failed */
	const char *failed_stage;    /* of the last operation that failed, NULL: none */
	uint64_t bytes_to_program, bytes_from_program; /* in chimney, all offloads together */
	uint32_t offloads, uploads, failures;
	/*
	 * last operation of each direction: whole, program stopped, connection frozen (in repair
	 * mode)
	 */
	uint64_t offload_us, offload_stopped_us, offload_frozen_us;
	uint64_t upload_us, upload_stopped_us, upload_frozen_us;
	bool closed_offloaded; /* it ended in the target; TIME_WAIT or nothing was left of it */
	bool time_wait;        /* the kernel was seen to keep TIME_WAIT */
	struct host_history history[HOST_HISTORY]; /* newest first */
	unsigned int history_count;
};
const struct host_conn_info *host_conn_info(const struct host_conn *conn);
/* host_conn_ifindex() - the interface that its packets leave by now; 0: no route. */
uint32_t host_conn_ifindex(const struct host_conn *conn);
void host_conn_set_user(struct host_conn *conn, void *user); /* the caller's own pointer */
void *host_conn_user(const struct host_conn *conn);

/* host_conn_print_tree() - the state tree as it went down last, for people. */
void host_conn_print_tree(const struct host_conn *conn, FILE *out);

const char *host_conn_state_name(enum host_conn_state state);

/*
 * host_upload_all() - upload every offloaded connection; done() once, when the last has ended,
 * with the number of those that failed in err (negative). Returns 0; done() may run before it
 * returns.
 */
int host_upload_all(struct host *host, TCP_UPLOAD_REASON reason, void (*done)(void *ctx, int err),
		    void *ctx);
/*
 * host_set_offload() - the switch for everybody: off refuses new offloads (nothing is uploaded by
 * it).
 */
void host_set_offload(struct host *host, bool on);

/*
 * host_inject_failure() - fault injection: the named stage ("offload.steer", "upload.restore")
 * fails once with -EIO the next time it is reached. Several names, separated by commas, fail one
 * after the other, each when its turn has come. NULL switches it off. Returns -ENOENT for an
 * unknown name.
 */
int host_inject_failure(const char *stages);
/* host_stage_name() - names for the above, in order; NULL behind the last. */
const char *host_stage_name(unsigned int index);

#endif
