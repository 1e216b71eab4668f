/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_conn.h - one offloaded connection, and the functions in which engine and DDI side meet.
 *
 * struct tgt_conn lives in the arena (pool "conn") and survives its worker: no pointers, only
 * numbers, arena references and indices. What belongs to the process (NBL queues, NDIS handles) is
 * in struct tgt_conn_io of the DDI side, indexed by tgt_conn.slot. The theory of operation is on
 * top of tgt_conn.c.
 *
 * Context of every function below: the worker that owns the adapter. Time comes in as now_us
 * (monotonic microseconds); nothing here reads a clock or allocates outside the arena's pools.
 */
#ifndef TARGET_TGT_CONN_H
#define TARGET_TGT_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/seq.h"
#include "target/tgt_adapter.h"
#include "target/tgt_chunk.h"

#define TGT_TIME_NONE UINT64_MAX /* deadline of a timer that does not run */
#define TGT_LEFT_NONE (-1)       /* remaining time of a timer that does not run */
#define TGT_CC_WORDS  6

/* TCP states in which the target may find a connection (RFC 9293 3.3.2); there is no handshake
 * here. */
enum tgt_state {
	TGT_CLOSED, /* aborted, reset or given up: nothing is sent, segments go to the host */
	TGT_ESTABLISHED,
	TGT_FIN_WAIT_1,
	TGT_FIN_WAIT_2,
	TGT_CLOSE_WAIT,
	TGT_CLOSING,
	TGT_LAST_ACK,
	TGT_TIME_WAIT, /* only acknowledges the peer's FIN again; offered for upload on entry */
	TGT_STATES
};

/* TCP header flags, as in segments */
enum {
	TGT_TH_FIN = 0x01,
	TGT_TH_SYN = 0x02,
	TGT_TH_RST = 0x04,
	TGT_TH_PSH = 0x08,
	TGT_TH_ACK = 0x10,
	TGT_TH_URG = 0x20,
	TGT_TH_ECE = 0x40,
	TGT_TH_CWR = 0x80,
};

/* Fixed by the host at offload or changed by an update: tgt_conn.options */
enum {
	TGT_OPT_TIMESTAMP = 1u << 0,
	TGT_OPT_SACK = 1u << 1,
	TGT_OPT_NAGLE = 1u << 2,
	TGT_OPT_KEEPALIVE = 1u << 3,
	TGT_OPT_ECN = 1u << 4,
	TGT_OPT_CORK = 1u << 5,
};

/* What goes on: tgt_conn.flags */
enum {
	TGT_CF_STARTED = 1u << 0,        /* between tgt_conn_start() and tgt_conn_stop() */
	TGT_CF_SUSPENDED = 1u << 1,      /* upload requested, nothing is processed or sent */
	TGT_CF_FIN_QUEUED = 1u << 2,     /* our FIN follows the last byte of the send queue */
	TGT_CF_FIN_ACKED = 1u << 3,      /* the peer acknowledged it */
	TGT_CF_FIN_RECEIVED = 1u << 4,   /* the peer's FIN is below rcv_nxt */
	TGT_CF_ACK_NOW = 1u << 5,        /* an ACK is due with the next segment or alone */
	TGT_CF_TS_VALID = 1u << 6,       /* ts_recent is known */
	TGT_CF_RST_CHALLENGED = 1u << 7, /* RST challenged in this validation period */
	TGT_CF_MITIGATING = 1u << 8,     /* keepalive timer serves blind-reset mitigation */
	TGT_CF_CWND_LIMITED = 1u << 9,   /* cwnd stopped the last tgt_output() */
	TGT_CF_RTT_TIMING = 1u << 10,    /* rtt_seq and rtt_start_us time one segment */
	TGT_CF_UNDO_TS = 1u << 11,       /* undo_tsval is that of the first retransmission */
	TGT_CF_TAKEN_OVER = 1u << 12,    /* first segment repeats the host's window */
	TGT_CF_DSACK = 1u << 13,         /* dsack_start/end go out with the next ACK */
	TGT_CF_UNDO = 1u << 14,          /* the last reduction of cwnd can be taken back */
	TGT_CF_SWS_EXPIRED = 1u << 15,   /* SWS timer ran out: send what is allowed */
	TGT_CF_IPV6 = 1u << 16,          /* which counters and header sizes apply */
	TGT_CF_PERSIST = 1u << 17,       /* the peer's window is closed: probing */
	TGT_CF_REXMT_FIRST = 1u << 18,   /* snd_una goes again, whatever cwnd says */
	TGT_CF_IN_EVENT = 1u << 19,      /* in tgt_input() or a timer: output comes later */
	TGT_CF_ABORTED = 1u << 20,       /* by tgt_close_abort(): arrivals draw an RST */
	TGT_CF_REORDERED = 1u << 21,     /* the network reorders: the threshold says nothing */
	TGT_CF_DSACK_ROUND = 1u << 22,   /* rack.dsack_round: one D-SACK was counted in it */
	TGT_CF_REO_TIMER = 1u << 23,     /* TGT_TMR_LOSS is a reordering window, not a probe */
	TGT_CF_TLP_DUE = 1u << 24,       /* the tail loss probe must be timed anew */
	TGT_CF_TLP_OUT = 1u << 25,       /* a probe is out, up to tlp_end */
	TGT_CF_TLP_AGAIN = 1u << 26,     /* it was a retransmission */
	TGT_CF_ECN_ECHO = 1u << 27,      /* a mark arrived: ECE until the peer says CWR */
	TGT_CF_CWR_DUE = 1u << 28,       /* cwnd was reduced: CWR with the next new data */
	TGT_CF_GETS_DATA = 1u << 30,     /* the last acceptable segment carried data */
};

