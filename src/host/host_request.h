/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_request.h - one request to the target, from the call to its completion: a list, an MDL and
 * the bytes under it. Freed requests wait in the adapter for the next one.
 */
#ifndef HOST_HOST_REQUEST_H
#define HOST_HOST_REQUEST_H

#include <sys/uio.h>

#include "host/host_int.h"

struct host_request {
	struct host_request *next;
	struct host_conn *conn;
	NET_BUFFER_LIST *nbl;
	MDL *mdl;                 /* ours; NULL: the bytes are the program's, under its own MDL */
	struct host_block *block; /* of our bytes */
	void *cookie;             /* what the direct program calls it */
	uint32_t bytes;
};

/* host_request_new() - describes bytes of a block and takes a reference of it; NULL: no memory. */
struct host_request *host_request_new(struct host_conn *conn, struct host_block *block, size_t at,
				      uint32_t bytes);
/* host_request_direct() - describes the program's own memory; NULL: no memory. */
struct host_request *host_request_direct(struct host_conn *conn, const struct host_direct_io *io);
void host_request_free(struct host_adapter *adapter, struct host_request *r);
static inline struct host_request *host_request_of(const NET_BUFFER_LIST *nbl)
{
	return (struct host_request *)NET_BUFFER_LIST_PROTOCOL_RESERVED(nbl)[0];
}

/* host_nb_iov() - the data of a NET_BUFFER behind skip, as iovecs; what max parts do not hold is
 * left out. Returns their number. */
int host_nb_iov(const NET_BUFFER *nb, uint32_t skip, struct iovec *iov, int max);
/* host_nbl_append() - copy the bytes of a list behind *block. 0 or -ENOMEM. */
int host_nbl_append(struct host_conn *conn, const NET_BUFFER_LIST *nbl, struct host_block **block);

#endif
