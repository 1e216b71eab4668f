/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_spy - stands between the host driver and NDIS: the linker gives it the host's calls
 * (--wrap), and it registers its own client handlers in place of the host's. What passes is counted
 * and shown to the test, and may be held back or changed on its way; then it goes on to the real
 * receiver.
 *
 * Context: the one thread of the test.
 */
#ifndef TESTS_UNIT_HOST_HOST_SPY_H
#define TESTS_UNIT_HOST_HOST_SPY_H

#include "host/host_int.h"

#define SPY_OPS 5 /* enum host_op_kind */

struct spy {
	struct host *host; /* that registered last */

	/* As the host registered them. */
	unsigned int generic_sets, tcp_sets; /* inside ProtocolSetOptions */
	unsigned int outside_sets;           /* anywhere else */
	NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic;
	NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp;

	/* Object requests of the host. */
	unsigned int oid_sets;
	unsigned int oid_queries; /* of capabilities */
	NDIS_OID set_oid;
	UINT set_len;
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params;
	uint32_t capacity_at_set; /* what the host knew of the target then */
	uint32_t offloaded_at_set;

	/* State operations. */
	unsigned int ops[SPY_OPS], completed[SPY_OPS];
	void (*down)(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);
	void (*up)(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);
	bool hold[SPY_OPS]; /* keep the next completion until spy_release() */
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *held[SPY_OPS];
	NDIS_HANDLE held_context;
	bool keep_retrieves; /* the host does not hear that the target wants to be rid of one */
	bool busy_terminate; /* a terminate came while another call of the host was open */

	/* Bytes. */
	uint32_t receive_bytes; /* of the last receive request */
	unsigned int sends, receives, disconnects, forwards;
	unsigned int depth;    /* calls of the three that have not returned */
	unsigned int overlaps; /* of the same connection */
	bool odd_list;         /* a list with another number of NET_BUFFERs than one */
	bool odd_info;         /* a send that asks for more than sending */
	bool poke;             /* indicate a backlog change from inside every such call */
	bool keep_sends;
	NET_BUFFER_LIST *kept, **kept_tail;
	ULONG disconnect_flags, disconnect_len;
	unsigned int disconnected;
	bool fail_disconnect;
	NET_BUFFER_LIST *watched; /* list whose release is counted */
	unsigned int watched_freed;

	/* Indications and what the host answered. */
	unsigned int accepted, partly, refused;
	bool wrong_answer; /* status and *BytesConsumed do not fit together */
	unsigned int events[TcpIndicateAbort + 1];
	ULONG last_reason;
};

extern struct spy spy;

void spy_clear(void); /* counters and wishes; what was registered stays */
void spy_release(enum host_op_kind kind);
/* spy_return_sends() - complete what was kept as an intermediate driver does in a terminate. */
void spy_return_sends(struct host_adapter *adapter);

#endif