/* One wheel entry per connection, this many deadlines. Only tgt_timer.c sets them. */
enum tgt_timer {
	TGT_TMR_LOSS,    /* reordering window or tail loss probe; first: it may put off the next */
	TGT_TMR_REXMT,   /* retransmission; window probes within a round; FIN_WAIT_2 */
	TGT_TMR_PERSIST, /* start of a window probe round */
	TGT_TMR_DELACK,
	TGT_TMR_KEEP,   /* keepalive and blind-reset mitigation */
	TGT_TMR_SWS,    /* sender side silly window override */
	TGT_TMR_WINDOW, /* receiver side: a window update too small to be worth a segment */
	TGT_TMR_PUSH,   /* delivery: belongs to tgt_deliver, see tgt_timer_push_start() */
	TGT_TMR_PACE,   /* the next data segment may go (tgt_pace) */
	TGT_TMR_RETRY,  /* the device took no more frames: try again */
	TGT_TMRS
};

/* Why the host should take a connection back; values of TCP_UPLOAD_REASON, so a cast converts. */
enum tgt_upload_reason {
	TGT_UPLOAD_URGENT = 5,     /* ReceivedUrgentData */
	TGT_UPLOAD_TIMEOUT = 8,    /* TimeoutExpiration */
	TGT_UPLOAD_INVALID = 9,    /* InvalidState */
	TGT_UPLOAD_REQUESTED = 10, /* UploadRequested */
};

enum tgt_recovery_phase {
	TGT_REC_OPEN,
	TGT_REC_FAST, /* fast recovery, until snd_una reaches recover */
	TGT_REC_LOSS, /* after a timeout, until snd_una reaches recover */
};

/* Out-of-order data of the peer (tgt_reasm): a chunk with a table. */
struct tgt_reasm {
	arena_ref table; /* chunk that holds the ranges, ARENA_NULL while there are none */
	uint32_t ranges;
	uint32_t bytes;
	tcp_seq last_start; /* range that was touched last: first SACK block (RFC 2018) */
	tcp_seq fin_seq;    /* sequence number of an early FIN when has_fin */
	bool has_fin;
};

#define TGT_SENT_FEW 4u

/* A run of bytes that share their fate (tgt_sent). It begins where the one before ends. */
struct tgt_sent_record {
	tcp_seq end;
	uint32_t sent_us; /* low 32 bits of now_us when it left last */
	uint32_t state;   /* TGT_SENT_ */
};

struct tgt_sent {
	arena_ref table;      /* chunk with the records; ARENA_NULL: they are in few[] */
	uint16_t head, count; /* index of the first one, how many */
	uint16_t sacked;      /* records SACKed */
	uint16_t doubtful;    /* records retransmitted or of the former owner */
	uint32_t sacked_bytes, lost_bytes;
	struct tgt_sent_record few[TGT_SENT_FEW];
};

