/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * im_stack.h - fakes above and below an intermediate driver, for its unit tests: several adapters
 * of one fake miniport, connections to offload, frames to receive. Include after cmocka's headers.
 */
#ifndef TESTS_UNIT_IM_IM_STACK_H
#define TESTS_UNIT_IM_IM_STACK_H

#include <string.h>

#include <ndis/ndisstatus.h>

#include "base/csum.h"
#include "fake/fake_stack.h"

#define IM_FRAME_BYTES 2048

static const UCHAR im_local[4] = { 10, 0, 0, 1 };
static const UCHAR im_remote[4] = { 10, 0, 0, 2 };

/* The state behind a block that is new; its Lengths are not there yet. */
static inline void *im_behind(struct fake_block *block, size_t before)
{
	return (unsigned char *)block->state + before;
}

#define IM_ALIGNED(type) NDIS_OFFLOAD_STATE_ALIGN(sizeof(type))

static inline NEIGHBOR_OFFLOAD_STATE_CONST *im_neighbor_const(struct fake_block *block)
{
	return im_behind(block, 0);
}

static inline TCP_OFFLOAD_STATE_CACHED *im_tcp_cached(struct fake_block *block)
{
	return im_behind(block, IM_ALIGNED(TCP_OFFLOAD_STATE_CONST));
}

/* A path of the test's addresses, a connection of it with the given remote port. */
static inline void im_fill_path(struct fake_block *block)
{
	PATH_OFFLOAD_STATE_CONST *constant = im_behind(block, 0);

	constant->SourceAddress = im_local;
	constant->DestinationAddress = im_remote;
}

static inline void im_fill_tcp(struct fake_block *block, uint16_t port)
{
	TCP_OFFLOAD_STATE_CONST *constant = im_behind(block, 0);

	constant->LocalPort = 80;
	constant->RemotePort = port;
}

static inline struct fake_block *im_add_path(struct fake_tree *tree, struct fake_block *neighbor)
{
	struct fake_block *path = fake_block_add(tree, neighbor, Ip4OffloadState, FAKE_NEW);

	im_fill_path(path);
	return path;
}

static inline struct fake_block *im_add_tcp(struct fake_tree *tree, struct fake_block *path,
					    uint16_t port)
{
	struct fake_block *tcp = fake_block_add(tree, path, TcpOffloadState, FAKE_NEW);

	im_fill_tcp(tcp, port);
	return tcp;
}

/* An Ethernet frame with one TCP segment from the peer. */
struct im_frame {
	UCHAR data[IM_FRAME_BYTES];
	uint32_t len;
	MDL *mdl;
	NET_BUFFER_LIST *nbl;
};

static inline void im_put16(UCHAR *at, uint32_t value)
{
	at[0] = (UCHAR)(value >> 8);
	at[1] = (UCHAR)value;
}

static inline void im_frame_build(struct im_frame *frame, uint16_t port, uint32_t payload)
{
	UCHAR *ip = frame->data + 14, *tcp = ip + 20;
	uint16_t local = 80, sum;
	struct csum csum = { 0 };
	uint32_t i;

	memset(frame, 0, sizeof(*frame));
	frame->len = 14 + 20 + 20 + payload;
	im_put16(frame->data + 12, 0x0800);
	ip[0] = 0x45;
	im_put16(ip + 2, frame->len - 14);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, im_remote, 4);
	memcpy(ip + 16, im_local, 4);
	csum_add(&csum, ip, 20);
	sum = csum_final(&csum);
	memcpy(ip + 10, &sum, 2);
	memcpy(tcp, &port, 2);
	memcpy(tcp + 2, &local, 2);
	im_put16(tcp + 6, 1000);
	tcp[12] = 5 << 4;
	tcp[13] = 0x19; /* FIN PSH ACK */
	for (i = 0; i < payload; i++)
		tcp[20 + i] = (UCHAR)(i * 7);
	csum = (struct csum){ 0 };
	csum_pseudo4(&csum, im_remote, im_local, 6, 20 + payload);
	csum_add(&csum, tcp, 20 + payload);
	sum = csum_final(&csum);
	memcpy(tcp + 16, &sum, 2);
}

static inline NDIS_HANDLE im_pool(void)
{
	NET_BUFFER_LIST_POOL_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 },
		.fAllocateNetBuffer = TRUE,
	};

	return NdisAllocateNetBufferListPool(NULL, &params);
}

static inline void im_frame_list(struct im_frame *frame, NDIS_HANDLE pool)
{
	frame->mdl = NdisAllocateMdl(NULL, frame->data, frame->len);
	frame->nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, frame->mdl, 0, frame->len);
	assert_non_null(frame->nbl);
}

static inline void im_frame_free(struct im_frame *frame)
{
	NdisFreeNetBufferList(frame->nbl);
	NdisFreeMdl(frame->mdl);
}

#endif
