/* SPDX-License-Identifier: BSD-2-Clause */
#include "ddi_env.h"

#include <arpa/inet.h>

#include "base/be.h"

static struct ddi_env
	*current; /* the protocol driver has one binding, and callbacks need to find it */

static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 2 };

/* ---- nic ---- */

static void keep(struct ddi_frame *f, const struct nic_tx_frame *frame)
{
	f->len = 0;
	for (unsigned int i = 0; i < frame->iov_count; i++) {
		uint32_t n = (uint32_t)frame->iov[i].iov_len;

		assert_true(f->len + n <= sizeof(f->data));
		memcpy(f->data + f->len, frame->iov[i].iov_base, n);
		f->len += n;
	}
	assert_int_equal(f->len, frame->len);
	f->meta.gso_size = frame->gso_type ? frame->gso_size : 0;
}

static unsigned int nic_take(struct nic *nic, const struct nic_tx_frame *frames, unsigned int count)
{
	struct ddi_nic *n = (struct ddi_nic *)nic;

	if (n->full)
		return 0;
	for (unsigned int i = 0; i < count; i++) {
		assert_true(n->sent_count < DDI_FRAMES);
		keep(&n->sent[n->sent_count++], &frames[i]);
	}
	return count;
}

static int nic_to_host(struct nic *nic, const struct nic_rx_frame *frame)
{
	struct ddi_nic *n = (struct ddi_nic *)nic;
	struct ddi_frame *f = &n->indicated[n->indicated_count++];

	memcpy(f->data, frame->data, frame->len);
	f->len = frame->len;
	f->meta = *frame;
	return 0;
}

static unsigned int nic_give(struct nic *nic, unsigned int budget)
{
	struct ddi_nic *n = (struct ddi_nic *)nic;
	unsigned int done = 0;

	while (n->queued_head < n->queued_count && done < budget) {
		struct ddi_frame *f = &n->queued[n->queued_head++];

		f->meta.data = f->data;
		f->meta.len = f->len;
		nic_deliver(nic, &f->meta);
		done++;
	}
	if (n->queued_head == n->queued_count)
		n->queued_head = n->queued_count = 0;
	return done;
}

static void nic_make(struct ddi_nic *n)
{
	static const struct nic_ops ops = { .send = nic_take,
					    .indicate = nic_to_host,
					    .poll = nic_give };

	nic_init(&n->nic, &ops);
	memcpy(n->nic.info.mac, our_mac, 6);
	n->nic.info.mtu_bytes = 1500;
	n->nic.info.max_frame_bytes = 2000;
	n->nic.info.kind = "recording";
}

/* ---- protocol driver ---- */

static struct ddi_call *record(enum ddi_call_kind kind)
{
	struct ddi_call *c = &current->calls[current->call_count];

	assert_true(current->call_count < DDI_CALLS);
	current->call_count++;
	*c = (struct ddi_call){ .kind = kind, .first = true };
	return c;
}

static void inside(enum ddi_call_kind kind)
{
	if (current->inside)
		current->inside(current, kind);
}

static void op_done(enum ddi_call_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	record(kind)->root = root;
	inside(kind);
}

static void initiated(NDIS_HANDLE ctx, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)ctx;
	op_done(CALL_INITIATED, root);
}

static void terminated(NDIS_HANDLE ctx, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)ctx;
	tgt_adapter_usage(current->a,
			  &current->usage); /* resources are released after this, not before */
	op_done(CALL_TERMINATED, root);
}

static void updated(NDIS_HANDLE ctx, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)ctx;
	op_done(CALL_UPDATED, root);
}

static void invalidated(NDIS_HANDLE ctx, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)ctx;
	op_done(CALL_INVALIDATED, root);
}

static void queried(NDIS_HANDLE ctx, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)ctx;
	op_done(CALL_QUERIED, root);
}

