/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench_ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "im/im_edge.h"
#include "im/passthru/passthru.h"
#include "ndis/nrt.h"
#include "ndis/nrt_status.h"
#include "ndis/nrt_string.h"
#include "nic/nic_pair.h"
#include "sim/sim_state.h"
#include "target/tgt_conn.h"
#include "target/tgt_driver.h"

enum {
	SIDES = 2,
	PATTERN_BYTES = 64 << 10,
	QUEUE_FRAMES = 1024,
	FIRST_PORT = 1024,
	PORTS = 60000, /* connections a path */
	CHECK_BYTES = 16,
	WINDOW_SCALE = 10,
	CWND_SEGMENTS = 64,
	CHUNKS_MIN = 16384,
};

struct bench_send {
	struct bench_sock *sock;
	struct bench_send *next;
	NET_BUFFER_LIST *nbl;
	MDL *mdl;
	uint32_t bytes;
};

struct end {
	struct bench_ends *ends;
	struct nic *nic;
	struct nrt_adapter *nrt;
	struct tgt_adapter *target;
	NDIS_HANDLE binding;
	NDIS_OFFLOAD_HANDLE neighbor;
	NDIS_OFFLOAD_HANDLE *paths;
	struct bench_sock *socks;
	NET_BUFFER_LIST *taken; /* to be given back after the round */
	char top[32];           /* what the protocol driver binds to */
	unsigned int passthrus;
};

struct bench_ends {
	struct bench_ends_config config;
	struct bench_program program;
	struct end end[SIDES];
	uint32_t path_count;
	NDIS_HANDLE target_driver, protocol, pool;
	bool passthru_registered;
	uint8_t pattern[PATTERN_BYTES + BENCH_SEND_MAX];
	uint64_t received_bytes;
	bool down;             /* the connections are offloaded */
	unsigned int open_ops; /* state operations under way */
	bool quiet;            /* the end is near: the program is not told any more */
	const char *wrong;
};

static void go_wrong(struct bench_ends *ends, const char *why)
{
	if (!ends->wrong)
		ends->wrong = why;
}

/* ---- data ---- */

static void send_free(struct bench_send *send)
{
	if (send->nbl)
		NdisFreeNetBufferList(send->nbl);
	if (send->mdl)
		NdisFreeMdl(send->mdl);
	free(send);
}

/*
 * A request is made once for its place in the pattern and its length, and used again when both are
 * the same.
 */
static struct bench_send *send_get(struct bench_sock *sock, uint8_t *data, uint32_t bytes)
{
	struct bench_send *send = sock->spare;
	NDIS_HANDLE pool = sock->ends->pool;

	if (send)
		sock->spare = send->next;
	else
		send = calloc(1, sizeof(*send));
	if (!send)
		return NULL;
	if (send->nbl) {
		NdisFreeNetBufferList(send->nbl);
		NdisFreeMdl(send->mdl);
	}
	send->sock = sock;
	send->bytes = bytes;
	send->mdl = NdisAllocateMdl(pool, data, bytes);
	send->nbl = send->mdl
			    ? NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, send->mdl, 0, bytes)
			    : NULL;
	if (!send->nbl) {
		send_free(send);
		return NULL;
	}
	send->nbl->ProtocolReserved[0] = send;
	return send;
}

int bench_send(struct bench_sock *sock, uint32_t bytes)
{
	struct bench_ends *ends = sock->ends;
	struct bench_send *send =
		send_get(sock, ends->pattern + sock->queued % PATTERN_BYTES, bytes);

	if (!send)
		return -ENOMEM;
	sock->queued += bytes;
	if (NdisOffloadTcpSend(&sock->handle, send->nbl) != NDIS_STATUS_PENDING)
		go_wrong(ends, "NdisOffloadTcpSend did not pend");
	return 0;
}

static VOID send_complete(NDIS_HANDLE binding, PNET_BUFFER_LIST chain)
{
	(void)binding;
	while (chain) {
		NET_BUFFER_LIST *nbl = chain;
		struct bench_send *send = nbl->ProtocolReserved[0];
		struct bench_sock *sock = send->sock;
		struct bench_ends *ends = sock->ends;

		chain = NET_BUFFER_LIST_NEXT_NBL(nbl);
		NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
		if (NET_BUFFER_LIST_STATUS(nbl) != NDIS_STATUS_SUCCESS && !ends->quiet)
			go_wrong(ends, "a send did not succeed");
		sock->acked += send->bytes;
		send->next = sock->spare;
		sock->spare = send;
		if (ends->program.acked && !ends->quiet)
			ends->program.acked(sock, send->bytes);
	}
}