/* Loss detection by time (tgt_rack). */
struct tgt_rack {
	uint32_t sent_us; /* of what left last among all that arrived, and its end */
	tcp_seq end;
	uint32_t rtt_us;     /* its round trip; 0: nothing arrived yet */
	uint32_t min_rtt_us; /* 0: no sample */
	uint32_t min_rtt_s;  /* when it was taken */
	tcp_seq fack;        /* end of the furthest byte that arrived */
	tcp_seq dsack_round; /* snd_max when a D-SACK was counted */
	uint8_t reo_mult;    /* quarters of min_rtt_us in the reordering window */
	uint8_t reo_persist; /* recoveries until it is one again */
};

/* Looking for the end of slow start by delay (tgt_hystart). */
struct tgt_hystart {
	tcp_seq round_end;    /* snd_max when the round began */
	uint32_t min_us;      /* of this round; 0: no sample */
	uint32_t last_min_us; /* of the one before */
	uint32_t base_us;     /* min_us that made us careful; 0: we are not */
	uint32_t begin_us;    /* of the round, low 32 bits of now_us */
	uint32_t train_us;    /* last ACK of the train that the round began with */
	uint16_t samples;
	uint8_t begun, careful_rounds;
};

/* Send data: list.head's first byte has sequence number seq. */
struct tgt_sendq {
	struct tgt_chunk_list list;
	tcp_seq seq;      /* always snd_una (a FIN that was acknowledged is not counted) */
	arena_ref hint;   /* chunk in which the last look-up ended, ARENA_NULL: start at the head */
	tcp_seq hint_seq; /* sequence number of its first byte in use */
};

/*
 * What every segment touches comes first, in TGT_CONN_HOT_LINES cache lines; what only recovery, a
 * timer or a hand-over needs comes behind. The arena aligns connections to cache lines.
 */
#define TGT_CONN_HOT_LINES 8u

struct tgt_conn {
	/* identity: written by the DDI side at offload */
	uint32_t slot;  /* index of struct tgt_conn_io and of the wheel entry */
	arena_ref path; /* its path object */
	uint16_t local_port_be, remote_port_be;
	uint8_t ttl, tos, user_priority;
	uint8_t snd_wscale, rcv_wscale; /* 0 when scaling was not agreed */
	uint8_t scaling;                /* it was agreed, if only with 0 */
	uint8_t cc_id;                  /* tgt_cc_by_id() */
	uint8_t quick_acks;             /* so many ACKs more are not delayed */
	uint16_t remote_mss;            /* from the handshake; payload + options bound */
	uint16_t hole_mtu_bytes; /* what gets through a black hole; 0: none found (tgt_hole) */
	uint32_t flow_label;
	uint32_t options;        /* TGT_OPT_ */
	uint32_t path_mtu_bytes; /* copy of the path's; change it through tgt_conn_set_mtu() */
	uint32_t rcv_buf_bytes;  /* InitialRcvWnd: most received bytes held for the application */