/* A host may free or use the list again at once: what the record needs is taken from it first. */
static void lists_done(enum ddi_call_kind kind, NET_BUFFER_LIST *chain)
{
	bool first = true;

	for (; chain; chain = chain->Next) {
		struct ddi_call *c = record(kind);

		c->first = first;
		c->nbl = chain;
		c->status = chain->Status;
		c->bytes = (uint32_t)(uintptr_t)NET_BUFFER_LIST_INFO(chain,
								     TcpOffloadBytesTransferred);
		/* the target may not look at a list that it gave back */
		chain->MiniportReserved[0] = chain->MiniportReserved[1] = current;
		first = false;
	}
	current->depth++;
	if (current->depth > current->depth_max)
		current->depth_max = current->depth;
	inside(kind);
	current->depth--;
}

static void send_done(NDIS_HANDLE ctx, NET_BUFFER_LIST *chain)
{
	(void)ctx;
	lists_done(CALL_SEND_DONE, chain);
}

static void receive_done(NDIS_HANDLE ctx, NET_BUFFER_LIST *chain)
{
	(void)ctx;
	lists_done(CALL_RECEIVE_DONE, chain);
}

static void disconnect_done(NDIS_HANDLE ctx, NET_BUFFER_LIST *chain)
{
	(void)ctx;
	lists_done(CALL_DISCONNECT_DONE, chain);
}

static void forward_done(NDIS_HANDLE ctx, NET_BUFFER_LIST *chain)
{
	(void)ctx;
	lists_done(CALL_FORWARD_DONE, chain);
}

static void connection_event(PVOID handle, ULONG type, ULONG info)
{
	struct ddi_call *c = record(CALL_EVENT);

	c->handle = handle;
	c->event = type;
	c->info = info;
	inside(CALL_EVENT);
}

static void take_bytes(const NET_BUFFER_LIST *nbl, uint32_t n)
{
	for (const MDL *mdl = nbl->FirstNetBuffer->CurrentMdl; mdl && n; mdl = mdl->Next) {
		uint32_t part = mdl->ByteCount < n ? mdl->ByteCount : n;

		assert_true(current->received_bytes + part <= DDI_BYTES);
		memcpy(current->received + current->received_bytes, mdl->MappedSystemVa, part);
		current->received_bytes += part;
		n -= part;
	}
}

static NDIS_STATUS indicated(PVOID handle, NET_BUFFER_LIST *nbl, NDIS_STATUS status,
			     PULONG consumed)
{
	struct ddi_call *c = record(CALL_INDICATE);
	uint32_t bytes = nbl->FirstNetBuffer->DataLength;
	enum ddi_taste taste = current->taste;
	uint32_t part = current->taste_bytes;

	c->handle = handle;
	c->nbl = nbl;
	c->status = status;
	c->bytes = bytes;
	c->hash = (ULONG)(uintptr_t)NET_BUFFER_LIST_INFO(nbl, NetBufferListHashValue);
	assert_null(nbl->Next);
	assert_null(nbl->FirstNetBuffer->Next);
	current->depth++;
	if (current->depth > current->depth_max)
		current->depth_max = current->depth;
	inside(CALL_INDICATE);
	current->depth--;
	if (taste == TASTE_REFUSE || taste == TASTE_REFUSE_OTHER) {
		*consumed = 0;
		return taste == TASTE_REFUSE ? NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED
					     : NDIS_STATUS_NOT_ACCEPTED;
	}
	if (taste == TASTE_PART && part < bytes) {
		take_bytes(nbl, part);
		*consumed = part;
		return NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED;
	}
	take_bytes(nbl, bytes);
	*consumed = bytes;
	if (current->keep_lists) {
		nbl->Next = current->kept;
		current->kept = nbl;
	} else {
		NdisOffloadTcpReceiveReturn(current->binding, nbl);
	}
	return NDIS_STATUS_SUCCESS;
}

