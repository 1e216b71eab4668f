/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tm_state.c - the five state operations: initiate, terminate, update, invalidate, query.
 *
 * A handler queues the tree; tm_ops_run() carries it out in a turn of its own and completes it. A
 * tree is walked depth first, every block gets a Status. What a block means is told by its
 * MiniportOffloadContext:
 *     NULL              placeholder: only its links count
 *     points to NULL    a new object (in an initiate); its state follows the block
 *     points to other   names an object of ours; in an initiate a linker
 */
#include "tm.h"

#include <stdlib.h>
#include <string.h>

typedef NDIS_MINIPORT_OFFLOAD_BLOCK_LIST block;

enum op { INITIATE, TERMINATE, UPDATE, INVALIDATE, QUERY };

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool is_placeholder(const block *b)
{
	return !b->MiniportOffloadContext;
}

static struct tm_object *object_of(const block *b)
{
	return b->MiniportOffloadContext ? *b->MiniportOffloadContext : NULL;
}

static enum tm_kind layer_of(const block *b)
{
	if (b->Header.Type >= TcpOffloadConstState)
		return TM_CONN;
	return b->Header.Type >= Ip4OffloadConstState ? TM_PATH : TM_NEIGHBOR;
}

/* The object that a block names, when it is one of the layer that its Type says. */
static struct tm_object *named(const block *b)
{
	struct tm_object *object = object_of(b);

	return object && object->kind == layer_of(b) ? object : NULL;
}

/* The structures behind a block, by class; NULL: not there. */
struct states {
	void *constant, *cached, *delegated;
};

static struct states states_of(const block *b)
{
	/* Types come in fours: const, cached, delegated, all of them; TCP has one more in between. */
	unsigned int type = b->Header.Type;
	unsigned int class = type == TcpOffloadState ? 3 : (type - NeighborOffloadConstState) % 4;
	OFFLOAD_STATE_HEADER *at = NdisOffloadFirstState(b);
	struct states s = { 0 };

	if (class == 0 || class == 3)
		s.constant = at;
	if (class == 3)
		at = NdisOffloadNextState(at);
	if (class == 1 || class == 3)
		s.cached = at;
	if (class == 3)
		at = NdisOffloadNextState(at);
	if (class == 2 || class == 3)
		s.delegated = at;
	return s;
}

/* The smaller of what we know and what the sender says is there. */
static void take(void *to, const void *from, size_t size)
{
	const OFFLOAD_STATE_HEADER *header = from;

	memcpy(to, from, header->Length < size ? header->Length : size);
}

/* Everything but the header, which is the host's. */
static void give(void *to, const void *from, size_t size)
{
	OFFLOAD_STATE_HEADER *header = to;
	size_t room = header->Length < size ? header->Length : size;

	if (room > sizeof(*header))
		memcpy((uint8_t *)to + sizeof(*header), (const uint8_t *)from + sizeof(*header),
		       room - sizeof(*header));
}

/* ---- initiate -------------------------------------------------------------------------------- */

static struct tm_object *make(unsigned int *count, unsigned int most, size_t bytes,
			      enum tm_kind kind)
{
	struct tm_object *object = *count < most ? calloc(1, bytes) : NULL;

	if (object) {
		object->kind = kind;
		++*count;
	}
	return object;
}

