/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_int.h - what the files of this room share. Outside of it use host.h.
 *
 *	host --< adapter --< neighbor --< path --< conn
 *
 * Everything belongs to the one worker thread. Neighbors and paths live while a connection needs
 * them.
 */
#ifndef HOST_HOST_INT_H
#define HOST_HOST_INT_H

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"
#include "host/host_block.h"
#include "host/host_conntrack.h"
#include "host/host_image.h"
#include "host/host_netlink.h"
#include "host/host_recall.h"
#include "host/host_repair.h"
#include "host/host_segment.h"

#define HOST_TICKS_PER_S      1000u
#define HOST_NCE_STALE_TICKS  30000u
#define HOST_ADAPTER_NAME_MAX 32u
#define HOST_SEND_BYTES       (64u << 10)  /* most bytes of one send or receive request */
#define HOST_STREAM_BYTES     (192u << 10) /* wanted size of each direction of the stream pair */
#define HOST_BACKLOG_MIN_BYTES                                                                     \
	(128u << 10)         /* sent and not yet completed, whatever the target says */
#define HOST_CAUGHT_MAX 512u /* frames kept for one connection during a move */

/* ---- state operations --------------------------------------------------------------------- */

enum host_op_kind {
	HOST_OP_INITIATE,
	HOST_OP_TERMINATE,
	HOST_OP_QUERY,
	HOST_OP_UPDATE,
	HOST_OP_INVALIDATE
};

/* One block of each layer with room for all three classes of state. */
struct host_neighbor_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	_Alignas(8) uint8_t state[0x70];
};

struct host_path_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	_Alignas(8) uint8_t state[0x30];
};

struct host_tcp_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	_Alignas(8) uint8_t state[0xC8];
};

struct host_op {
	enum host_op_kind kind;
	struct host_conn *conn; /* NULL: a neighbor or path alone */
	struct host_neighbor *neighbor_object;
	struct host_path *path_object;
	void (*done)(struct host_op *op); /* the op is freed when it returns */
	void *ctx;
	struct host_op *next;
	struct host_adapter *adapter;
	bool started, completed, finished;
	bool restart; /* an update of keepalive variables */
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root;
	struct host_neighbor_block neighbor;
	struct host_path_block path;
	struct host_tcp_block tcp;
};

struct host_neighbor {
	NDIS_OFFLOAD_HANDLE handle; /* first: events name it */
	struct host_adapter *adapter;
	struct host_neighbor *next;
	struct host_nl_addr addr;
	uint8_t mac[6];
	bool invalid;          /* told so to the target: terminated soon, never updated */
	uint32_t refs;         /* paths, operations */
	uint64_t confirmed_us; /* last progress that the target told of, 0: none */
	uint64_t reach_due_us; /* when the target is asked for its NRD, 0: not */
	uint32_t asked_nrd_ticks;
};

struct host_path {
	NDIS_OFFLOAD_HANDLE handle;
	struct host_adapter *adapter;
	struct host_path *next;
	struct host_neighbor *neighbor;
	struct host_neighbor *moves_to; /* a relinking is on its way; not a reference */
	bool rerouted;                  /* its new next hop is being resolved */
	uint8_t family;
	uint8_t local[16], remote[16];
	uint32_t mtu_bytes;
	uint32_t learned_mtu_bytes; /* from ICMP, 0: none */
	uint64_t learned_until_us;
	uint32_t refs; /* connections offloaded or about to be */
};

struct host {
	struct host_config config;
	NDIS_HANDLE protocol;
	struct host_adapter *adapters;
	struct host_conn *conns;
	struct host_block_pool blocks;
	struct host_nl *nl;
	struct host_ct *ct;
	bool off;
	struct host_all *all;    /* host_upload_all() under way */
	struct host_conn *mover; /* whose move has its turn */
	struct host_conn *waiting, **waiting_tail;
	struct loop_timer turn_timer;
};

