/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_sock.h - one end of a simulated connection: a byte stream for an application, whatever place
 * its TCP is in.
 *
 * The application sets goals (how much to send, how much it is willing to read, close, abort, move)
 * and is told of progress; sim_sock_serve() works towards the goals whenever the end is LIVE. What
 * is sent is the pattern of tx.key, what arrives is compared with the pattern of rx.key, byte by
 * byte.
 *
 * Life of an end:
 *
 *   NEW -- initiate --> STARTING --> LIVE -- terminate --> STOPPING --+--> MOVING -- initiate ...
 *                                                                     |
 *                                                                     +--> ENDED
 *
 * ENDED is final: closed, or TIME_WAIT, which is answered here.
 *
 *   phase     the DDI may be called for     who has the state
 *   NEW       nothing                       the sock
 *   STARTING  nothing (OFF-29, OFF-30)      on its way down
 *   LIVE      everything                    the target at place
 *   STOPPING  nothing (TRM-23)              on its way up
 *   MOVING    nothing                       the sock
 *   ENDED     nothing, for ever             the sock
 *
 * Frames that a target gives to the host while the phase is not LIVE are held, and forwarded or
 * injected at the next place (no step may lose a byte).
 */
#ifndef SIM_SIM_SOCK_H
#define SIM_SIM_SOCK_H

#include "base/seq.h"
#include "sim/sim_state.h"

enum sim_phase { SIM_NEW, SIM_STARTING, SIM_LIVE, SIM_STOPPING, SIM_MOVING, SIM_ENDED };

/* How the application takes data. */
enum sim_rx_mode {
	SIM_RX_MIXED,    /* any of the others, drawn per decision */
	SIM_RX_INDICATE, /* waits for indications; posts only after it refused one */
	SIM_RX_POST,     /* keeps push-mode requests posted */
	SIM_RX_NOPUSH,   /* the same, nonpush as long as the expected length allows */
	SIM_RX_MODES,
};

struct sim_sock;

/*
 * What the application is told. Every member may be NULL. Called outside of NDIS callbacks or
 * inside; may set goals.
 */
struct sim_app {
	/* the bytes, before received() */
	void (*data)(struct sim_sock *sock, const uint8_t *data, uint32_t len);
	void (*received)(struct sim_sock *sock, uint64_t bytes);
	void (*eof)(struct sim_sock *sock);
	/* a move is over; !ok: it is back where it was */
	void (*moved)(struct sim_sock *sock, bool ok);
	void (*ended)(struct sim_sock *sock);
	void *ctx;
};

struct sim_tx {
	uint64_t key;
	uint64_t goal;   /* bytes the application wants to have sent so far */
	uint64_t queued; /* bytes given to the chimney */
	uint64_t acked;  /* bytes whose send completed with success */
	uint32_t window; /* most bytes queued but not acknowledged: back-pressure */
	uint32_t piece;  /* largest single send */
	bool whole;      /* a send takes all that is wanted, as one write does; piece is ignored */
	bool close;      /* FIN behind goal bytes */
	bool abort;
	bool fin_issued; /* a disconnect request was made */
	bool fin_open;   /* and has not completed */
	bool fin_acked;
	bool lost; /* a send was aborted: the connection must turn out to be aborted */
	struct sim_send *sends, **sends_tail; /* in stream order; all that are not acknowledged */
};

struct sim_rx {
	uint64_t key;
	uint64_t got;  /* bytes taken by the application, all checked */
	uint64_t goal; /* bytes it is willing to have taken so far */
	/* length of the whole stream if the application knows it; else UINT64_MAX */
	uint64_t expect;
	enum sim_rx_mode mode;
	uint32_t piece;     /* size of posted requests */
	unsigned int depth; /* requests kept posted */
	unsigned int posts; /* requests out */
	uint64_t posted_bytes;
	bool refused;   /* an indication was refused: data waits for a request (RCV-33) */
	bool fin_known; /* the peer's FIN is behind byte fin_at */
	uint64_t fin_at;
	bool eof;       /* told to the application */
	uint8_t *stash; /* acknowledged bytes that no target holds: behind got */
	uint32_t stash_bytes;
	NET_BUFFER_LIST *indicated; /* to be given back */
};

struct sim_held;