static void offload_event(NDIS_HANDLE ctx, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root, ULONG code)
{
	struct ddi_call *c = record(CALL_OFFLOAD_EVENT);
	OFFLOAD_STATE_HEADER *state;

	(void)ctx;
	c->event = code;
	c->root = root;
	if (!root)
		return;
	c->handle = root->OffloadHandle;
	current->asked_list = *root;
	state = NdisOffloadNextState(NdisOffloadFirstState(root));
	current->asked_cached = *(NEIGHBOR_OFFLOAD_STATE_CACHED *)state;
	((NEIGHBOR_OFFLOAD_STATE_CACHED *)state)->HostReachabilityDelta = current->answer_hrd;
	state = NdisOffloadNextState(state);
	current->asked_delegated = *(NEIGHBOR_OFFLOAD_STATE_DELEGATED *)state;
}

static void status(NDIS_HANDLE ctx, NDIS_STATUS_INDICATION *indication)
{
	struct ddi_call *c = record(CALL_STATUS);

	(void)ctx;
	c->status = indication->StatusCode;
	c->bytes = indication->StatusBufferSize;
	if (indication->StatusCode == NDIS_STATUS_OFFLOAD_RESUME)
		memcpy(&current->resumed, indication->StatusBuffer, sizeof(current->resumed));
}

static void plain_receive(NDIS_HANDLE ctx, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
			  ULONG count, ULONG flags)
{
	(void)ctx;
	(void)port;
	assert_int_equal(count, 1);
	assert_true(flags & NDIS_RECEIVE_FLAGS_RESOURCES);
	for (; chain; chain = chain->Next) {
		struct ddi_call *c = record(CALL_PLAIN_RECEIVE);

		c->nbl = chain;
		c->bytes = chain->FirstNetBuffer->DataLength;
	}
}

static void plain_sent(NDIS_HANDLE ctx, NET_BUFFER_LIST *chain, ULONG flags)
{
	(void)ctx;
	(void)flags;
	for (; chain; chain = chain->Next) {
		struct ddi_call *c = record(CALL_PLAIN_SENT);

		c->nbl = chain;
		c->status = chain->Status;
	}
}

static NDIS_STATUS bind_adapter(NDIS_HANDLE driver_context, NDIS_HANDLE bind_context,
				NDIS_BIND_PARAMETERS *parameters)
{
	NDIS_MEDIUM medium = NdisMedium802_3;
	UINT index;
	NDIS_OPEN_PARAMETERS open = {
		.Header = { NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1 },
		.AdapterName = parameters->AdapterName,
		.MediumArray = &medium,
		.MediumArraySize = 1,
		.SelectedMediumIndex = &index,
	};

	return NdisOpenAdapterEx(current->protocol_driver, driver_context, &open, bind_context,
				 &current->binding);
}

/* A close that has to wait for lists pends, and so does the unbind then. */
static NDIS_STATUS unbind_adapter(NDIS_HANDLE unbind_context, NDIS_HANDLE binding_context)
{
	NDIS_STATUS status = NdisCloseAdapterEx(current->binding);

	(void)binding_context;
	if (status == NDIS_STATUS_PENDING)
		current->unbind_context = unbind_context;
	return status;
}

static void bind_end(NDIS_HANDLE ctx, NDIS_STATUS s)
{
	(void)ctx;
	(void)s;
}

static void close_end(NDIS_HANDLE ctx)
{
	(void)ctx;
	if (current->unbind_context)
		NdisCompleteUnbindAdapterEx(current->unbind_context);
}

static NDIS_STATUS pnp(NDIS_HANDLE ctx, NET_PNP_EVENT_NOTIFICATION *event)
{
	(void)ctx;
	(void)event;
	return NDIS_STATUS_SUCCESS;
}

static void oid_end(NDIS_HANDLE ctx, NDIS_OID_REQUEST *request, NDIS_STATUS s)
{
	(void)ctx;
	(void)request;
	(void)s;
}