struct host_adapter {
	struct host *host;
	struct host_adapter *next;
	struct host_adapter_config config;
	char name[HOST_ADAPTER_NAME_MAX];
	NDIS_HANDLE binding;
	NDIS_HANDLE pool; /* NET_BUFFER_LISTs with one NET_BUFFER */
	bool bound, paused;
	bool asleep; /* its power state is, or is about to be, another one than D0 */
	NET_PNP_EVENT_NOTIFICATION *power_event; /* waits until its connections are in the host */
	bool ipv4, ipv6, sack;                   /* what the target can do */
	bool ecn, cork;                          /* extensions, see <ndis/chimneyext.h> */
	bool use4, use6;                         /* of that: what we want to use */
	bool on4, on6;                           /* what it was told */
	bool use_pending; /* connections are on their way up before it is told */
	void (*use_done)(void *ctx, int err);
	void *use_ctx;
	uint32_t capacity;
	uint32_t conn_count; /* connections that exist, in any state */
	uint32_t offloaded;
	uint64_t indicated;
	struct host_neighbor *neighbors;
	struct host_path *paths;
	struct host_op *ops, **ops_tail;
	bool ops_running;
	struct host_request *requests_free;
	NET_BUFFER_LIST *returns, **returns_tail; /* indicated lists to give back */
	struct loop_timer returns_timer, reach_timer;
	struct host_icmp *icmp;
	uint64_t icmp_taken, icmp_ignored;
	struct host_parked *parked;
	uint64_t forwarded; /* segments that came to the kernel */
	struct host_nl *nl; /* for events */
	struct loop_watch nl_watch;
};

/* ---- a connection ------------------------------------------------------------------------- */

struct host_caught {
	struct host_caught *next;
	struct nic_rx_frame frame; /* its data is below */
	uint8_t data[];
};

/* The stream between program and target (host_xfer.c). */
struct host_xfer {
	struct loop_watch watch;  /* our end; fd -1: none */
	int program_end;          /* the other end while it is in our hands, else -1 */
	bool running;             /* bytes are moved */
	bool sending;             /* inside a send call, which must not overlap another (SND-08) */
	bool eof;                 /* the program wrote its last byte */
	bool reset;               /* it closed with data unread */
	bool fin_asked, fin_done; /* graceful disconnect requested; acknowledged by the peer */
	bool abort_asked;
	bool peer_fin;              /* TcpIndicateDisconnect */
	bool peer_fin_told;         /* and our end was shut down for it */
	bool posted;                /* a receive request is out */
	bool asking;                /* how much the target has buffered */
	bool held_is_all;           /* of what it has buffered, held is all */
	uint32_t outstanding;       /* bytes with the target, not completed */
	uint32_t requests;          /* requests with the target */
	uint32_t limit;             /* of outstanding */
	uint32_t receive_limit;     /* of one receive request */
	uint32_t held;              /* received bytes that the target keeps until we post */
	struct host_block *pending; /* received, not yet in the stream */
	size_t pending_at;
	struct host_block *resend; /* sends that came back unsent during a terminate */
};

/* How the kernel's socket goes on after an upload. */
enum host_ending {
	HOST_END_NONE, /* an ordinary connection, half-closed or not */
	HOST_END_TIME_WAIT,
	HOST_END_CLOSED,  /* both FINs acknowledged, the peer's first: nothing left to do */
	HOST_END_RESET,   /* the peer's RST */
	HOST_END_TIMEOUT, /* the target gave it up */
	HOST_END_DROP,    /* nobody holds it and nothing is left: close it without a word */
};

/* One move, down or up, under way (host_move.c). */
struct host_move {
	const struct host_stage *stages;
	unsigned int at;
	bool up;
	bool bounced; /* an offload that failed late comes up; done() tells its failure */
	enum host_ending ending;
	int err;
	char why[HOST_WHY_BYTES];
	const char *failed_stage;
	host_done_fn *done;
	void *ctx;
	TCP_UPLOAD_REASON reason;
	uint64_t start_us, stop_us, resume_us, freeze_us, thaw_us;
	unsigned int attempts;
	bool quiet;         /* packets of the kernel's socket are dropped for a moment */
	tcp_seq quiet_from; /* what it sent from here on may have been among them */
	bool delivering;    /* the program waits for what it had not read */
};

