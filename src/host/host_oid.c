/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_oid.c - object requests of the host, and the statistics that come of them.
 *
 * Linux counts TCP of both IP versions together and knows nothing of what the target does, so
 * what people are shown is the sum (STT-07). One thing the kernel knows too much of: a parked
 * socket is established there, too, and is counted by the target already.
 */
#include "host/host_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndis/nrt_status.h"

struct host_oid {
	NDIS_OID_REQUEST request; /* first: the completion names it */
	_Alignas(8) uint8_t buffer[];
};

void host_oid_complete(NDIS_OID_REQUEST *request)
{
	free(request);
}

static struct host_oid *oid_new(NDIS_REQUEST_TYPE type, NDIS_OID oid, const void *buffer,
				uint32_t bytes)
{
	struct host_oid *o = calloc(1, sizeof(*o) + bytes);

	if (!o)
		return NULL;
	o->request.Header =
		(NDIS_OBJECT_HEADER){ NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
				      NDIS_SIZEOF_OID_REQUEST_REVISION_1 };
	o->request.RequestType = type;
	memcpy(o->buffer, buffer, bytes);
	if (type == NdisRequestSetInformation) {
		o->request.DATA.SET_INFORMATION.Oid = oid;
		o->request.DATA.SET_INFORMATION.InformationBuffer = o->buffer;
		o->request.DATA.SET_INFORMATION.InformationBufferLength = bytes;
	} else {
		o->request.DATA.QUERY_INFORMATION.Oid = oid;
		o->request.DATA.QUERY_INFORMATION.InformationBuffer = o->buffer;
		o->request.DATA.QUERY_INFORMATION.InformationBufferLength = bytes;
	}
	return o;
}

int host_oid(struct host_adapter *adapter, NDIS_REQUEST_TYPE type, NDIS_OID oid, void *buffer,
	     uint32_t bytes)
{
	struct host_oid *o = oid_new(type, oid, buffer, bytes);
	NDIS_STATUS status;

	if (!o)
		return -ENOMEM;
	status = NdisOidRequest(adapter->binding, &o->request);
	if (status == NDIS_STATUS_PENDING)
		return -EINPROGRESS; /* its completion frees it */
	memcpy(buffer, o->buffer, bytes);
	free(o);
	return status == NDIS_STATUS_SUCCESS ? 0 : nrt_errno_from_status(status);
}

/* ---- the kernel's counters ---- */

struct counter {
	const char *name; /* NULL ends a list */
	uint64_t *value;
};

static void take_counter(const struct counter *list, const char *name, const char *value)
{
	for (; list->name; list++)
		if (strcmp(list->name, name) == 0)
			*list->value += strtoull(value, NULL, 10);
}

/* Two lines, names and values, both starting with the group's name. */
static void take_lines(char *names, char *values, const struct counter *list)
{
	char *at_name, *at_value;
	char *name = strtok_r(names, " \n", &at_name), *value = strtok_r(values, " \n", &at_value);

	while (name && value) {
		take_counter(list, name, value);
		name = strtok_r(NULL, " \n", &at_name);
		value = strtok_r(NULL, " \n", &at_value);
	}
}

static int read_groups(const char *path, const char *group, const struct counter *list)
{
	char *names = NULL, *values = NULL;
	size_t names_size = 0, values_size = 0, len = strlen(group);
	FILE *in = fopen(path, "re");

	if (!in)
		return -errno;
	while (getline(&names, &names_size, in) > 0 && getline(&values, &values_size, in) > 0)
		if (strncmp(names, group, len) == 0)
			take_lines(names + len, values + len, list);
	free(names);
	free(values);
	fclose(in);
	return 0;
}

/* One name and one value a line. */
static int read_pairs(const char *path, const struct counter *list)
{
	char line[128], name[64], value[32];
	FILE *in = fopen(path, "re");

	if (!in)
		return -errno;
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "%63s %31s", name, value) == 2)
			take_counter(list, name, value);
	fclose(in);
	return 0;
}

static int kernel_tcp(struct host_tcp_stats *to)
{
	const struct counter list[] = {
		{ "InSegs", &to->in_segs },          { "OutSegs", &to->out_segs },
		{ "CurrEstab", &to->established },   { "EstabResets", &to->resets },
		{ "RetransSegs", &to->retransmits }, { "InErrs", &to->in_errors },
		{ "OutRsts", &to->out_resets },      { NULL, NULL },
	};

	return read_groups("/proc/thread-self/net/snmp", "Tcp: ", list);
}