static NDIS_STATUS set_options(NDIS_HANDLE driver, NDIS_HANDLE ctx)
{
	static NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic = {
		.Header = { NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			    NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
			    sizeof(generic) },
		.InitiateOffloadCompleteHandler = initiated,
		.TerminateOffloadCompleteHandler = terminated,
		.UpdateOffloadCompleteHandler = updated,
		.InvalidateOffloadCompleteHandler = invalidated,
		.QueryOffloadCompleteHandler = queried,
		.IndicateOffloadEventHandler = offload_event,
	};
	static NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp = {
		.Header = { NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
			    NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
			    sizeof(tcp) },
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendCompleteHandler = send_done,
		.TcpOffloadReceiveCompleteHandler = receive_done,
		.TcpOffloadDisconnectCompleteHandler = disconnect_done,
		.TcpOffloadForwardCompleteHandler = forward_done,
		.TcpOffloadEventHandler = connection_event,
		.TcpOffloadReceiveIndicateHandler = indicated,
	};
	NDIS_STATUS s;

	(void)ctx;
	s = NdisSetOptionalHandlers(driver, (NDIS_DRIVER_OPTIONAL_HANDLERS *)&generic);
	return s ? s : NdisSetOptionalHandlers(driver, (NDIS_DRIVER_OPTIONAL_HANDLERS *)&tcp);
}

static void register_protocol(struct ddi_env *e)
{
	static WCHAR name[] = { 't', 'e', 's', 't' };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS c = {
		.Header = { NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
			    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
			    NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 },
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Name = { sizeof(name), sizeof(name), name },
		.SetOptionsHandler = set_options,
		.BindAdapterHandlerEx = bind_adapter,
		.UnbindAdapterHandlerEx = unbind_adapter,
		.OpenAdapterCompleteHandlerEx = bind_end,
		.CloseAdapterCompleteHandlerEx = close_end,
		.NetPnPEventHandler = pnp,
		.OidRequestCompleteHandler = oid_end,
		.StatusHandlerEx = status,
		.ReceiveNetBufferListsHandler = plain_receive,
		.SendNetBufferListsCompleteHandler = plain_sent,
	};

	assert_int_equal(NdisRegisterProtocolDriver(e, &c, &e->protocol_driver),
			 NDIS_STATUS_SUCCESS);
}

/* ---- life ---- */

static void small_limits(struct tgt_limits *limits)
{
	limits->tcp_entries = 64;
	limits->path_entries = 16;
	limits->neighbor_entries = 8;
	limits->ip_addresses = 8;
	limits->hw_addresses = 4;
	limits->vlans = 4;
	limits->rcv_window_bytes = 1u << 20;
	limits->chunks = 512;
	limits->conn_send_bytes = 256u << 10;
	limits->conn_reasm_bytes = 64u << 10;
	limits->flow_catch_frames = 16;
}

struct ddi_env *ddi_new_keywords(void (*change)(struct tgt_adapter_config *),
				 const struct nrt_keyword *k, size_t n)
{
	struct ddi_env *e = calloc(1, sizeof(*e));
	struct tgt_adapter_config config = { .name = "tgt0",
					     .hash_key = 0x1234567,
					     .now_us = 5000000 };
	struct nrt_adapter_params params = {
		.name = "tgt0", .add_device_context = &config, .keywords = k, .keyword_count = n
	};

	assert_non_null(e);
	current = e;
	e->now_us = config.now_us;
	nic_make(&e->nic);
	config.nic = &e->nic.nic;
	small_limits(&config.limits);
	if (change)
		change(&config);
	assert_int_equal(tgt_driver_register(&e->target_driver), 0);
	register_protocol(e);
	assert_int_equal(nrt_adapter_create(e->target_driver, &params, &e->adapter), 0);
	e->a = tgt_adapter_find("tgt0");
	assert_non_null(e->a);
	assert_int_equal(nrt_bind(e->protocol_driver, "tgt0"), 0);
	ddi_neighbor(&e->neighbor, 2);
	ddi_path(&e->path, 2);
	ddi_tcp(&e->tcp, 4000);
	ddi_tree(e);
	ddi_run(e);
	ddi_forget(e);
	return e;
}