struct host_conn {
	NDIS_OFFLOAD_HANDLE handle; /* first: events name it */
	struct host_adapter *adapter;
	struct host_conn *next;
	const struct host_program_ops *ops;
	void *program;
	const struct host_direct_ops *direct; /* NULL: bytes go through a stream pair */
	void *direct_ctx;
	void *user;
	struct host_conn_info info;
	struct host_socket sock; /* in our hands from offload to upload */
	struct host_image image;
	struct host_recall recall; /* of the last upload */
	struct host_path *path;
	struct host_xfer xfer;
	struct host_move move;
	struct loop_timer again; /* a move that has to be tried again */
	bool program_has_stream; /* the program's descriptor is the stream end */
	bool program_gone;       /* it has closed it */
	bool at_target;
	bool in_doubt;                   /* an ICMP message about it is being judged */
	bool aborted;                    /* TcpIndicateAbort */
	bool expected, steered, stopped; /* what is in force, in whichever move it was done */
	bool passing; /* frames of a move are not kept any more: they go to the kernel */
	bool moving;
	bool waits; /* moving, but others are before it: nothing has happened to it yet */
	struct host_conn *next_waiting;
	bool in_done, remove;     /* removal asked for inside done() waits for its return */
	unsigned int tries;       /* of the upload wanted */
	TCP_UPLOAD_REASON wanted; /* reason of an upload that waits for the loop, 0: none */
	struct host_caught *caught, **caught_tail;
	unsigned int caught_count;
	struct host_op *down_tree; /* copy of the blocks as they went down, for people */
};

/* ---- host_driver.c, host_watch.c ---------------------------------------------------------- */

/* host_adapter_indicate() - a frame goes to the kernel's own stack. */
void host_adapter_indicate(struct host_adapter *adapter, const struct nic_rx_frame *frame);
/* host_adapters_settled() - a move has ended: answer those who waited for the last one. */
void host_adapters_settled(struct host *host);
static inline bool host_adapter_paused(const struct host_adapter *adapter)
{
	return adapter->paused || adapter->asleep;
}
/* host_watch_recheck() - ask for the routes of all paths again. */
void host_watch_recheck(struct host_adapter *adapter);
/* host_path_set_mtu() - tell the target, if that is new. */
void host_path_set_mtu(struct host_path *path, uint32_t mtu_bytes);

/* ---- host_oid.c ---- */

/*
 * host_oid() - a query or set; buffer has the value, or room for it. -EINPROGRESS: a driver below
 * completes it later, the value is lost.
 */
int host_oid(struct host_adapter *adapter, NDIS_REQUEST_TYPE type, NDIS_OID oid, void *buffer,
	     uint32_t bytes) __attribute__((warn_unused_result));
void host_oid_complete(NDIS_OID_REQUEST *request);

/* ---- host_use.c ---- */

int host_use_begin(struct host_adapter *adapter) __attribute__((warn_unused_result));
void host_use_end(struct host_adapter *adapter);
bool host_use_of(const struct host_adapter *adapter, uint8_t family);
void host_use_settled(struct host_adapter *adapter);

/* ---- host_reach.c ---- */

#define HOST_REACH_DELAY_US 5000000u /* DELAY_FIRST_PROBE_TIME */

/* host_reach_query() - NeighborReachabilityQuery with that NRD. Returns the HRD (EVT-22). */
uint32_t host_reach_query(struct host_neighbor *neighbor, uint32_t nrd_ticks, uint64_t now_us);
void host_reach_doubt(struct host_neighbor *neighbor);
/* host_reach_due() - timers of queries that are over at now_us. */
void host_reach_due(struct host_adapter *adapter, uint64_t now_us);
/* host_reach_before_send() - the kernel is about to send on a connection under it (EVT-30). */
void host_reach_before_send(struct host_neighbor *neighbor);
/* host_reach_hrd_ticks() - how long ago somebody confirmed it. */
uint32_t host_reach_hrd_ticks(const struct host_neighbor *neighbor, uint64_t now_us);