struct sim_move {
	enum sim_place from, to;
	bool wanted, final, failed; /* final: the connection ends; failed: went back to from */
	bool expected;              /* the target was told to catch the flow's frames */
	/* the way down has begun: frames go to the target, the state is still above */
	bool steered;
	bool by_wire; /* frames held in between are injected, not forwarded */
	uint64_t began_us, began_real_us;
};

struct sim_sock_counts {
	unsigned int moves, moves_back;
	unsigned int uploads_asked; /* by the target, TIME_WAIT apart */
	unsigned int queries;
	uint64_t indications, refusals, part_acceptances, posts_completed, zero_posts;
	uint64_t sends_given_back;    /* with the upload's chain */
	uint64_t buffered_given_back; /* bytes in BufferedData */
};

struct sim_sock {
	NDIS_OFFLOAD_HANDLE handle; /* first: OffloadContext of events and indications */
	struct sim_world *world;
	struct sim_conn *conn;
	enum sim_side side;
	unsigned int number; /* of the connection */
	enum sim_phase phase;
	struct sim_binding *at;     /* place of the TCP; in NEW and MOVING the place it goes to */
	struct sim_tcp_state state; /* valid in NEW, MOVING, ENDED, and after a query */
	tcp_seq snd_base, rcv_base; /* sequence numbers of byte 0 */
	struct sim_tx tx;
	struct sim_rx rx;
	struct sim_app app;
	struct sim_move move;
	uint64_t move_delay_us; /* time between the two halves of a move */
	/* time between steering to the target and the terminate that follows */
	uint64_t steer_lead_us;
	struct sim_timer move_timer, poll_timer;
	bool poll_open;      /* a query is under way */
	bool down;           /* an initiate completed with success, no terminate was called since */
	bool asked_back;     /* the target asked for an upload of the connection */
	ULONG upload_reason; /* why it did, last */
	bool ends_at_upload; /* what the target gives back is looked at, not carried on */
	bool abandoned;
	bool abort_issued; /* an abortive disconnect was requested */
	bool aborted;      /* RST received or sent */
	bool reset_by_peer;
	bool woken;
	struct sim_sock *wake_next;
	struct sim_held *held, **held_tail;
	unsigned int forwards; /* forwarded segments that were not completed */
	struct sim_sock_counts counts;
	NDIS_STATUS last_status; /* of the last state operation */
	tcp_seq wire_end;        /* highest sequence number that this end has put on the wire */
	bool wire_seen;
	tcp_seq arrived_end; /* and that reached the other end */
	/* arrival of new data from this end at the other end's nic */
	uint64_t last_data_us, max_gap_us;
};

/* What a new connection looks like; per side where it matters. */
struct sim_conn_config {
	enum sim_family family;
	bool timestamps, sack, nagle, ecn, cork;
	/* of the window that this side advertises; 0xff: no scaling agreed */
	uint8_t wscale[SIM_SIDES];
	uint32_t rcv_buf_bytes[SIM_SIDES];
	tcp_seq iss[SIM_SIDES];       /* sequence number of byte 0 from this side */
	uint32_t ts_now[SIM_SIDES];   /* timestamp clocks at the moment */
	bool reader_waits[SIM_SIDES]; /* the application is not willing to read yet */
	uint32_t rcv_indication_bytes;
	uint16_t mss; /* 0: from the MTU */
};

/* sim_conn_config_draw() - everything by the world's seed, sequence numbers near the wrap. */
void sim_conn_config_draw(struct sim_world *world, struct sim_conn_config *config);

/*
 * sim_conn_open() - a connection that is ESTABLISHED at both ends, at the peer and in the kernel.
 * Its number is its place in world->conns. The goals are zero, the readers willing.
 * Returns: NULL when the world has no room.
 */
struct sim_conn *sim_conn_open(struct sim_world *world, const struct sim_conn_config *config);

/*
 * sim_conn_open_alone() - the host's end only, offloaded to the target at once. Somebody else
 * plays the peer on the wire (world->up.to, world->down). prepare() may change the state before
 * that.
 * Returns: NULL when the world has no room.
 */
struct sim_conn *sim_conn_open_alone(struct sim_world *world, const struct sim_conn_config *config,
				     void (*prepare)(struct sim_sock *sock, void *ctx), void *ctx);

/*
 * sim_conn_abandon() - take the state back without closing anything, and stay ENDED; for the end of
 * a world.
 */
