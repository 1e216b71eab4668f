/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_ledger.h"

#ifndef NDEBUG

#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#include "ndis/nrt_driver.h"
#include "ndis/nrt_nblq.h"
#include "ndis/nrt_private.h"

#define CALL_BITS     8 /* of NdisReserved[1]; the number of the hand-over is above them */
#define MESSAGE_BYTES 320

static const struct call_row {
	const char *name;
	enum nrt_ledger_kind kind; /* of calls that make or complete requests */
} calls[] = {
	[NRT_BY_ALLOCATION] = { "its allocation", 0 },
	[NRT_BY_SEND] = { "NdisOffloadTcpSend()", NRT_LEDGER_SEND },
	[NRT_BY_RECEIVE] = { "NdisOffloadTcpReceive()", NRT_LEDGER_RECEIVE },
	[NRT_BY_FORWARD] = { "NdisOffloadTcpForward()", NRT_LEDGER_FORWARD },
	[NRT_BY_DISCONNECT] = { "NdisOffloadTcpDisconnect()", NRT_LEDGER_DISCONNECT },
	[NRT_BY_INITIATE] = { "NdisInitiateOffload()", NRT_LEDGER_SEND },
	[NRT_BY_PLAIN_SEND] = { "NdisSendNetBufferLists()", NRT_LEDGER_PLAIN_SEND },
	[NRT_BY_SEND_COMPLETE] = { "NdisTcpOffloadSendComplete()", NRT_LEDGER_SEND },
	[NRT_BY_RECEIVE_COMPLETE] = { "NdisTcpOffloadReceiveComplete()", NRT_LEDGER_RECEIVE },
	[NRT_BY_FORWARD_COMPLETE] = { "NdisTcpOffloadForwardComplete()", NRT_LEDGER_FORWARD },
	[NRT_BY_DISCONNECT_COMPLETE] = { "NdisTcpOffloadDisconnectComplete()",
					 NRT_LEDGER_DISCONNECT },
	[NRT_BY_INITIATE_COMPLETE] = { "NdisMInitiateOffloadComplete()", NRT_LEDGER_SEND },
	[NRT_BY_TERMINATE_COMPLETE] = { "NdisMTerminateOffloadComplete()", NRT_LEDGER_SEND },
	[NRT_BY_PLAIN_SEND_COMPLETE] = { "NdisMSendNetBufferListsComplete()",
					 NRT_LEDGER_PLAIN_SEND },
	[NRT_BY_INDICATE] = { "NdisTcpOffloadReceiveHandler()", 0 },
	[NRT_BY_PLAIN_INDICATE] = { "NdisMIndicateReceiveNetBufferLists()", 0 },
	[NRT_BY_RECEIVE_RETURN] = { "NdisOffloadTcpReceiveReturn()", 0 },
	[NRT_BY_PLAIN_RETURN] = { "NdisReturnNetBufferLists()", 0 },
};

static_assert(sizeof(calls) / sizeof(calls[0]) == NRT_LEDGER_CALLS, "one row per call");

static uint64_t handovers; /* of all lists; the clock of the ledger */

/* ---- Parties --------------------------------------------------------------------------------- */

static struct nrt_driver *party_of(struct nrt_driver *driver)
{
	return driver->other_edge ? driver->other_edge : driver;
}

static struct nrt_driver *above(const struct nrt_open *open)
{
	return party_of(open->driver);
}

static struct nrt_driver *below(const struct nrt_open *open)
{
	return party_of(open->adapter->driver);
}

struct nrt_driver *nrt_ledger_party(NDIS_HANDLE handle)
{
	const uint32_t *magic = handle; /* the first member of everything that has a handle */

	switch (magic ? *magic : 0) {
	case NRT_MAGIC_MINIPORT_DRIVER:
	case NRT_MAGIC_PROTOCOL_DRIVER:
		return party_of(handle);
	case NRT_MAGIC_ADAPTER:
		return party_of(((struct nrt_adapter *)handle)->driver);
	case NRT_MAGIC_OPEN:
		return above(handle);
	default:
		return NULL;
	}
}

/* ---- One list -------------------------------------------------------------------------------- */

static struct nrt_driver *holder(const NET_BUFFER_LIST *nbl)
{
	return nbl->NdisReserved[0];
}

static void note(NET_BUFFER_LIST *nbl, struct nrt_driver *to, enum nrt_ledger_call call)
{
	uint64_t number = __atomic_add_fetch(&handovers, 1, __ATOMIC_RELAXED);

	nbl->NdisReserved[0] = to;
	nbl->NdisReserved[1] = (void *)(uintptr_t)(number << CALL_BITS | call);
}