struct ddi_env *ddi_new(void (*change)(struct tgt_adapter_config *))
{
	return ddi_new_keywords(change, NULL, 0);
}

void ddi_free(struct ddi_env *e)
{
	struct tgt_adapter_usage usage;

	ddi_give_back(e);
	ddi_run(e);
	tgt_adapter_usage(e->a, &usage);
	if (!e->unchecked) {
		assert_int_equal(usage.connections, 0);
		assert_int_equal(usage.paths, 0);
		assert_int_equal(usage.neighbors, 0);
		assert_int_equal(usage.chunks_used, 0);
		assert_int_equal(usage.indicated_nbls, 0);
	}
	assert_int_equal(nrt_adapter_destroy(e->adapter), 0);
	assert_null(tgt_adapter_find("tgt0"));
	NdisDeregisterProtocolDriver(e->protocol_driver);
	tgt_driver_deregister(e->target_driver);
	current = NULL;
	free(e);
}

/* ---- blocks ---- */

static void list_init(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list, UCHAR type,
		      NDIS_OFFLOAD_HANDLE *handle)
{
	memset(list, 0, sizeof(*list));
	list->Header.Type = type;
	list->Header.Revision = NDIS_OBJECT_REVISION_1;
	list->Header.Size = sizeof(*list);
	list->OffloadHandle = handle;
	list->Status = NDIS_STATUS_PENDING;
}

#define LENGTHS(b)                                                                                 \
	do {                                                                                       \
		(b)->constant.Header.Length = sizeof((b)->constant);                               \
		(b)->cached.Header.Length = sizeof((b)->cached);                                   \
		(b)->delegated.Header.Length = sizeof((b)->delegated);                             \
	} while (0)

void ddi_neighbor(struct ddi_neighbor_block *b, uint8_t last_byte)
{
	memset(b, 0, sizeof(*b));
	list_init(&b->list, NeighborOffloadState, &b->handle);
	LENGTHS(b);
	memcpy(b->cached.DlDestinationAddress, peer_mac, 6);
	b->cached.DlDestinationAddress[5] = last_byte;
}

void ddi_path(struct ddi_path_block *b, uint8_t last_byte)
{
	const uint8_t local[4] = { 10, 0, 0, 1 }, remote[4] = { 10, 0, 0, last_byte };

	memset(b, 0, sizeof(*b));
	list_init(&b->list, Ip4OffloadState, &b->handle);
	LENGTHS(b);
	memcpy(b->local, local, 4);
	memcpy(b->remote, remote, 4);
	b->constant.SourceAddress = b->local;
	b->constant.DestinationAddress = b->remote;
	b->cached.PathMtu = 1500;
}

void ddi_path6(struct ddi_path_block *b, uint8_t last_byte)
{
	ddi_path(b, last_byte);
	b->list.Header.Type = Ip6OffloadState;
	memset(b->local, 0, 16);
	memset(b->remote, 0, 16);
	b->local[0] = b->remote[0] = 0xfd;
	b->local[15] = 1;
	b->remote[15] = last_byte;
}