static NDIS_STATUS new_neighbor(struct tm_adapter *a, const block *b, struct tm_object **out)
{
	static const uint8_t none[6];
	const NEIGHBOR_OFFLOAD_STATE_CONST *constant = states_of(b).constant;
	const NEIGHBOR_OFFLOAD_STATE_CACHED *cached = states_of(b).cached;
	struct tm_neighbor *n;

	if (constant->VlanId)
		return NDIS_STATUS_OFFLOAD_VLAN_ENTRIES;
	if (memcmp(constant->DlSourceAddress, none, 6) &&
	    memcmp(constant->DlSourceAddress, a->nic->mac, 6))
		return NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES;
	n = (void *)make(&a->neighbor_count, TM_NEIGHBORS_MAX, sizeof(*n), TM_NEIGHBOR);
	if (!n)
		return NDIS_STATUS_OFFLOAD_NEIGHBOR_ENTRIES;
	memcpy(n->mac, cached->DlDestinationAddress, 6);
	n->progress_us = a->now_us;
	*out = &n->object;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS new_path(struct tm_adapter *a, const block *b, struct tm_object *neighbor,
			    struct tm_object **out)
{
	const PATH_OFFLOAD_STATE_CONST *constant = states_of(b).constant;
	const PATH_OFFLOAD_STATE_CACHED *cached = states_of(b).cached;
	struct tm_path *path;

	if (b->Header.Type != Ip4OffloadState || !neighbor)
		return NDIS_STATUS_FAILURE;
	if (cached->PathMtu > a->nic->mtu_bytes)
		return NDIS_STATUS_OFFLOAD_PATH_MTU;
	path = (void *)make(&a->path_count, TM_PATHS_MAX, sizeof(*path), TM_PATH);
	if (!path)
		return NDIS_STATUS_OFFLOAD_PATH_ENTRIES;
	path->neighbor = (struct tm_neighbor *)neighbor;
	memcpy(path->local, constant->SourceAddress, 4);
	memcpy(path->remote, constant->DestinationAddress, 4);
	path->mtu_bytes = cached->PathMtu;
	neighbor->users++;
	*out = &path->object;
	return NDIS_STATUS_SUCCESS;
}

/* Received bytes that the host's program has not read yet. They wait for a receive request. */
static bool take_buffered(struct tm_conn *conn, const NET_BUFFER_LIST *chain)
{
	uint32_t bytes = 0, room;
	const NET_BUFFER_LIST *nbl;

	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
		bytes += tm_list_bytes(nbl);
	room = bytes + conn->d.RcvWnd;
	conn->rx_size = room > conn->cached.InitialRcvWnd ? room : conn->cached.InitialRcvWnd;
	conn->rx = malloc(conn->rx_size ? conn->rx_size : 1);
	if (!conn->rx)
		return false;
	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
		conn->rx_bytes += tm_list_read(nbl, 0, conn->rx + conn->rx_bytes, bytes);
	conn->rx_pushed = conn->rx_bytes;
	conn->held = conn->rx_bytes > 0;
	return true;
}

static uint64_t when(const struct tm_adapter *a, ULONG ticks)
{
	return ticks == TM_TICKS_STOPPED ? 0 : a->now_us + tm_ticks_us(a, ticks);
}

/* What the peer has not acknowledged yet becomes the first sends of the connection. */
static void take_sends(struct tm_conn *conn, const block *b)
{
	NET_BUFFER_LIST *nbl = b->NetBufferListChain, *next;

	for (; nbl; nbl = next) {
		next = NET_BUFFER_LIST_NEXT_NBL(nbl);
		nbl->MiniportReserved[0] = nbl->MiniportReserved[1] = NULL;
		conn->send_bytes += tm_list_bytes(nbl);
		tm_chain_add(&conn->sends, nbl);
	}
}

/*
 * The state says the rest: whether our FIN is on its way, or the peer's was received. The latter is
 * told (again) when all bytes before it are taken.
 */
static bool take_state(struct tm_conn *conn)
{
	switch (conn->d.State) {
	case TcpConnectionEstablished:
		return true;
	case TcpConnectionFinWait1:
		conn->fin = true;
		return true;
	case TcpConnectionFinWait2:
		conn->fin = conn->fin_acked = true;
		return true;
	case TcpConnectionClosing:
	case TcpConnectionLastAck:
		conn->fin = true;
		break;
	case TcpConnectionCloseWait:
		break;
	default:
		return false;
	}
	conn->fin_received = true;
	return true;
}

static NDIS_STATUS fill_conn(struct tm_conn *conn, const block *b)
{
	struct tm_adapter *a = conn->adapter;
	struct states s = states_of(b);

	take(&conn->constant, s.constant, sizeof(conn->constant));
	take(&conn->cached, s.cached, sizeof(conn->cached));
	take(&conn->d, s.delegated, sizeof(conn->d));
	if (!take_state(conn))
		return NDIS_STATUS_OFFLOAD_CONNECTION_REJECTED;
	if (conn->cached.InitialRcvWnd > TM_WINDOW_MAX || conn->d.RcvWnd > TM_WINDOW_MAX)
		return NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW;
	if (!take_buffered(conn, conn->d.BufferedData))
		return NDIS_STATUS_FAILURE;
	conn->srtt_us = (uint32_t)tm_ticks_us(a, conn->d.SRtt) / 8;
	conn->rttvar_us = (uint32_t)tm_ticks_us(a, conn->d.RttVar) / 4;
	conn->started_us = a->now_us;
	conn->ts_recent_us = conn->d.TsRecent ? a->now_us : 0;
	if (conn->d.SndNxt != conn->d.SndUna)
		conn->rto_at_us = when(a, conn->d.Retransmit.TimeoutDelta);
	if (conn->d.SndNxt != conn->d.SndUna && !conn->rto_at_us)
		conn->rto_at_us = a->now_us + tm_ticks_us(a, a->params.TicksPerSecond);
	tm_keepalive_restart(conn);
	take_sends(conn, b);
	return NDIS_STATUS_SUCCESS;
}

static void free_conn(struct tm_conn *conn)
{
	free(conn->rx);
	free(conn);
}

static NDIS_STATUS new_conn(struct tm_adapter *a, const block *b, struct tm_object *path,
			    struct tm_object **out)
{
	struct tm_conn *conn;
	NDIS_STATUS status;

	if (b->Header.Type != TcpOffloadState || !path)
		return NDIS_STATUS_FAILURE;
	conn = (void *)make(&a->conn_count, TM_CONNS_MAX, sizeof(*conn), TM_CONN);
	if (!conn)
		return NDIS_STATUS_OFFLOAD_TCP_ENTRIES;
	conn->adapter = a;
	conn->path = (struct tm_path *)path;
	conn->handle = b->NdisOffloadHandle;
	status = fill_conn(conn, b);
	if (status != NDIS_STATUS_SUCCESS) {
		a->conn_count--;
		free_conn(conn);
		return status;
	}
	path->users++;
	conn->next = a->conns;
	a->conns = conn;
	*out = &conn->object;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS new_object(struct tm_adapter *a, const block *b, struct tm_object *parent)
{
	struct tm_object *object = NULL;
	NDIS_STATUS status;

	switch (layer_of(b)) {
	case TM_NEIGHBOR:
		status = new_neighbor(a, b, &object);
		break;
	case TM_PATH:
		status = new_path(a, b, parent, &object);
		break;
	default:
		status = new_conn(a, b, parent, &object);
	}
	if (status == NDIS_STATUS_SUCCESS)
		*b->MiniportOffloadContext = object;
	return status;
}

static void fail_row(block *row)
{
	for (; row; row = row->NextBlock) {
		row->Status = is_placeholder(row) ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE;
		fail_row(row->DependentBlockList);
	}
}

static bool is_good(NDIS_STATUS status)
{
	return status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

/* What the immediate dependents make of the status of a block whose own state is here. */
static NDIS_STATUS judge(const block *b, bool linker)
{
	unsigned int good = 0, bad = 0;
	const block *d;

	for (d = b->DependentBlockList; d; d = d->NextBlock) {
		if (is_placeholder(d))
			continue;
		good += is_good(d->Status);
		bad += !is_good(d->Status);
	}
	if (!bad)
		return NDIS_STATUS_SUCCESS;
	return linker && !good ? NDIS_STATUS_FAILURE : NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

static void initiate_row(struct tm_adapter *a, block *row, struct tm_object *parent)
{
	for (; row; row = row->NextBlock) {
		bool fresh = !is_placeholder(row) && !object_of(row);

		row->Status = NDIS_STATUS_SUCCESS;
		if (fresh)
			row->Status = new_object(a, row, parent);
		else if (!is_placeholder(row) && !named(row))
			row->Status = NDIS_STATUS_FAILURE;
		if (row->Status != NDIS_STATUS_SUCCESS) {
			fail_row(row->DependentBlockList);
			continue;
		}
		initiate_row(a, row->DependentBlockList, object_of(row));
		if (!is_placeholder(row))
			row->Status = judge(row, !fresh);
	}
}

/* After the completion has returned the tree is gone, so new connections are told by their flag. */
static void initiate(struct tm_adapter *a, block *root)
{
	struct tm_conn *conn;

	initiate_row(a, root, NULL);
	NdisMInitiateOffloadComplete(a->miniport, root);
	for (conn = a->conns; conn; conn = conn->next)
		conn->live = true;
	a->work = true;
}

/* ---- query ----------------------------------------------------------------------------------- */

static ULONG ticks_left(const struct tm_adapter *a, uint64_t at_us)
{
	if (!at_us)
		return TM_TICKS_STOPPED;
	return at_us > a->now_us ? tm_us_ticks(a, at_us - a->now_us) + 1 : 0;
}

static USHORT scaled_ticks(const struct tm_adapter *a, uint64_t us)
{
	uint32_t ticks = tm_us_ticks(a, us);

	return us && !ticks ? 1 : ticks > 0xffff ? 0xffff : (USHORT)ticks;
}

static TCP_OFFLOAD_STATE_DELEGATED delegated_now(const struct tm_conn *conn)
{
	const struct tm_adapter *a = conn->adapter;
	TCP_OFFLOAD_STATE_DELEGATED d = conn->d;

	d.SRtt = scaled_ticks(a, 8ull * conn->srtt_us);
	d.RttVar = scaled_ticks(a, 4ull * conn->rttvar_us);
	d.TsTime = tm_timestamp(conn);
	d.TsRecentAge =
		conn->ts_recent_us ? tm_us_ticks(a, a->now_us - conn->ts_recent_us) : 0xffffffffu;
	d.Retransmit.TimeoutDelta = ticks_left(a, conn->rto_at_us);
	d.KeepAlive.TimeoutDelta = ticks_left(a, conn->ka_at_us);
	d.SendDataHead = d.SendDataTail = NULL;
	d.BufferedData = NULL;
	return d;
}

static void query_conn(const struct tm_conn *conn, struct states s)
{
	TCP_OFFLOAD_STATE_DELEGATED d = delegated_now(conn);

	if (s.constant)
		give(s.constant, &conn->constant, sizeof(conn->constant));
	if (s.cached)
		give(s.cached, &conn->cached, sizeof(conn->cached));
	d.SendBacklogSize = 0xffffffffu; /* not supported */
	d.ReceiveBacklogSize = conn->rx_bytes;
	if (s.delegated)
		give(s.delegated, &d, sizeof(d));
}

static void query_path(const struct tm_path *path, struct states s)
{
	PATH_OFFLOAD_STATE_CACHED cached = { .PathMtu = path->mtu_bytes };

	if (s.cached)
		give(s.cached, &cached, sizeof(cached));
}

static void query_neighbor(const struct tm_adapter *a, const struct tm_neighbor *n, struct states s)
{
	NEIGHBOR_OFFLOAD_STATE_DELEGATED delegated = {
		.NicReachabilityDelta = tm_us_ticks(a, a->now_us - n->progress_us),
	};
	NEIGHBOR_OFFLOAD_STATE_CACHED cached = { .HostReachabilityDelta = 0 };

	memcpy(cached.DlDestinationAddress, n->mac, 6);
	if (s.cached)
		give(s.cached, &cached, sizeof(cached));
	if (s.delegated)
		give(s.delegated, &delegated, sizeof(delegated));
}

static void query_object(const struct tm_adapter *a, const block *b, struct tm_object *object)
{
	if (object->kind == TM_CONN)
		query_conn((struct tm_conn *)object, states_of(b));
	else if (object->kind == TM_PATH)
		query_path((struct tm_path *)object, states_of(b));
	else
		query_neighbor(a, (struct tm_neighbor *)object, states_of(b));
}

/* ---- update ---------------------------------------------------------------------------------- */

static bool update_conn(struct tm_conn *conn, const TCP_OFFLOAD_STATE_CACHED *cached)
{
	uint8_t *grown;

	if (cached->InitialRcvWnd > TM_WINDOW_MAX)
		return false;
	if (cached->InitialRcvWnd > conn->rx_size) {
		grown = realloc(conn->rx, cached->InitialRcvWnd);
		if (!grown)
			return false;
		conn->rx = grown;
		conn->rx_size = cached->InitialRcvWnd;
	}
	take(&conn->cached, cached, sizeof(conn->cached));
	tm_keepalive_restart(conn);
	if (cached->Flags & TCP_FLAG_MAX_RT_RESTART)
		conn->d.TotalRT = 0;
	tm_window_open(conn);
	return true;
}

static bool update_object(struct tm_adapter *a, const block *b, struct tm_object *object)
{
	const void *cached = states_of(b).cached;
	uint32_t mtu_bytes;

	if (!cached)
		return true; /* it is here for its links */
	if (object->kind == TM_CONN)
		return update_conn((struct tm_conn *)object, cached);
	if (object->kind == TM_NEIGHBOR) {
		memcpy(((struct tm_neighbor *)object)->mac,
		       ((const NEIGHBOR_OFFLOAD_STATE_CACHED *)cached)->DlDestinationAddress, 6);
		return true;
	}
	mtu_bytes = ((const PATH_OFFLOAD_STATE_CACHED *)cached)->PathMtu;
	if (mtu_bytes > a->nic->mtu_bytes)
		return false;
	((struct tm_path *)object)->mtu_bytes = mtu_bytes;
	return true;
}

/* A path below the block of another neighbor moves there, with all its connections. */
static void relink(struct tm_object *object, struct tm_object *parent)
{
	struct tm_path *path = (struct tm_path *)object;

	if (object->kind != TM_PATH || !parent || parent->kind != TM_NEIGHBOR)
		return;
	path->neighbor->object.users--;
	path->neighbor = (struct tm_neighbor *)parent;
	parent->users++;
}

/* ---- invalidate ------------------------------------------------------------------------------ */

static void invalidate_object(struct tm_adapter *a, struct tm_object *object)
{
	struct tm_conn *conn;

	object->invalid = true;
	for (conn = a->conns; conn; conn = conn->next)
		if (&conn->object == object || &conn->path->object == object ||
		    &conn->path->neighbor->object == object)
			tm_ask_back(conn, InvalidState);
}

/* ---- these three, over a tree ---------------------------------------------------------------- */

static bool apply(struct tm_adapter *a, enum op op, const block *b, struct tm_object *parent)
{
	struct tm_object *object = named(b);

	if (!object)
		return false;
	if (op == QUERY) {
		query_object(a, b, object);
	} else if (op == INVALIDATE) {
		invalidate_object(a, object);
	} else {
		if (object->invalid || !update_object(a, b, object))
			return false;
		relink(object, parent);
	}
	return true;
}

static void apply_row(struct tm_adapter *a, enum op op, block *row, struct tm_object *parent)
{
	for (; row; row = row->NextBlock) {
		bool good = is_placeholder(row) || apply(a, op, row, parent);

		row->Status = good ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE;
		apply_row(a, op, row->DependentBlockList, named(row));
	}
}

/* ---- terminate ------------------------------------------------------------------------------- */

static struct tm_object *parent_of(struct tm_object *object)
{
	if (object->kind == TM_CONN)
		return &((struct tm_conn *)object)->path->object;
	return object->kind == TM_PATH ? &((struct tm_path *)object)->neighbor->object : NULL;
}

/* Objects leave with everything that depends on them, or not at all. */
static void mark_row(block *row)
{
	struct tm_object *object, *parent;

	for (; row; row = row->NextBlock) {
		object = named(row);
		if (object && !object->leaving) {
			object->leaving = true;
			parent = parent_of(object);
			if (parent)
				parent->leavers++;
		}
		mark_row(row->DependentBlockList);
	}
}

static void give_up_sends(struct tm_conn *conn, block *b, TCP_OFFLOAD_STATE_DELEGATED *d)
{
	b->NetBufferListChain = conn->sends.head;
	d->SendDataHead = conn->sends.head;
	d->SendDataTail = conn->sends.head ? conn->sends.tail : NULL;
	conn->sends.head = NULL;
}

/* Requests end, unacknowledged data travels with the block, unread data with the state. */
static NDIS_STATUS terminate_conn(struct tm_conn *conn, block *b)
{
	TCP_OFFLOAD_STATE_DELEGATED d, *to = states_of(b).delegated;
	NET_BUFFER_LIST *unread = NULL;

	if (conn->rx_bytes && !conn->aborted)
		unread = to ? tm_indication(conn, conn->rx_bytes) : NULL;
	if (conn->rx_bytes && !conn->aborted && !unread)
		return NDIS_STATUS_FAILURE;
	if (conn->unacked && !conn->aborted && !conn->stopped)
		tm_send_ack(conn);
	d = delegated_now(conn);
	conn->stopped = true;
	tm_requests_end(conn);
	give_up_sends(conn, b, &d);
	d.BufferedData = unread;
	if (to)
		give(to, &d, sizeof(d));
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS terminate_object(const struct tm_adapter *a, block *b, struct tm_object *object)
{
	if (object->leavers < object->users)
		return NDIS_STATUS_FAILURE;
	if (object->kind == TM_CONN)
		return terminate_conn((struct tm_conn *)object, b);
	query_object(a, b, object);
	return NDIS_STATUS_SUCCESS;
}

/* Bottom up: what stays keeps what it depends on. */
static void terminate_row(struct tm_adapter *a, block *row, struct tm_object **gone)
{
	struct tm_object *object, *parent;

	for (; row; row = row->NextBlock) {
		terminate_row(a, row->DependentBlockList, gone);
		object = named(row);
		row->Status = is_placeholder(row) ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE;
		if (!object || !object->leaving)
			continue;
		row->Status = terminate_object(a, row, object);
		object->leaving = row->Status == NDIS_STATUS_SUCCESS;
		parent = parent_of(object);
		if (object->leaving) {
			object->next_gone = *gone;
			*gone = object;
		} else if (parent) {
			parent->leavers--;
		}
	}
}

static void unlink_conn(struct tm_adapter *a, const struct tm_conn *conn)
{
	struct tm_conn **link = &a->conns;

	while (*link != conn)
		link = &(*link)->next;
	*link = conn->next;
}

static void release(struct tm_adapter *a, struct tm_object *object)
{
	struct tm_object *parent = parent_of(object);

	if (parent) {
		parent->users--;
		parent->leavers--;
	}
	if (object->kind == TM_CONN) {
		a->conn_count--;
		unlink_conn(a, (struct tm_conn *)object);
		free_conn((struct tm_conn *)object);
		return;
	}
	if (object->kind == TM_PATH)
		a->path_count--;
	else
		a->neighbor_count--;
	free(object);
}

/* Memory goes back when the completion has returned, connections before what they depend on. */
static void terminate(struct tm_adapter *a, block *root)
{
	struct tm_object *gone = NULL, *kept, *next;
	int kind;

	mark_row(root);
	terminate_row(a, root, &gone);
	NdisMTerminateOffloadComplete(a->miniport, root);
	for (kind = TM_CONN; kind >= TM_NEIGHBOR; kind--) {
		for (kept = NULL; gone; gone = next) {
			next = gone->next_gone;
			if ((int)gone->kind == kind) {
				release(a, gone);
			} else {
				gone->next_gone = kept;
				kept = gone;
			}
		}
		gone = kept;
	}
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void queue(struct tm_adapter *a, block *root, enum op op)
{
	root->MiniportReserved[0] = NULL;
	root->MiniportReserved[1] = (PVOID)(uintptr_t)op;
	if (a->ops)
		a->ops_tail->MiniportReserved[0] = root;
	else
		a->ops = root;
	a->ops_tail = root;
	a->work = true;
}

void tm_ops_run(struct tm_adapter *a)
{
	block *root;
	enum op op;

	while ((root = a->ops)) {
		a->ops = root->MiniportReserved[0];
		op = (enum op)(uintptr_t)root->MiniportReserved[1];
		if (op == INITIATE) {
			initiate(a, root);
		} else if (op == TERMINATE) {
			terminate(a, root);
		} else {
			apply_row(a, op, root, NULL);
			if (op == UPDATE)
				NdisMUpdateOffloadComplete(a->miniport, root);
			else if (op == INVALIDATE)
				NdisMInvalidateOffloadComplete(a->miniport, root);
			else
				NdisMQueryOffloadStateComplete(a->miniport, root);
		}
	}
}

static void initiate_offload(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST root)
{
	queue(context, root, INITIATE);
}

static void terminate_offload(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST root)
{
	queue(context, root, TERMINATE);
}

static void update_offload(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST root)
{
	queue(context, root, UPDATE);
}

static void invalidate_offload(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST root)
{
	queue(context, root, INVALIDATE);
}

static void query_offload(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST root)
{
	queue(context, root, QUERY);
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS tm_generic_handlers = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(tm_generic_handlers),
	},
	.InitiateOffloadHandler = initiate_offload,
	.TerminateOffloadHandler = terminate_offload,
	.UpdateOffloadHandler = update_offload,
	.InvalidateOffloadHandler = invalidate_offload,
	.QueryOffloadHandler = query_offload,
};