static void check(struct bench_sock *sock, const uint8_t *data, uint32_t bytes)
{
	const uint8_t *right = sock->ends->pattern + sock->received % PATTERN_BYTES;
	uint32_t part = bytes;

	if (sock->received > BENCH_CHECK_ALL && part > CHECK_BYTES)
		part = CHECK_BYTES;
	if (memcmp(data, right, part) != 0)
		go_wrong(sock->ends, "a received byte is wrong");
}

static NDIS_STATUS receive_indicate(PVOID context, PNET_BUFFER_LIST nbl, NDIS_STATUS status,
				    PULONG consumed)
{
	struct bench_sock *sock = context;
	struct bench_ends *ends = sock->ends;
	struct end *end = &ends->end[sock->side];
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	ULONG bytes = NET_BUFFER_DATA_LENGTH(nb);
	ULONG skip = NET_BUFFER_CURRENT_MDL_OFFSET(nb);
	uint32_t left = bytes;
	MDL *mdl;

	(void)status;
	for (mdl = NET_BUFFER_CURRENT_MDL(nb); mdl && left > 0; mdl = mdl->Next, skip = 0) {
		uint32_t part = MmGetMdlByteCount(mdl) - skip;

		if (part > left)
			part = left;
		check(sock,
		      (const uint8_t *)MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) + skip,
		      part);
		sock->received += part;
		left -= part;
	}
	ends->received_bytes += bytes;
	*consumed = bytes;
	NET_BUFFER_LIST_NEXT_NBL(nbl) = end->taken;
	end->taken = nbl;
	if (ends->program.received && !ends->quiet)
		ends->program.received(sock, bytes);
	return NDIS_STATUS_SUCCESS;
}

static VOID tcp_event(PVOID context, ULONG type, ULONG information)
{
	struct bench_sock *sock = context;

	(void)information;
	if (type == TcpIndicateDisconnect || type == TcpIndicateAbort ||
	    type == TcpIndicateRetrieve) {
		sock->broken = true;
		go_wrong(sock->ends, "a connection ended, or its target wanted to be rid of it");
	}
}

static VOID other_complete(NDIS_HANDLE binding, PNET_BUFFER_LIST chain)
{
	struct end *end = binding;

	(void)chain;
	go_wrong(end->ends, "a completion of a request that was never made");
}

/* ---- state operations ---- */

static void fill_neighbor(struct sim_block *block, const struct end *end)
{
	size_t at = offsetof(struct sim_block, state);
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = sim_state_next(block, &at, sizeof(*constant));
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached = sim_state_next(block, &at, sizeof(*cached));
	const struct end *other = end == end->ends->end ? end + 1 : end - 1;

	sim_state_next(block, &at, sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED));
	memcpy(constant->DlSourceAddress, nic_info(end->nic)->mac, 6);
	memcpy(cached->DlDestinationAddress, nic_info(other->nic)->mac, 6);
}

/* Each path has an address of its own at side 1: 10.1.x.x. */
static void fill_path(struct sim_block *block, const struct end *end, uint32_t path,
		      uint8_t address[2][4])
{
	size_t at = offsetof(struct sim_block, state);
	PATH_OFFLOAD_STATE_CONST *constant = sim_state_next(block, &at, sizeof(*constant));
	PATH_OFFLOAD_STATE_CACHED *cached = sim_state_next(block, &at, sizeof(*cached));
	unsigned int side = (unsigned int)(end - end->ends->end);

	memcpy(address[0], (uint8_t[4]){ 10, 0, 0, 1 }, 4);
	memcpy(address[1], (uint8_t[4]){ 10, 1, (uint8_t)(path >> 8), (uint8_t)(path + 1) }, 4);
	sim_state_next(block, &at, sizeof(PATH_OFFLOAD_STATE_DELEGATED));
	constant->SourceAddress = address[side];
	constant->DestinationAddress = address[side ^ 1];
	cached->PathMtu = end->ends->config.mtu_bytes;
}

