/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_plain.h"

#include <string.h>

#include "target/tgt_indicate.h"
#include "target/tgt_priv.h"

#define PLAIN_IOV_MAX 32u
#define MAC_BYTES     12u /* both addresses */
#define TAG_BYTES     4u

/*
 * The tag that came with the list: NDIS_NET_BUFFER_LIST_8021Q_INFO (UserPriority in bits 0-2,
 * VlanId in bits 4-15). The CFI bit is zero.
 */
static uint16_t tci_of(uintptr_t info)
{
	return (uint16_t)((info & 7) << 13 | (info >> 4 & 0xfff));
}

/* Put the tag behind the addresses, which lie in the first piece. */
static bool insert_tag(struct nic_tx_frame *frame, struct iovec *iov, uint16_t tci,
		       uint8_t head[MAC_BYTES + TAG_BYTES])
{
	if (frame->iov_count == PLAIN_IOV_MAX || iov[0].iov_len < MAC_BYTES)
		return false;
	memcpy(head, iov[0].iov_base, MAC_BYTES);
	head[12] = 0x81;
	head[13] = 0;
	head[14] = (uint8_t)(tci >> 8);
	head[15] = (uint8_t)tci;
	memmove(iov + 1, iov, frame->iov_count * sizeof(*iov));
	iov[1].iov_base = (uint8_t *)iov[1].iov_base + MAC_BYTES;
	iov[1].iov_len -= MAC_BYTES;
	iov[0] = (struct iovec){ head, MAC_BYTES + TAG_BYTES };
	frame->iov_count++;
	frame->len += TAG_BYTES;
	return true;
}

/* One NET_BUFFER is one frame, checksums complete. */
static NDIS_STATUS send_buffer(struct tgt_adapter *a, const NET_BUFFER *nb, uintptr_t tag)
{
	struct tgt_nb_cursor at = tgt_nb_at(nb, 0);
	struct iovec iov[PLAIN_IOV_MAX];
	struct nic_tx_frame frame = { .iov = iov, .len = nb->DataLength };
	uint8_t head[MAC_BYTES + TAG_BYTES];
	uint8_t *data;
	uint32_t n;

	while ((n = tgt_nb_run(&at, &data))) {
		if (frame.iov_count == PLAIN_IOV_MAX)
			return NDIS_STATUS_RESOURCES;
		iov[frame.iov_count++] = (struct iovec){ data, n };
		tgt_nb_skip(&at, n);
	}
	if (at.left || !frame.iov_count)
		return NDIS_STATUS_INVALID_LENGTH;
	if (tag && !insert_tag(&frame, iov, tci_of(tag), head))
		return NDIS_STATUS_RESOURCES;
	frame.hdr_len = (uint16_t)(iov[0].iov_len < UINT16_MAX ? iov[0].iov_len : UINT16_MAX);
	return nic_send(a->nic, &frame, 1) == 1 ? NDIS_STATUS_SUCCESS : NDIS_STATUS_RESOURCES;
}

static NDIS_STATUS send_list(struct tgt_adapter *a, const NET_BUFFER_LIST *nbl)
{
	NDIS_STATUS status = a->ddi->running ? NDIS_STATUS_SUCCESS : NDIS_STATUS_PAUSED;
	uintptr_t tag = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);

	for (const NET_BUFFER *nb = nbl->FirstNetBuffer; nb && status == NDIS_STATUS_SUCCESS;
	     nb = nb->Next)
		status = send_buffer(a, nb, tag);
	return status;
}

void tgt_plain_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG flags)
{
	struct tgt_adapter *a = context;

	(void)port;
	(void)flags;
	for (NET_BUFFER_LIST *nbl = chain; nbl; nbl = nbl->Next)
		nbl->Status = send_list(a, nbl);
	NdisMSendNetBufferListsComplete(a->ddi->miniport, chain, 0);
}