static const char *holder_name(const NET_BUFFER_LIST *nbl)
{
	if (!holder(nbl))
		return "whoever allocated it";
	return nrt_driver_known(holder(nbl)) ? holder(nbl)->label : "a driver that is gone";
}

static void accuse(const NET_BUFFER_LIST *nbl, const struct nrt_driver *who, const char *what,
		   const char *function)
{
	uint64_t entry = (uintptr_t)nbl->NdisReserved[1];
	char message[MESSAGE_BYTES];

	snprintf(message, sizeof(message),
		 "list %p is not %s's to %s: %s has it since hand-over %llu of %llu, by %s",
		 (const void *)nbl, who->label, what, holder_name(nbl),
		 (unsigned long long)(entry >> CALL_BITS), (unsigned long long)handovers,
		 calls[entry & ((1u << CALL_BITS) - 1)].name);
	nrt_irql_bug(message, function);
}

/* A list of a driver that is gone has nobody: the note outlived a pool that outlived the driver. */
static bool has(const NET_BUFFER_LIST *nbl, const struct nrt_driver *who, bool or_nobody)
{
	if (holder(nbl) == who)
		return true;
	return or_nobody && (!holder(nbl) || !nrt_driver_known(holder(nbl)));
}

/* from has every list of the chain and to gets them. Returns: how many. */
static unsigned int hand(NET_BUFFER_LIST *chain, const struct nrt_driver *from,
			 struct nrt_driver *to, enum nrt_ledger_call call, bool or_nobody)
{
	unsigned int count = 0;
	NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		if (!has(nbl, from, or_nobody))
			accuse(nbl, from, "hand over", calls[call].name);
		note(nbl, to, call);
		count++;
	}
	return count;
}

/* ---- Requests and indications ---------------------------------------------------------------- */

void nrt_ledger_down(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call)
{
	open->lent[calls[call].kind] += hand(chain, above(open), below(open), call, true);
}

void nrt_ledger_up(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call)
{
	unsigned int count = hand(chain, below(open), above(open), call, false);
	unsigned int *lent = &open->lent[calls[call].kind];
	char message[MESSAGE_BYTES];

	if (count > *lent) {
		snprintf(message, sizeof(message), "%s gives %u lists back, but got only %u of %s",
			 below(open)->label, count, *lent, above(open)->label);
		nrt_irql_bug(message, calls[call].name);
	}
	*lent -= count;
}

void nrt_ledger_lend(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call)
{
	hand(chain, below(open), above(open), call, true);
}

void nrt_ledger_take_back(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call)
{
	hand(chain, above(open), below(open), call, false);
}

void nrt_ledger_unlend(struct nrt_driver *protocol, struct nrt_adapter *adapter,
		       NET_BUFFER_LIST *chain, enum nrt_ledger_call call)
{
	hand(chain, party_of(protocol), party_of(adapter->driver), call, false);
}

void nrt_ledger_return(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call)
{
	hand(chain, above(open), below(open), call, false);
}

void nrt_ledger_free(NET_BUFFER_LIST *nbl, const struct nrt_driver *owner)
{
	if (owner && !has(nbl, owner, true))
		accuse(nbl, owner, "free", "NdisFreeNetBufferList()");
	nbl->NdisReserved[0] = nbl->NdisReserved[1] = NULL;
}

void nrt_ledger_close(const struct nrt_open *open)
{
	static const enum nrt_ledger_call made_by[NRT_LEDGER_KINDS] = {
		[NRT_LEDGER_SEND] = NRT_BY_SEND,
		[NRT_LEDGER_RECEIVE] = NRT_BY_RECEIVE,
		[NRT_LEDGER_FORWARD] = NRT_BY_FORWARD,
		[NRT_LEDGER_DISCONNECT] = NRT_BY_DISCONNECT,
		[NRT_LEDGER_PLAIN_SEND] = NRT_BY_PLAIN_SEND,
	};
	char message[MESSAGE_BYTES];
	unsigned int kind;

	for (kind = 0; kind < NRT_LEDGER_KINDS; kind++) {
		if (!open->lent[kind])
			continue;
		snprintf(message, sizeof(message),
			 "%s closes its binding to %s, which has not completed %u lists of %s",
			 open->driver->label, open->adapter->name, open->lent[kind],
			 calls[made_by[kind]].name);
		nrt_irql_bug(message, "NdisCloseAdapterEx()");
	}
}

#else
/* ISO C wants something in every file. */
typedef int nrt_ledger_is_off;
#endif