static void fill_tcp(struct sim_block *block, const struct bench_sock *sock)
{
	const struct bench_ends_config *config = &sock->ends->config;
	size_t at = offsetof(struct sim_block, state);
	TCP_OFFLOAD_STATE_CONST *constant = sim_state_next(block, &at, sizeof(*constant));
	TCP_OFFLOAD_STATE_CACHED *cached = sim_state_next(block, &at, sizeof(*cached));
	TCP_OFFLOAD_STATE_DELEGATED *delegated = sim_state_next(block, &at, sizeof(*delegated));
	uint16_t port = htons((uint16_t)(FIRST_PORT + sock->number % PORTS));
	uint32_t mss = config->mtu_bytes - 40;
	tcp_seq iss[SIDES] = { 0x10000000u + sock->number, 0x20000000u + sock->number };

	constant->Flags = TCP_FLAG_TIMESTAMP_ENABLED | TCP_FLAG_SACK_ENABLED |
			  TCP_FLAG_WINDOW_SCALING_ENABLED;
	constant->LocalPort = sock->side == 0 ? htons(80) : port;
	constant->RemotePort = sock->side == 0 ? port : htons(80);
	constant->SndWindScale = constant->RcvWindScale = WINDOW_SCALE;
	constant->RemoteMss = (USHORT)mss;
	cached->InitialRcvWnd = config->window_bytes;
	cached->TtlOrHopLimit = 64;
	delegated->State = TcpConnectionEstablished;
	delegated->SndUna = delegated->SndNxt = delegated->SndMax =
		iss[sock->side] + (uint32_t)sock->acked;
	delegated->RcvNxt = delegated->SendWL1 = iss[sock->side ^ 1] + (uint32_t)sock->received;
	delegated->RcvWnd = delegated->SndWnd = delegated->MaxSndWnd = config->window_bytes;
	delegated->CWnd = CWND_SEGMENTS * mss;
	delegated->SsThresh = 0x7fffffff;
	delegated->SRtt = 8;
	delegated->RttVar = 4;
	delegated->TsRecent = 1000;
	delegated->TsTime = 1000;
	delegated->KeepAlive.TimeoutDelta = 0xFFFFFFFF;
	delegated->Retransmit.TimeoutDelta = 0xFFFFFFFF;
}

static VOID op_complete(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	struct end *end = binding;

	(void)root;
	end->ends->open_ops--;
}

static VOID indicate_event(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root, ULONG code)
{
	(void)binding;
	(void)root;
	(void)code;
}

static bool all_succeeded(struct bench_ends *ends, const NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *block)
{
	for (; block; block = block->NextBlock) {
		if (block->OffloadHandle && block->Status != NDIS_STATUS_SUCCESS) {
			go_wrong(ends, nrt_status_name(block->Status));
			return false;
		}
		if (!all_succeeded(ends, block->DependentBlockList))
			return false;
	}
	return true;
}

static uint32_t conns_of_path(const struct bench_ends *ends, uint32_t path)
{
	uint32_t before = path * PORTS;

	return ends->config.conns - before < PORTS ? ends->config.conns - before : PORTS;
}

/* neighbor -> path -> all connections of the path */
static void build(struct end *end, uint32_t path, bool down, struct sim_block *blocks,
		  uint8_t address[2][4])
{
	struct sim_block *neighbor = &blocks[0], *above = &blocks[1];
	uint32_t i, conns = conns_of_path(end->ends, path);
	bool last = path == end->ends->path_count - 1;

	memset(blocks, 0, sizeof(*blocks) * (conns + 2));
	if (down) {
		sim_block_init(neighbor, NeighborOffloadState, &end->neighbor);
		if (path == 0)
			fill_neighbor(neighbor, end);
		sim_block_init(above, Ip4OffloadState, &end->paths[path]);
		fill_path(above, end, path, address);
	} else {
		sim_block_init(neighbor, NeighborOffloadDelegatedState,
			       last ? &end->neighbor : NULL);
		sim_block_init(above, Ip4OffloadDelegatedState, &end->paths[path]);
		((OFFLOAD_STATE_HEADER *)(void *)above->state)->Length =
			sizeof(PATH_OFFLOAD_STATE_DELEGATED);
		if (last)
			((OFFLOAD_STATE_HEADER *)(void *)neighbor->state)->Length =
				sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED);
	}
	neighbor->list.DependentBlockList = &above->list;
	for (i = 0; i < conns; i++) {
		struct bench_sock *sock = &end->socks[path * PORTS + i];
		struct sim_block *block = &blocks[i + 2];

		sim_block_init(block, down ? TcpOffloadState : TcpOffloadDelegatedState,
			       &sock->handle);
		if (down)
			fill_tcp(block, sock);
		else
			((OFFLOAD_STATE_HEADER *)(void *)block->state)->Length =
				sizeof(TCP_OFFLOAD_STATE_DELEGATED);
		if (i == 0)
			above->list.DependentBlockList = &block->list;
		else
			blocks[i + 1].list.NextBlock = &block->list;
	}
}

