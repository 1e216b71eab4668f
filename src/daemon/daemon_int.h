/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_int.h - what the files of this room share: the worker and its table of connections.
 */
#ifndef DAEMON_DAEMON_INT_H
#define DAEMON_DAEMON_INT_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "daemon/daemon.h"
#include "exec/exec.h"
#include "host/host.h"
#include "host/host_image.h"
#include "host/host_select.h"
#include "im/im_stack.h"
#include "keeper/keeper.h"
#include "stack/stack_port.h"

#define DAEMON_RULES_BYTES 8192

struct arena;
struct daemon_ghost;
struct daemon_detach;
struct daemon_snapshot;
struct daemon_wait;
struct nic;
struct nrt_adapter;
struct steer;
struct nrt_module;
struct nic_edge;
struct steer_flow;
struct tgt_adapter;
struct worker;

/* A connection that the daemon knows: it belongs to an attached process. */
struct daemon_conn {
	uint32_t id;
	struct worker *worker;
	struct host_conn *conn;
	struct exec_holders *holders;
	pid_t pid;
	char program[64]; /* name of its executable, empty when it cannot be read */
	uid_t uid;
	int fd_in_pid;
	enum host_select_direction direction;
	char interface[IF_NAMESIZE];
	uint64_t inode;        /* of the kernel socket */
	uint64_t stream_inode; /* of what the program holds while it is offloaded, else 0 */
	struct daemon_snapshot *snapshot; /* of the kernel's socket before the offload */
	int parked_fd;                    /* the host driver's parked kernel socket, or -1 */
	int stream_fd;                    /* its end of the stream pair, or -1 */
	uint64_t cookie;                  /* the same, as its end is reported */
	uint64_t seen_us;                 /* when we learned of it */
	struct host_select_verdict verdict;
	/* Of the policy: after a refusal for good; for the moment; not before; at the target since */
	uint64_t patience_us, passing_us, next_try_us, down_us;
	bool switching;
	bool leaving; /* forgotten as soon as it is in the host */
	struct daemon_conn *next;
};

/* A client of the control socket. */
struct daemon_client {
	struct loop_watch watch;
	struct worker *worker;
	struct daemon_client *next;
};

struct worker {
	const struct daemon_config *config;
	struct keeper *keeper;
	struct loop *loop;
	struct loop_hook hook, exec_hook;
	struct loop_watch diag_watch;
	struct loop_timer sweep_timer, policy_timer;
	char rules[DAEMON_RULES_BYTES]; /* added while we run; they stand before the file's */
	struct daemon_detach *detaches;
	struct daemon_wait *socket_waits; /* calls put off until a move is over */
	struct loop_timer socket_timer;
	struct daemon_ghost *ghosts; /* ring of ended connections */
	unsigned int ghost_next;
	enum daemon_mode mode;
	bool paused;
	uint64_t exec_due_us; /* next look at threads that are late to stop */
	struct loop_watch signal_watch, listen_watch, link_watch;
	struct stack_port ports[DAEMON_INTERFACES_MAX];
	unsigned int port_count;
	struct host_nl *links; /* link state of the members of a team; NULL: no team */
	char ifname[16];       /* of the connections: the interface, or the bond of the members */
	struct im_plan plan;
	struct steer *steer;
	void *target_driver; /* NDIS handle; NULL: a loaded one */
	struct nrt_module *module;
	struct im_stack ims;
	struct host *host;
	struct host_adapter *adapter;
	struct host_select *policy;
	struct daemon_client *clients;
	struct daemon_conn *conns;
	uint32_t last_id;
	uint32_t closed_offloaded; /* connections that ended in the chimney */
	bool stopping;
	bool listens_for_service; /* on a socket that a service manager keeps */
};

/* daemon_worker.c */
int daemon_worker_run(void *config, struct keeper *keeper);
void worker_stop(struct worker *w);

/*
 * daemon_attach.c: take on the TCP connections of a process. Returns how many are new, or -errno
 * with why.
 */
int daemon_attach(struct worker *w, pid_t pid, unsigned int filters, char *why, size_t why_size);
struct daemon_conn *daemon_conn_find(struct worker *w, uint32_t id);
void daemon_conn_gone(struct daemon_conn *dc); /* its end: leaves the table, freed */
void daemon_conns_free(struct worker *w);
void daemon_conn_changed(void *worker, struct host_conn *conn, enum host_conn_state from,
			 enum host_conn_state to);

