/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_plain.h"

#include "target/tgt_priv.h"

#define PLAIN_IOV_MAX 32u

/* One NET_BUFFER is one frame, checksums complete. */
static NDIS_STATUS send_buffer(struct tgt_adapter *a, const NET_BUFFER *nb)
{
	struct tgt_nb_cursor at = tgt_nb_at(nb, 0);
	struct iovec iov[PLAIN_IOV_MAX];
	struct nic_tx_frame frame = { .iov = iov, .len = nb->DataLength };
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
	frame.hdr_len = (uint16_t)(iov[0].iov_len < UINT16_MAX ? iov[0].iov_len : UINT16_MAX);
	return nic_send(a->nic, &frame, 1) == 1 ? NDIS_STATUS_SUCCESS : NDIS_STATUS_RESOURCES;
}

static NDIS_STATUS send_list(struct tgt_adapter *a, const NET_BUFFER_LIST *nbl)
{
	NDIS_STATUS status = a->ddi->running ? NDIS_STATUS_SUCCESS : NDIS_STATUS_PAUSED;

	for (const NET_BUFFER *nb = nbl->FirstNetBuffer; nb && status == NDIS_STATUS_SUCCESS;
	     nb = nb->Next)
		status = send_buffer(a, nb);
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