static void give_back(struct end *end)
{
	NET_BUFFER_LIST *taken = end->taken;

	end->taken = NULL;
	if (taken)
		NdisOffloadTcpReceiveReturn(end->binding, taken);
}

/*
 * What a terminate hands back: sends that were not acknowledged, received data that was not taken.
 */
static void take_back(struct end *end, struct sim_block *blocks, uint32_t conns)
{
	for (uint32_t i = 0; i < conns; i++) {
		struct sim_block *block = &blocks[i + 2];
		TCP_OFFLOAD_STATE_DELEGATED *delegated = (void *)block->state;
		NET_BUFFER_LIST *nbl = block->list.NetBufferListChain;

		while (nbl) {
			struct bench_send *send = nbl->ProtocolReserved[0];

			nbl = NET_BUFFER_LIST_NEXT_NBL(nbl);
			send->next = send->sock->spare;
			send->sock->spare = send;
		}
		if (delegated->BufferedData)
			NdisOffloadTcpReceiveReturn(end->binding, delegated->BufferedData);
	}
}

/* One tree; returns microseconds between the call and its completion. */
static int64_t operate(struct end *end, uint32_t path, bool down)
{
	struct bench_ends *ends = end->ends;
	struct sim_block *blocks = malloc(sizeof(*blocks) * (conns_of_path(ends, path) + 2u));
	uint8_t address[2][4];
	uint64_t start;
	int64_t spent;

	if (!blocks)
		return -ENOMEM;
	build(end, path, down, blocks, address);
	start = clock_monotonic_us();
	tgt_adapter_set_now(end->target, start);
	ends->open_ops++;
	if (down)
		NdisInitiateOffload(end->binding, &blocks->list);
	else
		NdisTerminateOffload(end->binding, &blocks->list);
	while (ends->open_ops > 0) {
		tgt_adapter_run(end->target, clock_monotonic_us());
		give_back(end);
	}
	spent = (int64_t)(clock_monotonic_us() - start);
	if (!all_succeeded(ends, &blocks->list))
		spent = -EIO;
	if (!down)
		take_back(end, blocks, conns_of_path(ends, path));
	free(blocks);
	return spent;
}

static int64_t operate_all(struct bench_ends *ends, bool down)
{
	int64_t sum = 0;

	for (unsigned int side = 0; side < SIDES; side++) {
		for (uint32_t path = 0; path < ends->path_count; path++) {
			int64_t spent = operate(&ends->end[side], path, down);

			if (spent < 0)
				return spent;
			sum += spent;
		}
	}
	ends->down = down;
	return sum;
}

int64_t bench_ends_offload(struct bench_ends *ends)
{
	return operate_all(ends, true);
}

int64_t bench_ends_upload(struct bench_ends *ends)
{
	return operate_all(ends, false);
}

bool bench_ends_run(struct bench_ends *ends)
{
	uint64_t now_us = clock_monotonic_us();
	bool more = false;

	for (unsigned int side = 0; side < SIDES; side++) {
		struct end *end = &ends->end[side];

		more |= tgt_adapter_run(end->target, now_us) || end->taken;
		give_back(end);
	}
	return more;
}

/* ---- the stack ---- */

static NDIS_STATUS bind_adapter(NDIS_HANDLE context, NDIS_HANDLE bind_context,
				PNDIS_BIND_PARAMETERS params)
{
	struct bench_ends *ends = context;
	for (unsigned int side = 0; side < SIDES; side++) {
		struct end *end = &ends->end[side];

		if (nrt_string_is(params->AdapterName, end->top, false))
			return im_open_below(ends->protocol, end, bind_context, params->AdapterName,
					     &end->binding);
	}
	return NDIS_STATUS_FAILURE;
}

static NDIS_STATUS unbind_adapter(NDIS_HANDLE unbind_context, NDIS_HANDLE binding)
{
	(void)unbind_context;
	return NdisCloseAdapterEx(((struct end *)binding)->binding);
}

static VOID open_complete(NDIS_HANDLE binding, NDIS_STATUS status)
{
	(void)binding;
	(void)status;
}

static VOID close_complete(NDIS_HANDLE binding)
{
	(void)binding;
}

static VOID oid_complete(NDIS_HANDLE binding, PNDIS_OID_REQUEST request, NDIS_STATUS status)
{
	(void)binding;
	(void)request;
	(void)status;
}