/*
 * daemon_program.c: how the host driver reaches the program that holds a connection's descriptor.
 */
extern const struct host_program_ops daemon_program_ops;

/*
 * daemon_confine.c: everything is open: give up the privileges that running does not need. Cannot
 * be undone. 0 or -errno.
 */
int daemon_confine(void);

/* daemon_ctl.c */
int daemon_ctl_open(struct worker *w);
void daemon_ctl_close(struct worker *w);
json_t *daemon_ctl_good(void);
json_t *daemon_ctl_bad(const char *why, bool retry);
bool daemon_passes(int err); /* an error of the moment: the same may succeed a little later */
/* daemon_ctl_reply() - the late answer to a request; takes msg. The client may have gone. */
void daemon_ctl_reply(struct worker *w, struct daemon_client *client, json_int_t tag, json_t *msg);

/* daemon_service.c: "READY=1" and the like; the listening socket that was handed over, or -1. */
void daemon_service_tell(const char *state);
int daemon_service_listener(void);

/* daemon_admin.c: true when op is one of its operations; *reply NULL: the answer comes later. */
bool daemon_admin(struct worker *w, struct daemon_client *client, json_int_t tag, const char *op,
		  const json_t *request, json_t **reply);

/* daemon_watch.c: the end of connections. daemon_sweep_soon() after a change to leaving. */
int daemon_watch_open(struct worker *w);
void daemon_watch_close(struct worker *w);
void daemon_sweep_soon(struct worker *w);
/*
 * daemon_conn_unheld() - its descriptor could not be fetched: err. When nobody whom we know has it,
 * it is forgotten, and found again by whoever does: the child of a server that forks, for instance.
 */
void daemon_conn_unheld(struct worker *w, struct daemon_conn *dc, int err);

/* daemon_detach.c: NULL, the answer comes later; else the answer. */
json_t *daemon_detach(struct worker *w, struct daemon_client *client, json_int_t tag, pid_t pid);
void daemon_detach_check(struct worker *w); /* answers those that are complete */
void daemon_detach_free(struct worker *w);

/* daemon_socket.c: names and options of switched descriptors; the answer may come later. */
void daemon_socket(struct worker *w, struct daemon_client *client, json_int_t tag,
		   const json_t *request);
void daemon_socket_exchanged(struct daemon_conn *dc, int new_fd);
void daemon_socket_changed(struct worker *w); /* a move is over: calls were put off for it */
void daemon_socket_free(struct worker *w);

/* daemon_socket_info.c, with the program stopped: what a parked socket forgets. For free(). */
void daemon_socket_snapshot(struct daemon_conn *dc);

/* daemon_socket_gone.c: the connection has ended while the program may still hold the stream. */
void daemon_socket_gone(struct daemon_conn *dc);

/* daemon_rules.c: w->policy from the added rules and the configured ones; -errno with why. */
int daemon_rules_load(struct worker *w, char *why, size_t why_size);
/* true when op was one of its operations. */
bool daemon_rules(struct worker *w, const char *op, const json_t *request, json_t **reply);

/* daemon_policy.c: offloads without request. daemon_policy_soon() when something has changed. */
void daemon_policy_judge(struct worker *w, struct daemon_conn *dc, uint64_t bytes, uint64_t rtt_us);
/* The rules have changed: judge again, by what the socket says now. */
void daemon_policy_refresh(struct worker *w, struct daemon_conn *dc);
void daemon_policy_soon(struct worker *w);
void daemon_policy_rest(struct worker *w, struct daemon_conn *dc);
/* It is at the target, or has come from there. */
void daemon_policy_moved(struct worker *w, struct daemon_conn *dc, enum host_conn_state to);

/*
 * daemon_port.c: interfaces, steering and targets. daemon_ports_close() takes away what there is;
 * a target that does not stop is left behind.
 */
int daemon_ports_open(struct worker *w);
void daemon_ports_run(struct worker *w, uint64_t now_us);
uint64_t daemon_ports_deadline_us(const struct worker *w);
/* daemon_ports_expect() - keep, or let go, what comes of a flow that is about to move. */
void daemon_ports_expect(struct worker *w, const struct steer_flow *flow, bool on);
int daemon_ports_watch(struct worker *w);
void daemon_targets_close(struct worker *w);
void daemon_wires_close(struct worker *w);

#endif
