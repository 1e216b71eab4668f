/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_upload.h - connections on their way back to the host: asking for it, and giving the state
 * back.
 *
 * The target only asks (TcpIndicateRetrieve); the host answers with a terminate operation. After a
 * request with a mandatory reason the connection is stopped: nothing is sent or processed, frames
 * are caught until the host terminates, new requests are refused with
 * NDIS_STATUS_UPLOAD_IN_PROGRESS. After one with an optional reason everything goes on. A
 * connection in TIME_WAIT is offered too, but goes on answering.
 *
 * Context:   worker that owns the adapter.
 * Refs:      NC:ndischimney.NDIS_TCP_OFFLOAD_EVENT_INDICATE, W_TERMINATE_OFFLOAD_HANDLER.
 */
#ifndef TARGET_TGT_UPLOAD_H
#define TARGET_TGT_UPLOAD_H

#include "target/tgt_priv.h"

/*
 * tgt_upload_ask() - raise TcpIndicateRetrieve at the next run. In FIN_WAIT_1, FIN_WAIT_2 and
 * CLOSE_WAIT an optional reason, and UploadRequested unless forced, is suppressed (EVT-10, EVT-31).
 */
void tgt_upload_ask(struct tgt_adapter *a, struct tgt_conn_io *io, TCP_UPLOAD_REASON reason,
		    bool forced);

/* tgt_upload_for_resources() - something that the connection needs cannot be had (OFF-33). */
void tgt_upload_for_resources(struct tgt_adapter *a, struct tgt_conn_io *io);

/* tgt_upload_corrupt() - HardwareFailure, then abort (QRY-08, INV-10, TRM-26). */
void tgt_upload_corrupt(struct tgt_adapter *a, struct tgt_conn_io *io);

/*
 * tgt_upload_abandon() (up) - the adapter goes away under a connection: end its requests, release
 * everything.
 */
void tgt_upload_abandon(struct tgt_adapter *a, struct tgt_conn_io *io);

/* tgt_upload_events() (up) - raise the events that are due for a connection. */
void tgt_upload_events(struct tgt_adapter *a, struct tgt_conn_io *io, uint32_t work);

#endif