static VOID status_indication(NDIS_HANDLE binding, PNDIS_STATUS_INDICATION indication)
{
	(void)binding;
	(void)indication;
}

static VOID plain_receive(NDIS_HANDLE binding, PNET_BUFFER_LIST chain, NDIS_PORT_NUMBER port,
			  ULONG count, ULONG flags)
{
	struct end *end = binding;

	(void)port;
	(void)count;
	go_wrong(end->ends, "a frame of no connection");
	if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
		NdisReturnNetBufferLists(end->binding, chain, 0);
}

static VOID plain_send_complete(NDIS_HANDLE binding, PNET_BUFFER_LIST chain, ULONG flags)
{
	(void)binding;
	(void)chain;
	(void)flags;
}

static NDIS_STATUS set_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
			.Size = sizeof(generic),
		},
		.InitiateOffloadCompleteHandler = op_complete,
		.TerminateOffloadCompleteHandler = op_complete,
		.UpdateOffloadCompleteHandler = op_complete,
		.InvalidateOffloadCompleteHandler = op_complete,
		.QueryOffloadCompleteHandler = op_complete,
		.IndicateOffloadEventHandler = indicate_event,
	};
	NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
			.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
			.Size = sizeof(tcp),
		},
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendCompleteHandler = send_complete,
		.TcpOffloadReceiveCompleteHandler = other_complete,
		.TcpOffloadDisconnectCompleteHandler = other_complete,
		.TcpOffloadForwardCompleteHandler = other_complete,
		.TcpOffloadEventHandler = tcp_event,
		.TcpOffloadReceiveIndicateHandler = receive_indicate,
	};
	NDIS_STATUS status;

	(void)context;
	status = NdisSetOptionalHandlers(driver, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&generic);
	if (status == NDIS_STATUS_SUCCESS)
		status = NdisSetOptionalHandlers(driver, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&tcp);
	return status;
}

static int register_protocol(struct bench_ends *ends)
{
	static uint16_t name[] = { 'b', 'e', 'n', 'c', 'h', 0 };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS characteristics = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
			.Revision = NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
			.Size = NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
		},
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Name = { .Length = 10, .MaximumLength = 12, .Buffer = name },
		.SetOptionsHandler = set_options,
		.BindAdapterHandlerEx = bind_adapter,
		.UnbindAdapterHandlerEx = unbind_adapter,
		.OpenAdapterCompleteHandlerEx = open_complete,
		.CloseAdapterCompleteHandlerEx = close_complete,
		.OidRequestCompleteHandler = oid_complete,
		.StatusHandlerEx = status_indication,
		.ReceiveNetBufferListsHandler = plain_receive,
		.SendNetBufferListsCompleteHandler = plain_send_complete,
	};
	int err = nrt_errno_from_status(
		NdisRegisterProtocolDriver(ends, &characteristics, &ends->protocol));

	if (err)
		return err;
	ends->pool = im_pool_create();
	return ends->pool ? 0 : -ENOMEM;
}

static int insert_passthrus(struct end *end, unsigned int side)
{
	struct bench_ends *ends = end->ends;
	char below[32];
	int err = 0;

	if (ends->config.passthru > 0 && !ends->passthru_registered) {
		err = passthru_driver_register();
		ends->passthru_registered = err == 0;
	}
	for (unsigned int i = 0; i < ends->config.passthru && err == 0; i++) {
		memcpy(below, end->top, sizeof(below));
		snprintf(end->top, sizeof(end->top), "bench%u.pt%u", side, i);
		err = passthru_insert(below, end->top);
		end->passthrus += err == 0;
	}
	return err;
}

static int end_open(struct bench_ends *ends, unsigned int side)
{
	struct end *end = &ends->end[side];
	uint32_t conns = ends->config.conns;
	struct tgt_adapter_config config = {
		.name = end->top,
		.nic = end->nic,
		.limits = {
			.tcp_entries = conns,
			.path_entries = ends->path_count,
			.neighbor_entries = 1,
			.ip_addresses = ends->path_count,
			.rcv_window_bytes = ends->config.window_bytes,
			.chunks = conns < CHUNKS_MIN ? CHUNKS_MIN : conns,
		},
		.hash_key = 0x5eed,
		.now_us = clock_monotonic_us(),
	};
	struct nrt_adapter_params params = { .name = end->top, .add_device_context = &config };
	int err;

	end->ends = ends;
	snprintf(end->top, sizeof(end->top), "bench%u", side);
	end->paths = calloc(ends->path_count, sizeof(*end->paths));
	end->socks = calloc(conns, sizeof(*end->socks));
	if (!end->paths || !end->socks)
		return -ENOMEM;
	for (uint32_t i = 0; i < conns; i++)
		end->socks[i] =
			(struct bench_sock){ .ends = ends, .number = i, .side = (uint8_t)side };
	err = nrt_adapter_create(ends->target_driver, &params, &end->nrt);
	if (err)
		return err;
	end->target = tgt_adapter_find(end->top);
	err = insert_passthrus(end, side);
	if (err == 0)
		err = nrt_bind(ends->protocol, end->top);
	return err ? err : sim_host_enable_offload(end->binding);
}