void sim_conn_abandon(struct sim_conn *conn);
/* sim_conns_at_rest() - every end is ENDED or never began, and no operation is under way. */
bool sim_conns_at_rest(const struct sim_world *world);

/* Goals. All may be set in any phase. */
void sim_sock_send(struct sim_sock *sock, uint64_t bytes); /* that many more */
void sim_sock_read(struct sim_sock *sock, uint64_t bytes); /* willing to take that many more */
void sim_sock_close(struct sim_sock *sock);                /* FIN behind what was sent */
void sim_sock_abort(struct sim_sock *sock);
/*
 * sim_sock_move() - to another place; -EINVAL when it is there, -EALREADY while moving, -EPIPE when
 * ended, -EBUSY when that place takes nothing for now.
 */
int sim_sock_move(struct sim_sock *sock, enum sim_place to);

/*
 * sim_sock_query() - bring state.delegated up to date by a query; done when counts.queries has
 * grown.
 */
int sim_sock_query(struct sim_sock *sock);

/* For sim_host. */
void sim_sock_serve(struct sim_sock *sock);
/* sim_sock_ask_back() - the target wants to be rid of it, if it is there. */
void sim_sock_ask_back(struct sim_sock *sock);
void sim_sock_hold_or_pass(struct sim_sock *sock, struct sim_binding *from,
			   const struct nic_rx_frame *frame, const struct nic_sim_view *view);
/* A segment of this end left its nic; one reached the other end's nic. */
void sim_sock_sent_segment(struct sim_sock *sock, const struct nic_sim_view *view);
void sim_sock_segment_arrived(struct sim_sock *sock, const struct nic_sim_view *view);
void sim_sock_begin(struct sim_sock *sock);
void sim_sock_free(struct sim_sock *sock);

/* For the files of the sock: sim_sock.c (life), sim_send.c, sim_recv.c, sim_wait.c. */
void sim_send_init(struct sim_sock *sock);
void sim_send_serve(struct sim_sock *sock);
/*
 * sim_send_chain() - all that is not acknowledged as one chain for an initiate; *tail is its last
 * list.
 */
NET_BUFFER_LIST *sim_send_chain(struct sim_sock *sock, NET_BUFFER_LIST **tail);
/*
 * sim_send_recover() - after a terminate: check chain and sequence numbers, keep what is not
 * acknowledged.
 */
void sim_send_recover(struct sim_sock *sock, NET_BUFFER_LIST *chain,
		      const TCP_OFFLOAD_STATE_DELEGATED *delegated);
void sim_send_drop(struct sim_sock *sock);
void sim_recv_serve(struct sim_sock *sock);
/*
 * sim_recv_buffered() - the stash as a chain for an initiate; free it with
 * sim_recv_buffered_free().
 */
NET_BUFFER_LIST *sim_recv_buffered(struct sim_sock *sock);
void sim_recv_buffered_free(struct sim_sock *sock, NET_BUFFER_LIST *chain, bool taken);
void sim_recv_recover(struct sim_sock *sock, NET_BUFFER_LIST *chain,
		      const TCP_OFFLOAD_STATE_DELEGATED *delegated);
void sim_recv_drain_stash(struct sim_sock *sock);
void sim_recv_give_back(struct sim_sock *sock);
void sim_recv_fin(struct sim_sock *sock);
void sim_hold_frame(struct sim_sock *sock, const struct nic_rx_frame *frame);
void sim_held_release(struct sim_sock *sock); /* at the present place */
void sim_held_free(struct sim_sock *sock);
/*
 * sim_wait_frame() - a frame for an ended connection: answer as TIME_WAIT does, where the state is
 * that.
 */
void sim_wait_frame(struct sim_sock *sock, const struct nic_sim_view *view);

/* NDIS callbacks, by sim_host.c. */
void sim_send_complete(NET_BUFFER_LIST *chain);
void sim_disconnect_complete(NET_BUFFER_LIST *chain);
void sim_recv_complete(NET_BUFFER_LIST *chain);
void sim_forward_complete(NET_BUFFER_LIST *chain);
NDIS_STATUS sim_recv_indicate(struct sim_sock *sock, NET_BUFFER_LIST *nbl, ULONG *consumed);
void sim_sock_event(struct sim_sock *sock, ULONG event, ULONG information);

#endif
