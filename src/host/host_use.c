/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_use.c - which abilities of an adapter are switched on.
 *
 *	host_adapter_use(v4 off) -> no new offloads of IPv4 -> those that are down come up
 *	                         -> the last has left -> OID_TCP_CONNECTION_OFFLOAD_PARAMETERS
 *
 * An ability is turned off when nothing uses it any more, not before (INI-37).
 */
#include "host/host_int.h"

#include <errno.h>

static ULONG setting(bool on)
{
	return on ? NDIS_OFFLOAD_SET_ON : NDIS_OFFLOAD_SET_OFF;
}

/* INI-15: what the timers of both sides count in, and how the target acknowledges and gives up. */
static int set_parameters(struct host_adapter *adapter, bool ipv4, bool ipv6)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT,
			    NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1, sizeof(params) },
		.Encapsulation = {
			.Header = { NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION,
				    NDIS_OFFLOAD_ENCAPSULATION_REVISION_1,
				    sizeof(params.Encapsulation) },
			.IPv4 = { setting(ipv4), NDIS_ENCAPSULATION_IEEE_802_3, 14 },
			.IPv6 = { setting(ipv6), NDIS_ENCAPSULATION_IEEE_802_3, 14 },
		},
		.TicksPerSecond = HOST_TICKS_PER_S,
		.TcpAckFrequency = 2,
		.TcpDelayedAckTicks = 40,
		.TcpMaximumRetransmissions = 15,
		.TcpSwsPreventionTicks = 200,
		.TcpDuplicateAckThreshold = 3,
		.TcpPushTicks = 100,
		.NceStaleTicks = HOST_NCE_STALE_TICKS,
	};
	int err = host_oid(adapter, NdisRequestSetInformation,
			   OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &params, sizeof(params));

	if (err)
		return err;
	adapter->on4 = ipv4;
	adapter->on6 = ipv6;
	return 0;
}

int host_use_begin(struct host_adapter *adapter)
{
	adapter->use4 = adapter->use6 = true;
	return set_parameters(adapter, true, true);
}

/* The binding ends: the connections have left already. */
void host_use_end(struct host_adapter *adapter)
{
	if ((adapter->on4 || adapter->on6) && !host_adapter_paused(adapter))
		(void)set_parameters(adapter, false, false);
}

bool host_use_of(const struct host_adapter *adapter, uint8_t family)
{
	return family == AF_INET ? adapter->ipv4 && adapter->use4 : adapter->ipv6 && adapter->use6;
}

static bool turned_off(const struct host_adapter *adapter, const struct host_conn *conn)
{
	return conn->adapter == adapter &&
	       !(conn->info.flow.family == AF_INET ? adapter->use4 : adapter->use6);
}

/* Those that cannot be uploaded keep what they use: -EBUSY. */
void host_use_settled(struct host_adapter *adapter)
{
	void (*done)(void *ctx, int err) = adapter->use_done;
	int err = 0;

	if (!adapter->use_pending)
		return;
	for (const struct host_conn *conn = adapter->host->conns; conn; conn = conn->next) {
		if (!turned_off(adapter, conn))
			continue;
		if (conn->moving || (conn->at_target && conn->wanted))
			return;
		if (conn->at_target)
			err = -EBUSY;
	}
	adapter->use_pending = false;
	if (!err)
		err = set_parameters(adapter, adapter->use4, adapter->use6);
	if (done)
		done(adapter->use_ctx, err);
}

int host_adapter_use(struct host_adapter *adapter, bool ipv4, bool ipv6,
		     void (*done)(void *ctx, int err), void *ctx)
{
	if (adapter->use_pending)
		return -EBUSY;
	adapter->use4 = ipv4;
	adapter->use6 = ipv6;
	adapter->use_pending = true;
	adapter->use_done = done;
	adapter->use_ctx = ctx;
	for (struct host_conn *conn = adapter->host->conns; conn; conn = conn->next)
		if (turned_off(adapter, conn) && (conn->at_target || conn->moving))
			host_upload_wanted(conn, UploadRequested);
	host_use_settled(adapter);
	return 0;
}