static int open_nics(struct bench_ends *ends)
{
	struct nic_pair_config config = {
		.mtu_bytes = ends->config.mtu_bytes,
		.tso = ends->config.tso,
		.no_csum = ends->config.csum,
		.queue_frames = QUEUE_FRAMES,
		.mac = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } },
	};
	struct nic *nics[SIDES];
	int err = nic_pair_create(nics, &config);

	for (unsigned int side = 0; side < SIDES && err == 0; side++)
		ends->end[side].nic = nics[side];
	return err;
}

static void fill_pattern(struct bench_ends *ends)
{
	uint32_t x = 0x2545F491;

	for (size_t i = 0; i < PATTERN_BYTES; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		ends->pattern[i] = (uint8_t)x;
	}
	for (size_t i = PATTERN_BYTES; i < sizeof(ends->pattern); i++)
		ends->pattern[i] = ends->pattern[i - PATTERN_BYTES];
}

int bench_ends_open(struct bench_ends **out, const struct bench_ends_config *config,
		    const struct bench_program *program)
{
	struct bench_ends *ends = calloc(1, sizeof(*ends));
	int err;

	if (!ends)
		return -ENOMEM;
	ends->config = *config;
	ends->program = *program;
	ends->path_count = (config->conns + PORTS - 1) / PORTS;
	fill_pattern(ends);
	err = open_nics(ends);
	if (err == 0)
		err = tgt_driver_register(&ends->target_driver);
	if (err == 0)
		err = register_protocol(ends);
	for (unsigned int side = 0; side < SIDES && err == 0; side++)
		err = end_open(ends, side);
	if (err) {
		bench_ends_close(ends);
		return err;
	}
	*out = ends;
	return 0;
}

static void end_close(struct bench_ends *ends, unsigned int side)
{
	struct end *end = &ends->end[side];
	char name[32];

	if (end->binding)
		(void)nrt_unbind(ends->protocol, end->top);
	while (end->passthrus > 0) {
		snprintf(name, sizeof(name), "bench%u.pt%u", side, --end->passthrus);
		(void)passthru_remove(name);
	}
	if (end->nrt)
		(void)nrt_adapter_destroy(end->nrt);
	for (uint32_t i = 0; end->socks && i < ends->config.conns; i++) {
		while (end->socks[i].spare) {
			struct bench_send *send = end->socks[i].spare;

			end->socks[i].spare = send->next;
			send_free(send);
		}
	}
	free(end->socks);
	free(end->paths);
}

void bench_ends_close(struct bench_ends *ends)
{
	ends->quiet = true;
	if (ends->down)
		(void)bench_ends_upload(ends);
	for (unsigned int side = 0; side < SIDES; side++)
		end_close(ends, side);
	for (unsigned int side = 0; side < SIDES; side++) {
		if (ends->end[side].nic)
			nic_close(ends->end[side].nic);
	}
	if (ends->passthru_registered)
		passthru_driver_deregister();
	if (ends->pool)
		NdisFreeNetBufferListPool(ends->pool);
	if (ends->protocol)
		NdisDeregisterProtocolDriver(ends->protocol);
	if (ends->target_driver)
		tgt_driver_deregister(ends->target_driver);
	free(ends);
}

struct bench_sock *bench_ends_sock(struct bench_ends *ends, uint32_t number, unsigned int side)
{
	return &ends->end[side].socks[number];
}

void bench_ends_count(const struct bench_ends *ends, struct bench_ends_count *count)
{
	count->frames = 0;
	count->bytes = ends->received_bytes;
	for (unsigned int side = 0; side < SIDES; side++) {
		struct nic_stats stats;

		nic_stats(ends->end[side].nic, &stats);
		count->frames += stats.tx_frames;
	}
}

const char *bench_ends_wrong(const struct bench_ends *ends)
{
	return ends->wrong;
}