	/* delegated state */
	uint8_t state;       /* enum tgt_state */
	uint8_t ka_probes;   /* unanswered probes */
	uint8_t rexmt_count; /* Retransmit.Count: of snd_una, or probes of this round */
	uint8_t wnd_probes;  /* SndWndProbeCount: rounds */
	uint8_t dup_acks;
	uint8_t phase;        /* enum tgt_recovery_phase */
	uint8_t ack_segments; /* segments received since the last ACK went out */
	uint8_t frto;         /* enum tgt_frto */
	uint32_t flags;       /* TGT_CF_ */
	tcp_seq rcv_nxt;
	tcp_seq rcv_adv;   /* right edge of the window granted: RcvNxt + RcvWnd; never moves left */
	tcp_seq rcv_edge;  /* furthest edge told: rcv_adv rounded up by the scale */
	tcp_seq rcv_grant; /* edge that buffers stand for: rcv_edge without rounding */
	tcp_seq rcv_acked; /* last acknowledgment number sent */
	uint32_t rcv_in_deliver_bytes; /* below rcv_nxt, not stored yet */
	tcp_seq rcv_stored; /* end of the bytes that are, or were, in rcvq: what a successor has */
	tcp_seq snd_una, snd_nxt, snd_max; /* snd_nxt < snd_max: sending again in between */
	uint32_t snd_wnd_bytes;            /* unscaled window from snd_una */
	uint32_t max_snd_wnd_bytes;
	tcp_seq snd_wl1, snd_wl2; /* snd_wl2 is not in the DDI: the DDI side sets it to snd_una */
	tcp_seq snd_small_end;    /* end of the last segment below MSS (Nagle) */
	uint32_t cwnd_bytes, ssthresh_bytes;
	uint32_t cwnd_used_bytes;   /* most in flight since cwnd was the limit last */
	uint32_t pace_bytes_per_ms; /* 0: no pacing; tgt_conn_set_pacing() */
	uint32_t cwnd_used_us;      /* when it was, or was validated: low 32 bits */
	uint32_t srtt_us8;          /* 8 times the smoothed round trip; 0: no sample yet */
	uint32_t rttvar_us4;        /* 4 times its variation */
	uint32_t ts_recent;
	uint32_t ts_delta_ticks;  /* timestamp sent = tgt_clock_ticks() + this */
	uint64_t ts_recent_us;    /* when it was received: now minus TsRecentAge at offload */
	uint64_t last_send_us;    /* data */
	uint64_t last_receive_us; /* acceptable segment */
	uint64_t total_rt_us;     /* TotalRT: time spent retransmitting snd_una */
	uint64_t max_rt_us;       /* MaxRT; 0: max_retransmissions applies, UINT64_MAX: no limit */
	tcp_seq rtt_seq;
	tcp_seq recover; /* snd_max when the present or last recovery began */
	uint64_t rtt_start_us;
	uint64_t deadline_us[TGT_TMRS];
	uint64_t pace_next_us; /* nothing new before */
	tcp_seq high_rxt;      /* NewReno: all below was retransmitted */

	/* data */
	struct tgt_sendq sendq;
	struct tgt_sent sent;
	struct tgt_rack rack;
	struct tgt_reasm reasm;
	union {
		uint64_t cc[TGT_CC_WORDS]; /* private to the congestion control */
		struct {
			uint64_t cc_kept[2];
			struct tgt_hystart hystart; /* only in slow start */
		};
	};

	/* loss recovery: touched only while something is wrong */
	uint32_t undo_cwnd_bytes, undo_ssthresh_bytes; /* before the reduction */
	tcp_seq undo_start, undo_end;                  /* snd_una and snd_max at that time */
	uint32_t undo_again_bytes; /* sent again since, and not known to be superfluous */
	uint32_t undo_tsval;
	uint32_t prr_delivered_bytes, prr_out_bytes, prr_flight_bytes; /* RFC 6937bis */
	tcp_seq tlp_end;
	uint16_t hole_high_bytes;     /* MTU that did not get through; 0: none is known */
	uint16_t hole_probe_bytes;    /* MTU of the probe that is out; 0: none is */
	tcp_seq hole_start, hole_end; /* the probe */
	uint32_t hole_next_s;         /* no larger segment is tried before */

	/* acknowledgment and limiters */
	tcp_seq dsack_start, dsack_end;
	tcp_seq ecn_end; /* snd_max at the last reduction: ECE up to here asks for nothing new */
	uint64_t last_oow_ack_us; /* last ACK sent for a segment without data outside the window */
	uint64_t last_syn_challenge_us; /* TGT_TIME_NONE: none yet */

	/* keepalive, hand-over, and what is carried through */
	uint64_t ka_idle_us, ka_interval_us; /* KaTimeout, KaInterval */
	int64_t ka_left_us;    /* for tgt_conn_start(), from tgt_conn_snapshot(); -1: off */
	int64_t rexmt_left_us; /* the same for Retransmit.TimeoutDelta */
	uint32_t hash_value;
	uint32_t rcv_indication_bytes;
	uint32_t dwnd;
	uint8_t ka_probe_max;       /* KaProbeCount */
	uint8_t taken;              /* the host gave it over: until it is freed it is here */
	uint32_t owner;             /* even; no other connection of this arena has it */
	struct tgt_chunk_list rcvq; /* in-order bytes: belongs to tgt_deliver */
};

_Static_assert(offsetof(struct tgt_conn, undo_cwnd_bytes) <= TGT_CONN_HOT_LINES * 64,
	       "what every segment touches has outgrown its cache lines");