void ddi_tcp(struct ddi_tcp_block *b, uint16_t remote_port)
{
	memset(b, 0, sizeof(*b));
	list_init(&b->list, TcpOffloadState, &b->handle);
	LENGTHS(b);
	b->constant.LocalPort = htons(80);
	b->constant.RemotePort = htons(remote_port);
	b->constant.RemoteMss = DDI_MSS;
	b->cached.InitialRcvWnd = DDI_WND;
	b->cached.TtlOrHopLimit = 64;
	b->cached.KaTimeout = 7200000;
	b->cached.KaInterval = 75000;
	b->cached.KaProbeCount = 9;
	b->delegated.State = TcpConnectionEstablished;
	b->delegated.RcvNxt = DDI_RCV_NXT;
	b->delegated.RcvWnd = DDI_WND;
	b->delegated.SndUna = b->delegated.SndNxt = b->delegated.SndMax = DDI_SND_UNA;
	b->delegated.SndWnd = b->delegated.MaxSndWnd = DDI_WND;
	b->delegated.SendWL1 = DDI_RCV_NXT;
	b->delegated.CWnd = 20000;
	b->delegated.SsThresh = 0x7fffffff;
	b->delegated.SRtt = 8 * 10;
	b->delegated.RttVar = 4 * 2;
	b->delegated.TsRecentAge = 0xffffffff;
	b->delegated.KeepAlive.TimeoutDelta = 0xffffffff;
	b->delegated.Retransmit.TimeoutDelta = 0xffffffff;
}

void ddi_tree(struct ddi_env *e)
{
	e->neighbor.list.DependentBlockList = &e->path.list;
	e->path.list.DependentBlockList = &e->tcp.list;
}

/* ---- operations ---- */

static void op(struct ddi_env *e, void (*fn)(NDIS_HANDLE, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *),
	       NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root, enum ddi_call_kind kind)
{
	unsigned int before = ddi_count(e, kind);

	fn(e->binding, root);
	assert_int_equal(ddi_count(e, kind), before); /* never from inside the call */
	ddi_run(e);
	assert_int_equal(ddi_count(e, kind), before + 1);
	assert_ptr_equal(ddi_nth(e, kind, before)->root, root);
}

void ddi_initiate(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	op(e, NdisInitiateOffload, root, CALL_INITIATED);
}

void ddi_terminate(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	op(e, NdisTerminateOffload, root, CALL_TERMINATED);
}

void ddi_update(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	op(e, NdisUpdateOffload, root, CALL_UPDATED);
}

void ddi_invalidate(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	op(e, NdisInvalidateOffload, root, CALL_INVALIDATED);
}

void ddi_query(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	op(e, NdisQueryOffloadState, root, CALL_QUERIED);
}