/* ---- host_icmp.c ---- */

int host_icmp_open(struct host_adapter *adapter) __attribute__((warn_unused_result));
void host_icmp_close(struct host_adapter *adapter);

/* ---- host_parked.c ---- */

int host_parked_open(struct host_adapter *adapter) __attribute__((warn_unused_result));
void host_parked_close(struct host_adapter *adapter);
/* host_parked_datagram() - one that the kernel has for a parked socket, from its IP header on. */
void host_parked_datagram(struct host_adapter *adapter, const uint8_t *ip, uint32_t len);

/* ---- host_relink.c ---- */

/* host_path_upload() - all connections of it, soon. */
void host_path_upload(struct host_path *path);
/* host_path_reroute() - its packets go to another next hop of the same link now. */
void host_path_reroute(struct host_path *path, const struct host_nl_route *route);
/* host_neighbor_failed() - the kernel cannot reach it any more. */
void host_neighbor_failed(struct host_neighbor *neighbor);

int host_watch_open(struct host_adapter *adapter) __attribute__((warn_unused_result));
void host_watch_close(struct host_adapter *adapter);

/* ---- host_conn.c -------------------------------------------------------------------------- */

void host_conn_set_state(struct host_conn *conn, enum host_conn_state state);
void host_conn_finish(struct host_conn *conn); /* GONE: frees it */
struct host_conn *host_conn_of_flow(struct host_adapter *adapter, const struct steer_flow *flow);
void host_conn_catch(struct host_conn *conn, const struct nic_rx_frame *frame);
void host_conn_caught_indicate(struct host_conn *conn);
void host_conn_caught_forward(struct host_conn *conn);
void host_conn_hold(struct host_conn *conn, enum host_held kind, int fd);

/* ---- host_ops.c --------------------------------------------------------------------------- */

/*
 * host_op_submit() - queue an operation of conn; done() runs when it is over. The tree is built
 * when its turn comes.
 */
int host_op_submit(struct host_conn *conn, enum host_op_kind kind, void (*done)(struct host_op *op),
		   void *ctx) __attribute__((warn_unused_result));
int host_op_submit_path(struct host_path *path, void (*done)(struct host_op *op))
	__attribute__((warn_unused_result));