/* One parsed segment, host byte order: written by tgt_frame, borrowed by tgt_input(). */
struct tgt_segment {
	tcp_seq seq, ack;
	uint16_t wnd_raw; /* as in the header, not scaled */
	uint16_t urg;
	uint8_t flags; /* TGT_TH_ */
	uint8_t opt_len;
	const uint8_t *opt;
	const uint8_t *data;
	uint32_t len;      /* payload bytes */
	uint16_t gso_size; /* 0, or payload bytes a segment of a super-frame */
	uint8_t ecn;       /* two bits of the IP header */
	bool forwarded;    /* came by MiniportTcpOffloadForward */
};

/* One segment or super-frame to send, host byte order: borrowed by tgt_frame_xmit(). */
struct tgt_xmit {
	tcp_seq seq, ack;
	uint8_t flags;
	uint8_t opt_len;  /* multiple of 4 */
	uint16_t wnd_raw; /* already scaled down */
	const uint8_t *opt;
	const struct iovec *iov;
	unsigned int iovcnt;
	uint32_t len;      /* payload bytes */
	uint16_t gso_size; /* 0, or payload bytes a segment when len exceeds it */
	uint8_t ecn;
	bool retransmit; /* only bytes that were sent before */
};

enum tgt_verdict {
	TGT_SEG_DONE,    /* consumed */
	TGT_SEG_TO_HOST, /* for the non-offload path, or the queue of an upload */
	TGT_SEG_DROP,    /* dropped and counted in tgt_adapter.drops */
};

/*
 * ---- engine, called by the DDI side ----
 *
 * The engine calls the DDI side from inside tgt_input() and timers. There every function of the
 * first group may be called on the same connection (output is then put off until the event ends),
 * except tgt_input() and tgt_conn_release().
 */

/* tgt_conn_init() - defaults of a zeroed connection: timers off, cc chosen, limiters open. Before
 * it is filled. */
void tgt_conn_init(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t slot);

/*
 * tgt_conn_start() - take up processing. The caller has filled identity and delegated state, set
 * flags TGT_CF_TS_VALID and TGT_CF_IPV6 as they apply, and appended all send data from SndUna on
 * with tgt_sendq_append() (sendq.seq is set here or by tgt_sendq_begin()). Sends an ACK at once
 * (the host's delayed ACK ends with the hand-over), resumes the timers from ka_left_us and
 * rexmt_left_us and sends what may be sent.
 * Returns:   0; -EINVAL when the state contradicts itself (sequence numbers, queue length, state),
 * nothing was started then.
 */
int tgt_conn_start(struct tgt_adapter *a, struct tgt_conn *conn);

/*
 * tgt_conn_stop() - before the state goes back: sends a pending delayed ACK, drops out-of-order
 * data (it was never acknowledged, except by SACK), fills ka_left_us and rexmt_left_us, stops all
 * timers. Idempotent. Send data and rcvq stay; tgt_conn_release() gives back the memory.
 */