void ddi_offload(struct ddi_env *e)
{
	ddi_initiate(e, &e->neighbor.list);
	assert_int_equal(e->neighbor.list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(e->path.list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(e->tcp.list.Status, NDIS_STATUS_SUCCESS);
	ddi_forget(e);
}

void ddi_upload(struct ddi_env *e)
{
	ddi_terminate(e, &e->neighbor.list);
	assert_int_equal(e->neighbor.list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(e->path.list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(e->tcp.list.Status, NDIS_STATUS_SUCCESS);
	if (e->tcp.delegated.BufferedData)
		NdisOffloadTcpReceiveReturn(e->binding, e->tcp.delegated.BufferedData);
}

struct ddi_env *ddi_offloaded(void)
{
	struct ddi_env *e = ddi_new(NULL);

	ddi_offload(e);
	return e;
}

void ddi_end(struct ddi_env *e)
{
	ddi_upload(e);
	ddi_free(e);
}

/* ---- time and work ---- */

void ddi_check(struct ddi_env *e)
{
	const char *wrong = tgt_hook_check(e->a);

	if (wrong)
		print_error("broken invariant: %s\n", wrong);
	assert_null(wrong);
}

void ddi_run(struct ddi_env *e)
{
	while (tgt_adapter_run(e->a, e->now_us))
		;
	ddi_check(e);
}

void ddi_pass(struct ddi_env *e, uint64_t us)
{
	uint64_t end = e->now_us + us, next;

	while ((next = tgt_adapter_next_deadline_us(e->a)) <= end) {
		if (next > e->now_us)
			e->now_us = next;
		ddi_run(e);
	}
	e->now_us = end;
	ddi_run(e);
}

struct tgt_conn_io *ddi_io_of(struct ddi_env *e, const struct ddi_tcp_block *b)
{
	(void)e;
	return b->handle.MiniportOffloadContext;
}

struct tgt_conn_io *ddi_io(struct ddi_env *e)
{
	return ddi_io_of(e, &e->tcp);
}

/* ---- lists ---- */

struct made_list {
	NET_BUFFER_LIST nbl; /* first: a list is found back by its address */
	NET_BUFFER nb;
	MDL mdls[64];
	uint8_t *memory;
};

NET_BUFFER_LIST *ddi_list_pieces(const void *data, uint32_t len, uint32_t piece)
{
	struct made_list *l = aligned_alloc(16, (sizeof(*l) + 15) / 16 * 16);
	uint32_t off = 0, i = 0;

	assert_non_null(l);
	memset(l, 0, sizeof(*l));
	l->memory = calloc(1, len ? len : 1);
	if (data)
		memcpy(l->memory, data, len);
	do {
		MDL *mdl = &l->mdls[i];
		uint32_t n = len - off < piece ? len - off : piece;

		assert_true(i < 64);
		mdl->MappedSystemVa = l->memory + off;
		mdl->ByteCount = n;
		if (i)
			l->mdls[i - 1].Next = mdl;
		off += n;
		i++;
	} while (off < len);
	l->nb.MdlChain = l->nb.CurrentMdl = &l->mdls[0];
	l->nb.DataLength = len;
	l->nbl.FirstNetBuffer = &l->nb;
	return &l->nbl;
}

NET_BUFFER_LIST *ddi_list(const void *data, uint32_t len)
{
	return ddi_list_pieces(data, len, UINT32_MAX);
}

NET_BUFFER_LIST *ddi_buffer(uint32_t len)
{
	return ddi_list(NULL, len);
}

NET_BUFFER_LIST *ddi_chain(NET_BUFFER_LIST *first, NET_BUFFER_LIST *second)
{
	first->Next = second;
	return first;
}

const uint8_t *ddi_list_memory(const NET_BUFFER_LIST *nbl)
{
	return ((const struct made_list *)nbl)->memory;
}

void ddi_list_free(NET_BUFFER_LIST *nbl)
{
	struct made_list *l = (struct made_list *)nbl;

	free(l->memory);
	free(l);
}

void ddi_nonpush(NET_BUFFER_LIST *nbl)
{
	NET_BUFFER_LIST_INFO(nbl, TcpReceiveNoPush) = (PVOID)(uintptr_t)TRUE;
}

void ddi_prefilled(NET_BUFFER_LIST *nbl, uint32_t bytes)
{
	NET_BUFFER_LIST_INFO(nbl, TcpReceiveBytesTransferred) = (PVOID)(uintptr_t)bytes;
}

void ddi_give_back(struct ddi_env *e)
{
	if (e->kept)
		NdisOffloadTcpReceiveReturn(e->binding, e->kept);
	e->kept = NULL;
}

/* ---- bytes and frames ---- */

uint8_t ddi_byte(uint32_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251);
}

void ddi_fill(uint8_t *data, uint32_t offset, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = ddi_byte(offset + i);
}

struct ddi_frame *ddi_frame_new(struct ddi_env *e)
{
	struct ddi_frame *f = &e->nic.queued[e->nic.queued_count];

	assert_true(e->nic.queued_count < DDI_FRAMES);
	e->nic.queued_count++;
	memset(f, 0, sizeof(*f));
	f->meta.csum_trusted = true;
	return f;
}

static uint32_t put_ip(struct ddi_env *e, uint8_t *ip, uint32_t tcp_bytes)
{
	if (e->path.list.Header.Type == Ip6OffloadState) {
		ip[0] = 0x60;
		be_put16(ip + 4, (uint16_t)tcp_bytes);
		ip[6] = 6;
		ip[7] = 64;
		memcpy(ip + 8, e->path.remote, 16);
		memcpy(ip + 24, e->path.local, 16);
		return 40;
	}
	ip[0] = 0x45;
	be_put16(ip + 2, (uint16_t)(20 + tcp_bytes));
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, e->path.remote, 4);
	memcpy(ip + 16, e->path.local, 4);
	return 20;
}

struct ddi_frame *ddi_segment(struct ddi_env *e, uint32_t seq, uint32_t ack, uint8_t flags,
			      const void *data, uint32_t len)
{
	struct ddi_frame *f = ddi_frame_new(e);
	struct nic_sim_view view;
	uint8_t *tcp;
	uint32_t ip;

	memcpy(f->data, our_mac, 6);
	memcpy(f->data + 6, peer_mac, 6);
	be_put16(f->data + 12, e->path.list.Header.Type == Ip6OffloadState ? 0x86dd : 0x0800);
	ip = put_ip(e, f->data + 14, 20 + len);
	tcp = f->data + 14 + ip;
	memcpy(tcp, &e->tcp.constant.RemotePort, 2);
	memcpy(tcp + 2, &e->tcp.constant.LocalPort, 2);
	be_put32(tcp + 4, seq);
	be_put32(tcp + 8, ack);
	tcp[12] = 0x50;
	tcp[13] = flags;
	be_put16(tcp + 14, 0xffff);
	if (len)
		memcpy(tcp + 20, data, len);
	f->len = 14 + ip + 20 + len;
	assert_true(nic_sim_view(f->data, f->len, &view));
	nic_sim_csum_fill(f->data, &view);
	return f;
}

uint32_t ddi_rcv_nxt(struct ddi_env *e)
{
	return tgt_io_conn(ddi_io(e))->rcv_nxt;
}

void ddi_data(struct ddi_env *e, uint32_t len, bool psh)
{
	uint32_t seq = ddi_rcv_nxt(e);
	uint8_t data[1500];

	ddi_fill(data, seq - DDI_RCV_NXT, len);
	ddi_segment(e, seq, tgt_io_conn(ddi_io(e))->snd_una, NIC_SIM_ACK | (psh ? NIC_SIM_PSH : 0),
		    data, len);
	ddi_run(e);
}

void ddi_ack(struct ddi_env *e, uint32_t ack)
{
	ddi_segment(e, ddi_rcv_nxt(e), ack, NIC_SIM_ACK, NULL, 0);
	ddi_run(e);
}

/* ---- what happened ---- */

void ddi_forget(struct ddi_env *e)
{
	e->call_count = 0;
	e->nic.sent_count = e->nic.indicated_count = 0;
}

unsigned int ddi_count(const struct ddi_env *e, enum ddi_call_kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->call_count; i++)
		n += e->calls[i].kind == kind;
	return n;
}

const struct ddi_call *ddi_nth(const struct ddi_env *e, enum ddi_call_kind kind, unsigned int n)
{
	for (unsigned int i = 0; i < e->call_count; i++)
		if (e->calls[i].kind == kind && !n--)
			return &e->calls[i];
	return NULL;
}

int ddi_index(const struct ddi_env *e, const struct ddi_call *call)
{
	return call ? (int)(call - e->calls) : -1;
}

bool ddi_view(const struct ddi_env *e, unsigned int sent, struct nic_sim_view *view)
{
	return sent < e->nic.sent_count &&
	       nic_sim_view(e->nic.sent[sent].data, e->nic.sent[sent].len, view);
}

unsigned int ddi_sent_bytes(const struct ddi_env *e)
{
	unsigned int n = 0;
	struct nic_sim_view view;

	for (unsigned int i = 0; i < e->nic.sent_count; i++)
		if (ddi_view(e, i, &view))
			n += view.payload_len;
	return n;
}