int host_op_submit_neighbor(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
	__attribute__((warn_unused_result));
/* Cached variables of a connection, from its image; restart: the keepalive timer starts anew. */
int host_op_submit_cached(struct host_conn *conn, bool restart, void (*done)(struct host_op *op))
	__attribute__((warn_unused_result));
/* The neighbor alone goes down, if it is not there when its turn comes. */
int host_op_submit_new_neighbor(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
	__attribute__((warn_unused_result));
/* The neighbor's delegated state is queried. */
int host_op_submit_ask_neighbor(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
	__attribute__((warn_unused_result));
int host_op_submit_invalidate(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
	__attribute__((warn_unused_result));
/* The path moves under that neighbor at the target; its cached values go along. */
int host_op_submit_relink(struct host_path *path, struct host_neighbor *to,
			  void (*done)(struct host_op *op)) __attribute__((warn_unused_result));
void host_ops_run(struct host_adapter *adapter);
void host_op_completed(struct host_adapter *adapter, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);

/* Path and neighbor objects of a connection; one reference each. */
int host_path_get(struct host_adapter *adapter, const struct steer_flow *flow,
		  const struct host_nl_route *route, const struct host_nl_neigh *neigh,
		  struct host_path **out) __attribute__((warn_unused_result));
/* A reference to the neighbor, made if need be; NULL: no memory. */
struct host_neighbor *host_neighbor_get(struct host_adapter *adapter,
					const struct host_nl_neigh *neigh);
void host_path_put(struct host_path *path); /* frees what is not offloaded and needed no more */
void host_neighbor_put(struct host_neighbor *neighbor);

/* ---- host_state.c ------------------------------------------------------------------------- */

void host_state_neighbor(struct host_neighbor_block *block, const struct host_neighbor *neighbor,
			 uint32_t hrd_ticks);
void host_state_path(struct host_path_block *block, const struct host_path *path);
void host_state_tcp(struct host_tcp_block *block, const struct host_conn *conn);
/* host_state_tcp_cached() - the cached variables alone, for an update. */
void host_state_tcp_cached(struct host_tcp_block *block, const struct host_conn *conn,
			   bool restart);
uint8_t host_state_of_ddi(int state); /* TCP_OFFLOAD_CONNECTION_STATE -> enum host_tcp */
/* Blocks with room for delegated state, to be filled by the target. */
void host_state_room(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list, OFFLOAD_STATE_TYPE type,
		     uint32_t bytes);
TCP_OFFLOAD_STATE_DELEGATED *host_state_delegated(struct host_tcp_block *block);
/* host_state_take() - delegated state that came up -> image, without the bytes. */
void host_state_take(const TCP_OFFLOAD_STATE_DELEGATED *from, struct host_image *image);
void host_state_print(FILE *out, const struct host_op *op, const struct host_conn *conn);
const char *host_status_text(NDIS_STATUS status);

/* ---- host_xfer.c -------------------------------------------------------------------------- */

int host_xfer_open(struct host_conn *conn) __attribute__((warn_unused_result));
void host_xfer_close(struct host_conn *conn);
void host_xfer_start(struct host_conn *conn);
void host_xfer_stop(struct host_conn *conn);
/* Requests of a tree that goes down: the image's tx bytes as a chain, its rx bytes as one list. */
int host_xfer_chain(struct host_conn *conn, NET_BUFFER_LIST **head, NET_BUFFER_LIST **tail)
	__attribute__((warn_unused_result));
int host_xfer_buffered(struct host_conn *conn, NET_BUFFER_LIST **out)
	__attribute__((warn_unused_result));
void host_xfer_adopted(struct host_conn *conn, uint32_t chain_bytes, uint32_t held_bytes);
/* What came back with a terminate: copied behind *block, the lists freed. */
int host_xfer_take_chain(struct host_conn *conn, NET_BUFFER_LIST *chain, struct host_block **block)
	__attribute__((warn_unused_result));
int host_xfer_take_buffered(struct host_conn *conn, NET_BUFFER_LIST *list,
			    struct host_block **block) __attribute__((warn_unused_result));
/*
 * host_xfer_drain() - bytes in the stream, both ways, behind the image's tx and in front of its
 * rx.
 */
int host_xfer_drain(struct host_conn *conn) __attribute__((warn_unused_result));
void host_xfer_sent(struct host_adapter *adapter, NET_BUFFER_LIST *chain);
void host_xfer_received(struct host_adapter *adapter, NET_BUFFER_LIST *chain);
void host_xfer_disconnected(struct host_adapter *adapter, NET_BUFFER_LIST *chain);
void host_xfer_forwarded(struct host_adapter *adapter, NET_BUFFER_LIST *chain);
void host_xfer_event(struct host_conn *conn, ULONG type, ULONG info);
NDIS_STATUS host_xfer_indicated(struct host_conn *conn, NET_BUFFER_LIST *nbl, ULONG *consumed);
void host_xfer_returns(struct host_adapter *adapter);
/* TCP_DISCONNECT_GRACEFUL_CLOSE or _ABORTIVE_CLOSE */
void host_xfer_disconnect(struct host_conn *conn, ULONG flags);
int host_xfer_forward(struct host_conn *conn, const uint8_t *tcp, uint32_t len)
	__attribute__((warn_unused_result));

/* ---- host_request.c ----------------------------------------------------------------------- */

void host_requests_free(struct host_adapter *adapter, NET_BUFFER_LIST *chain);
void host_requests_drop(struct host_adapter *adapter); /* those that wait for the next one */

/* ---- moves: host_move.c, host_offload.c, host_upload.c ------------------------------------ */

/*
 * A stage does its part and returns 0, -errno with a reason in conn->move.why, or
 * HOST_STAGE_LATER: it has started something and host_move_go_on() is called at its end.
 */
#define HOST_STAGE_LATER 1

enum host_on_fail {
	HOST_FAIL_UNDO,  /* walk back, the connection stays where it is */
	HOST_FAIL_UP,    /* down: it is at the target by now, take it up again */
	HOST_FAIL_BACK,  /* up: it has left the target, give it back */
	HOST_FAIL_AGAIN, /* nothing to walk back to: do it again */
	HOST_FAIL_SWING, /* neither kernel nor target takes it: try both again, until one does */
};

struct host_stage {
	const char *name;
	int (*run)(struct host_conn *conn);
	/* idempotent; also runs for the stage that failed; NULL: nothing to undo */
	void (*undo)(struct host_conn *conn);
	enum host_on_fail on_fail;
};

extern const struct host_stage host_offload_stages[]; /* end: name NULL */
extern const struct host_stage host_upload_stages[];
extern const struct host_stage
	host_back_stages[]; /* after a failure of an upload past its terminate */

/* Both may free conn. */
void host_move_begin(struct host_conn *conn, const struct host_stage *stages, host_done_fn *done,
		     void *ctx);
void host_move_go_on(struct host_conn *conn, int err);
int host_why(struct host_conn *conn, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * host_upload_wanted() - upload as soon as the loop comes round; safe inside any callback of the
 * target.
 */
void host_upload_wanted(struct host_conn *conn, TCP_UPLOAD_REASON reason);
void host_upload_retry(struct host_conn *conn, uint64_t delay_us);
void host_upload_begin(struct host_conn *conn, TCP_UPLOAD_REASON reason, host_done_fn *done,
		       void *ctx);
/*
 * host_upload_settled() - what is left when an upload (or a bounced offload) is over. true: the
 * connection ended.
 */
bool host_upload_settled(struct host_conn *conn);
void host_all_step(struct host *host);
uint64_t host_now_us(const struct host_conn *conn);

/* Steps that both directions use. */
int host_step_expect(struct host_conn *conn);
void host_step_unexpect(struct host_conn *conn);
void host_step_resume(struct host_conn *conn);
int host_step_initiate(struct host_conn *conn);
int host_step_exchange_down(struct host_conn *conn);
int host_step_park(struct host_conn *conn);
int host_step_deliver(struct host_conn *conn);
int host_step_carry(struct host_conn *conn);
void host_step_unsteer(struct host_conn *conn);
void host_step_unmute(struct host_conn *conn);

/* ---- host_eligible.c ---------------------------------------------------------------------- */

enum host_ineligible {
	HOST_OK,
	HOST_NOT_STATE,    /* not in a TCP state that can be handed over */
	HOST_NOT_NOW,      /* passes: out-of-order data, neighbor not resolved, paused target */
	HOST_NOT_OPTION,   /* an option of the socket or the protocol */
	HOST_NOT_PATH,     /* route, interface, address */
	HOST_NOT_FIREWALL, /* conntrack, NAT, mark */
	HOST_NOT_PROGRAM,  /* its holders cannot be reached */
	HOST_NOT_CAPABLE,  /* the target cannot */
	HOST_NOT_QUEUE,    /* too much data queued */
};

int host_eligible_socket(struct host_conn *conn);
int host_eligible_path(struct host_conn *conn, struct host_nl_route *route,
		       struct host_nl_neigh *neigh);
int host_eligible_ooo(const struct host_socket *sock, const struct host_image *image);

#endif