void tgt_conn_stop(struct tgt_adapter *a, struct tgt_conn *conn);
void tgt_conn_release(struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_conn_snapshot() - fill ka_left_us and rexmt_left_us of a running connection (query). */
void tgt_conn_snapshot(const struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_conn_check() - NULL, or which invariant is broken. Called by tests after every event. */
const char *tgt_conn_check(const struct tgt_adapter *a, const struct tgt_conn *conn);

const char *tgt_state_name(uint8_t state);

/* Updates of cached variables; the caller has stored the new value (except the MTU). */
void tgt_conn_set_mtu(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t path_mtu_bytes);
/* tgt_conn_set_pacing() - data leaves at most that fast, from now on; 0: as fast as cwnd allows. */
void tgt_conn_set_pacing(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t bytes_per_s);
void tgt_conn_keepalive_changed(struct tgt_adapter *a, struct tgt_conn *conn, bool restart);
void tgt_conn_max_rt_changed(struct tgt_adapter *a, struct tgt_conn *conn, bool restart);

/* tgt_conn_mss() - payload bytes of a full segment with the options that every segment carries. */
uint32_t tgt_conn_mss(const struct tgt_conn *conn);
/* tgt_conn_full_mtu() - MTU of the largest segment that peer and path allow, black holes apart. */
uint32_t tgt_conn_full_mtu(const struct tgt_conn *conn);

/* tgt_input() - process one segment; replies are sent before it returns. Borrows seg. RFC
 * 9293 3.10.7.4. */
enum tgt_verdict tgt_input(struct tgt_adapter *a, struct tgt_conn *conn,
			   const struct tgt_segment *seg, uint64_t now_us);

/* tgt_output() - send what window, cwnd and Nagle allow, and an ACK that is due. */
void tgt_output(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_timers_run() - expire all connections' timers that are due; each event ends with its own
 * output. */
void tgt_timers_run(struct tgt_adapter *a, uint64_t now_us);
/* tgt_timers_next() - earliest deadline of all, or TGT_TIME_NONE. */
uint64_t tgt_timers_next(const struct tgt_adapter *a);
/* The push timer belongs to the delivery algorithm; expiry calls tgt_deliver_push_expired(). */
void tgt_timer_push_start(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
void tgt_timer_push_stop(struct tgt_adapter *a, struct tgt_conn *conn);
bool tgt_timer_running(const struct tgt_conn *conn, enum tgt_timer which);

/* tgt_sendq_begin() - empty queue whose first byte will have sequence number seq. Before appending
 * at offload. */
void tgt_sendq_begin(struct tgt_conn *conn, tcp_seq seq);
/*
 * tgt_sendq_append() - copy data behind the queue; push marks the end of a send request. Does not
 * send.
 * Returns:   0; -ENOBUFS when limits.conn_send_bytes or the pool is reached (nothing was
 * taken).
 */
int tgt_sendq_append(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		     uint32_t len, bool push);
/* tgt_sendq_room() - bytes that may be appended now. */
uint32_t tgt_sendq_room(const struct tgt_adapter *a, const struct tgt_conn *conn);

/* tgt_close_send_fin() - graceful disconnect: FIN behind all queued data, sent as soon as the
 * window allows. */
void tgt_close_send_fin(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_close_abort() - abortive disconnect: RST now, state CLOSED, queues dropped. 0 or the error of
 * the device. */
int tgt_close_abort(struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_rcv_window_changed() - the application took data or rcv_buf_bytes changed: send an update if
 * worth it. */
void tgt_rcv_window_changed(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_rcv_window_update() - the same without thresholds (TCP_FLAG_UPDATE_RCV_WND). */
void tgt_rcv_window_update(struct tgt_adapter *a, struct tgt_conn *conn);

/* ---- DDI side, called by the engine (a test supplies its own) ---- */

/* The connection of a wheel entry, NULL when the slot is free. */
struct tgt_conn *tgt_conn_of_slot(struct tgt_adapter *a, uint32_t slot);

/* In-order bytes, to be stored before return; rcv_nxt is already beyond them. psh: the last byte
 * was pushed. */
void tgt_deliver_data(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		      uint32_t len, bool psh);
/* The peer's FIN is in order; state has changed already. */
void tgt_deliver_fin(struct tgt_adapter *a, struct tgt_conn *conn);
/* Received bytes that the application has not taken; they reduce the window. */
uint32_t tgt_deliver_buffered_bytes(const struct tgt_adapter *a, const struct tgt_conn *conn);
void tgt_deliver_push_expired(struct tgt_adapter *a, struct tgt_conn *conn);

/* snd_una advanced by that many data bytes (they are out of the send queue); room has grown. */
void tgt_send_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes);
void tgt_send_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn);

/* An acceptable RST arrived: state is CLOSED, timers are off. */
void tgt_indicate_abort(struct tgt_adapter *a, struct tgt_conn *conn);
/* reason is mandatory or optional as EVT-04/05 say; the engine has suspended itself where it must.
 */
void tgt_request_upload(struct tgt_adapter *a, struct tgt_conn *conn,
			enum tgt_upload_reason reason);
/* Evidence that the neighbor forwards (new data acknowledged). */
void tgt_forward_progress(struct tgt_adapter *a, struct tgt_conn *conn);
/* TcpDoubtReachabilityRetransmissions reached. */
void tgt_reach_doubt(struct tgt_adapter *a, struct tgt_conn *conn);

/*
 * tgt_frame_xmit() - build headers and send. Returns 0; -EAGAIN when the device is full (nothing
 * was sent, the engine tries again), other -errno when the segment cannot be sent now (treated as
 * lost).
 */
int tgt_frame_xmit(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_xmit *xmit);

static inline struct tgt_counters *tgt_conn_counters(struct tgt_adapter *a,
						     const struct tgt_conn *conn)
{
	return &a->counters[conn->flags & TGT_CF_IPV6 ? TGT_V6 : TGT_V4];
}

#endif
