/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_log.h - what fake drivers were called with, in the order of the calls.
 *
 * One log may serve several fakes, then it also shows which driver was called first. A test looks
 * for calls by kind; fake_log_only() is the usual way: it fails the test unless there was exactly
 * one.
 */
#ifndef TESTS_FAKE_LOG_H
#define TESTS_FAKE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum fake_kind {
	/* miniport: life and requests */
	FAKE_MP_INITIALIZE,
	FAKE_MP_HALT,
	FAKE_MP_PAUSE,
	FAKE_MP_RESTART,
	FAKE_MP_OID,        /* pointer: request, value: OID, value2: request type */
	FAKE_MP_SEND_PLAIN, /* pointer: lists */
	FAKE_MP_RETURN_PLAIN,
	/* miniport: state operations, in the order of enum fake_op; pointer: block list */
	FAKE_MP_INITIATE,
	FAKE_MP_TERMINATE,
	FAKE_MP_UPDATE,
	FAKE_MP_INVALIDATE,
	FAKE_MP_QUERY,
	/* miniport: I/O, in the order of enum fake_io; object: MiniportOffloadContext, pointer:
	   list, value: flags */
	FAKE_MP_SEND,
	FAKE_MP_RECEIVE,
	FAKE_MP_FORWARD,
	FAKE_MP_DISCONNECT,
	FAKE_MP_RECEIVE_RETURN,
	/* protocol: life */
	FAKE_PR_BIND, /* pointer: adapter name, borrowed */
	FAKE_PR_UNBIND,
	FAKE_PR_OID_COMPLETE, /* pointer: request, value: status */
	FAKE_PR_STATUS,       /* value: StatusCode, value2: StatusBufferSize */
	FAKE_PR_PNP,          /* value: NetEvent */
	FAKE_PR_RECEIVE_PLAIN,
	FAKE_PR_SEND_PLAIN_COMPLETE,
	/* protocol: completions of state operations and I/O, in the same orders */
	FAKE_PR_INITIATE_COMPLETE,
	FAKE_PR_TERMINATE_COMPLETE,
	FAKE_PR_UPDATE_COMPLETE,
	FAKE_PR_INVALIDATE_COMPLETE,
	FAKE_PR_QUERY_COMPLETE,
	FAKE_PR_SEND_COMPLETE,
	FAKE_PR_RECEIVE_COMPLETE,
	FAKE_PR_FORWARD_COMPLETE,
	FAKE_PR_DISCONNECT_COMPLETE,
	/* protocol: indications; context: OffloadContext */
	FAKE_PR_TCP_EVENT,     /* value: EventType, value2: information */
	FAKE_PR_TCP_RECEIVE,   /* pointer: list, value: Status */
	FAKE_PR_OFFLOAD_EVENT, /* context: binding, pointer: block list, value: code, object: its
				  OffloadHandle */
	FAKE_KINDS
};

struct fake_call {
	enum fake_kind kind;
	void *context; /* first argument of the handler */
	void *object;
	void *pointer;
	uint32_t value, value2;
};

#define FAKE_LOG_CALLS 4096

struct fake_log {
	struct fake_call calls[FAKE_LOG_CALLS];
	size_t count;
};

void fake_log_add(struct fake_log *log, struct fake_call call);
void fake_log_clear(struct fake_log *log);
size_t fake_log_count(const struct fake_log *log, enum fake_kind kind);

/* fake_log_last() - NULL when there was none. fake_log_only() - fails the test unless there was one
 * and no more. */
const struct fake_call *fake_log_last(const struct fake_log *log, enum fake_kind kind);
const struct fake_call *fake_log_only(const struct fake_log *log, enum fake_kind kind);

#endif