static int kernel_ip4(struct host_ip_stats *to)
{
	const struct counter list[] = {
		{ "InReceives", &to->in_receives },    { "InDelivers", &to->in_delivers },
		{ "OutRequests", &to->out_requests },  { "InHdrErrors", &to->in_header_errors },
		{ "InDiscards", &to->in_discards },    { "OutDiscards", &to->out_discards },
		{ "OutNoRoutes", &to->out_no_routes }, { NULL, NULL },
	};
	const struct counter ext[] = {
		{ "InTruncatedPkts", &to->in_truncated },
		{ "InOctets", &to->in_octets },
		{ "OutOctets", &to->out_octets },
		{ NULL, NULL },
	};
	int err = read_groups("/proc/thread-self/net/snmp", "Ip: ", list);

	return err ? err : read_groups("/proc/thread-self/net/netstat", "IpExt: ", ext);
}

static int kernel_ip6(struct host_ip_stats *to)
{
	const struct counter list[] = {
		{ "Ip6InReceives", &to->in_receives },
		{ "Ip6InDelivers", &to->in_delivers },
		{ "Ip6OutRequests", &to->out_requests },
		{ "Ip6InHdrErrors", &to->in_header_errors },
		{ "Ip6InTruncatedPkts", &to->in_truncated },
		{ "Ip6InDiscards", &to->in_discards },
		{ "Ip6OutDiscards", &to->out_discards },
		{ "Ip6OutNoRoutes", &to->out_no_routes },
		{ "Ip6InOctets", &to->in_octets },
		{ "Ip6OutOctets", &to->out_octets },
		{ NULL, NULL },
	};

	return read_pairs("/proc/thread-self/net/snmp6", list);
}

static void without_parked(const struct host_adapter *adapter, struct host_tcp_stats *tcp)
{
	for (const struct host_conn *conn = adapter->host->conns; conn; conn = conn->next)
		if (conn->sock.fd >= 0 && conn->sock.phase == HOST_SOCKET_PARKED &&
		    tcp->established)
			tcp->established--;
}

/* ---- the target's ---- */

/* struct host_stats and what is in it are counters and nothing else. */
static void add(void *to, const void *more, size_t bytes)
{
	uint64_t *sum = to;
	const uint64_t *value = more;

	for (size_t i = 0; i < bytes / sizeof(*sum); i++)
		sum[i] += value[i];
}

static int target_tcp(struct host_adapter *adapter, NDIS_OID oid, struct host_tcp_stats *to)
{
	TCP_OFFLOAD_STATS s = { 0 };
	struct host_tcp_stats one;
	int err = host_oid(adapter, NdisRequestQueryInformation, oid, &s, sizeof(s));

	if (err)
		return err;
	one = (struct host_tcp_stats){ .in_segs = s.InSegments,
				       .out_segs = s.OutSegments,
				       .established = s.CurrentlyEstablished,
				       .resets = s.ResetEstablished,
				       .retransmits = s.RetransmittedSegments,
				       .in_errors = s.InErrors,
				       .out_resets = s.OutResets };
	add(to, &one, sizeof(one));
	return 0;
}

static int target_ip(struct host_adapter *adapter, NDIS_OID oid, struct host_ip_stats *to)
{
	IP_OFFLOAD_STATS s = { 0 };
	int err = host_oid(adapter, NdisRequestQueryInformation, oid, &s, sizeof(s));

	*to = (struct host_ip_stats){ .in_receives = s.InReceives,
				      .in_octets = s.InOctets,
				      .in_delivers = s.InDelivers,
				      .out_requests = s.OutRequests,
				      .out_octets = s.OutOctets,
				      .in_header_errors = s.InHeaderErrors,
				      .in_truncated = s.InTruncatedPackets,
				      .in_discards = s.InDiscards,
				      .out_discards = s.OutDiscards,
				      .out_no_routes = s.OutNoRoutes };
	return err;
}

static int target_stats(struct host_adapter *adapter, struct host_stats *to)
{
	int err = 0;

	if (adapter->ipv4)
		err = target_tcp(adapter, OID_TCP4_OFFLOAD_STATS, &to->tcp);
	if (!err && adapter->ipv4)
		err = target_ip(adapter, OID_IP4_OFFLOAD_STATS, &to->ip4);
	if (!err && adapter->ipv6)
		err = target_tcp(adapter, OID_TCP6_OFFLOAD_STATS, &to->tcp);
	if (!err && adapter->ipv6)
		err = target_ip(adapter, OID_IP6_OFFLOAD_STATS, &to->ip6);
	return err;
}

int host_adapter_stats(struct host_adapter *adapter, struct host_stats *target,
		       struct host_stats *sum)
{
	int err;

	memset(target, 0, sizeof(*target));
	memset(sum, 0, sizeof(*sum));
	err = kernel_tcp(&sum->tcp);
	if (!err)
		err = kernel_ip4(&sum->ip4);
	if (!err && kernel_ip6(&sum->ip6) == -ENOENT)
		memset(&sum->ip6, 0, sizeof(sum->ip6)); /* a kernel without IPv6 */
	without_parked(adapter, &sum->tcp);
	if (!err)
		err = target_stats(adapter, target);
	if (!err)
		add(sum, target, sizeof(*sum));
	return err;
}
