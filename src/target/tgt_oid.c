/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_oid.h"

#include <ndis/chimneyext.h>
#include <string.h>

#include "target/tgt_driver.h"
#include "target/tgt_stats.h"

#define US_PER_S 1000000u
/* What every revision of the structure has. */
#define RECEIVE_SCALE_BYTES NDIS_SIZEOF_THROUGH(NDIS_RECEIVE_SCALE_PARAMETERS, HashSecretKeyOffset)
#define DEFAULT_PUSH_US     500000u
#define DEFAULT_DELACK_US   40000u
#define DEFAULT_SWS_US      200000u
#define DEFAULT_STALE_S     30u
#define DEFAULT_ACKS        2u
#define DEFAULT_DUP_ACKS    3u
#define DEFAULT_RETRANSMIT  15u

void tgt_params_default(struct tgt_params *params)
{
	*params = (struct tgt_params){
		.ticks_per_second = 1000,
		.delayed_ack_us = DEFAULT_DELACK_US,
		.sws_us = DEFAULT_SWS_US,
		.push_us = DEFAULT_PUSH_US,
		.nce_stale_ticks = DEFAULT_STALE_S * 1000,
		.dup_ack_threshold = DEFAULT_DUP_ACKS,
		.ack_frequency = DEFAULT_ACKS,
		.max_retransmissions = DEFAULT_RETRANSMIT,
	};
}

/* ---- capabilities ---- */

void tgt_capabilities(const struct tgt_adapter *a, bool hardware, NDIS_TCP_CONNECTION_OFFLOAD *to)
{
	const struct tgt_ddi *d = a->ddi;
	bool v4 = hardware || d->offload_v4, v6 = hardware || d->offload_v6;

	*to = (NDIS_TCP_CONNECTION_OFFLOAD){
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_TCP_CONNECTION_OFFLOAD_REVISION_1,
			    NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1 },
		.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
		.SupportIPv4 = v4 ? NDIS_OFFLOAD_SUPPORTED : NDIS_OFFLOAD_NOT_SUPPORTED,
		.SupportIPv6 = v6 ? NDIS_OFFLOAD_SUPPORTED : NDIS_OFFLOAD_NOT_SUPPORTED,
		.SupportSack = NDIS_OFFLOAD_SUPPORTED,
		.TcpConnectionOffloadCapacity = a->limits.tcp_entries,
	};
}

/* ---- keywords ---- */

/* Values of *PriorityVLANTag; the other two are 0 and 2 for VLAN ids alone. */
enum {
	PRIORITY_ONLY = 1,
	PRIORITY_AND_VLAN = 3,
};

/* A keyword that is not set leaves *value as it is. */
static NDIS_STATUS read_keyword(NDIS_HANDLE config, const char *name, uint32_t *value)
{
	WCHAR wide[64];
	NDIS_STRING keyword = { 0, sizeof(wide), wide };
	NDIS_CONFIGURATION_PARAMETER *parameter = NULL;
	NDIS_STATUS status;
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		wide[i] = (WCHAR)name[i];
	keyword.Length = (USHORT)(n * sizeof(*wide));
	NdisReadConfiguration(&status, &parameter, config, &keyword, NdisParameterInteger);
	if (status == NDIS_STATUS_SUCCESS)
		*value = parameter->ParameterData.IntegerData;
	return status == NDIS_STATUS_RESOURCES ? status : NDIS_STATUS_SUCCESS;
}

static void set_interface_vlan(struct tgt_ddi *d, uint32_t id)
{
	d->interface_vlans[0] = (uint16_t)(id & 0xfff);
	d->interface_vlan_count = d->interface_vlans[0] != 0;
}

/*
 * The VLAN id is zero first, then what is configured (VLN-04); connection offload is on by default
 * (ADM-01, ADM-02).
 */
NDIS_STATUS tgt_keywords_read(struct tgt_adapter *a)
{
	NDIS_CONFIGURATION_OBJECT object = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_CONFIGURATION_OBJECT_REVISION_1,
			    NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1 },
		.NdisHandle = a->ddi->miniport,
	};
	struct tgt_ddi *d = a->ddi;
	uint32_t v4 = 1, v6 = 1, vlan = 0, backlog = 1, tags = PRIORITY_AND_VLAN;
	const struct {
		const char *name;
		uint32_t *value;
	} keywords[] = {
		{ "*TCPConnectionOffloadIPv4", &v4 }, { "*TCPConnectionOffloadIPv6", &v6 },
		{ "*PriorityVLANTag", &tags },        { "VlanId", &vlan },
		{ "SendBacklog", &backlog },
	};
	NDIS_HANDLE config;
	NDIS_STATUS status = NdisOpenConfigurationEx(&object, &config);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (status == NDIS_STATUS_SUCCESS)
			status = read_keyword(config, keywords[i].name, keywords[i].value);
	NdisCloseConfiguration(config);
	d->offload_v4 = v4 != 0;
	d->offload_v6 = v6 != 0;
	d->used_v4 = d->used_v6 = true; /* until the host stack chooses */
	d->send_backlog = backlog != 0;
	d->priority_tags = tags & PRIORITY_ONLY;
	set_interface_vlan(d, vlan);
	return status;
}

/* ---- setting ---- */

static bool ticks_allowed(uint32_t ticks)
{
	return ticks == 10 || ticks == 100 || ticks == 1000;
}

static bool encapsulation_allowed(ULONG enabled, ULONG type)
{
	return enabled != NDIS_OFFLOAD_SET_ON || type == NDIS_ENCAPSULATION_IEEE_802_3;
}

static void apply_use(bool *used, ULONG enabled)
{
	if (enabled == NDIS_OFFLOAD_SET_ON)
		*used = true;
	else if (enabled == NDIS_OFFLOAD_SET_OFF)
		*used = false;
}

/* Ticks of the structure in microseconds; zero is what the host did not set. */
static uint32_t ticks_us(uint32_t ticks, uint32_t ticks_per_second, uint32_t unset_us)
{
	uint64_t us = (uint64_t)ticks * US_PER_S / ticks_per_second;

	if (!ticks)
		return unset_us;
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void apply_parameters(struct tgt_params *p,
			     const NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS *from)
{
	uint32_t rate = from->TicksPerSecond;

	p->ticks_per_second = rate;
	p->ack_frequency = from->TcpAckFrequency ? from->TcpAckFrequency : DEFAULT_ACKS;
	p->delayed_ack_us = ticks_us(from->TcpDelayedAckTicks, rate, DEFAULT_DELACK_US);
	p->max_retransmissions = from->TcpMaximumRetransmissions ? from->TcpMaximumRetransmissions
								 : DEFAULT_RETRANSMIT;
	p->doubt_retransmissions = from->TcpDoubtReachabilityRetransmissions;
	p->sws_us = ticks_us(from->TcpSwsPreventionTicks, rate, 0);
	p->dup_ack_threshold =
		from->TcpDuplicateAckThreshold ? from->TcpDuplicateAckThreshold : DEFAULT_DUP_ACKS;
	p->push_us = ticks_us(from->TcpPushTicks, rate, DEFAULT_PUSH_US);
	p->nce_stale_ticks = from->NceStaleTicks ? from->NceStaleTicks : DEFAULT_STALE_S * rate;
}

/*
 * Times of offloaded objects are kept in ticks where the interface wants them modulo 2^32, so the
 * rate cannot change under them.
 */
static NDIS_STATUS set_connection_parameters(struct tgt_adapter *a,
					     const NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS *from)
{
	const NDIS_OFFLOAD_ENCAPSULATION *e = &from->Encapsulation;
	struct tgt_ddi *d = a->ddi;

	if (!ticks_allowed(from->TicksPerSecond))
		return NDIS_STATUS_INVALID_PARAMETER;
	if (!encapsulation_allowed(e->IPv4.Enabled, e->IPv4.EncapsulationType) ||
	    !encapsulation_allowed(e->IPv6.Enabled, e->IPv6.EncapsulationType))
		return NDIS_STATUS_NOT_SUPPORTED;
	if (d->neighbors.used && from->TicksPerSecond != a->params.ticks_per_second)
		return NDIS_STATUS_INVALID_STATE;
	apply_use(&d->used_v4, e->IPv4.Enabled);
	apply_use(&d->used_v6, e->IPv6.Enabled);
	apply_parameters(&a->params, from);
	return NDIS_STATUS_SUCCESS;
}

static bool switch_valid(UCHAR v)
{
	return v <= NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_ENABLED;
}

static void apply_switch(bool *on, UCHAR v)
{
	if (v != NDIS_OFFLOAD_PARAMETERS_NO_CHANGE)
		*on = v == NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_ENABLED;
}

/* What is offered changes; the new configuration is reported by OFFLOAD_RESUME (ADM-07). */
static NDIS_STATUS set_offload_parameters(struct tgt_adapter *a,
					  const NDIS_OFFLOAD_PARAMETERS *from)
{
	if (!switch_valid(from->TcpConnectionIPv4) || !switch_valid(from->TcpConnectionIPv6))
		return NDIS_STATUS_INVALID_DATA;
	apply_switch(&a->ddi->offload_v4, from->TcpConnectionIPv4);
	apply_switch(&a->ddi->offload_v6, from->TcpConnectionIPv6);
	a->ddi->status_due |= TGT_STATUS_RESUME;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS set_power(struct tgt_adapter *a, NDIS_OID_REQUEST *request,
			     NDIS_DEVICE_POWER_STATE state)
{
	if (state == NdisDeviceStateD0 || !a->ddi->conns.used)
		return NDIS_STATUS_SUCCESS;
	a->ddi->power_request = request;
	return NDIS_STATUS_PENDING;
}

void tgt_power_check(struct tgt_adapter *a)
{
	NDIS_OID_REQUEST *request = a->ddi->power_request;

	if (!request || a->ddi->conns.used)
		return;
	a->ddi->power_request = NULL;
	NdisMOidRequestComplete(a->ddi->miniport, request, NDIS_STATUS_SUCCESS);
}

/*
 * One worker is one processor: whatever the indirection table says, nothing moves and the order of
 * delivery stays (RSS-04). The hash is the host's (RSS-02).
 */
static NDIS_STATUS set_receive_scale(const NDIS_RECEIVE_SCALE_PARAMETERS *from, UINT bytes)
{
	if (from->Header.Type != NDIS_OBJECT_TYPE_RSS_PARAMETERS ||
	    from->IndirectionTableOffset > bytes ||
	    from->IndirectionTableSize > bytes - from->IndirectionTableOffset ||
	    from->HashSecretKeyOffset > bytes ||
	    from->HashSecretKeySize > bytes - from->HashSecretKeyOffset)
		return NDIS_STATUS_INVALID_PARAMETER;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS set_value(struct tgt_adapter *a, NDIS_OID_REQUEST *request, NDIS_OID oid,
			     const void *from)
{
	uint32_t value;

	switch (oid) {
	case OID_TCP_CONNECTION_OFFLOAD_PARAMETERS:
		return set_connection_parameters(a, from);
	case OID_TCP_OFFLOAD_PARAMETERS:
		return set_offload_parameters(a, from);
	case OID_GEN_RECEIVE_SCALE_PARAMETERS:
		return set_receive_scale(from,
					 request->DATA.SET_INFORMATION.InformationBufferLength);
	}
	memcpy(&value, from, sizeof(value));
	switch (oid) {
	case OID_GEN_CURRENT_PACKET_FILTER:
		a->ddi->packet_filter = value;
		return NDIS_STATUS_SUCCESS;
	case OID_GEN_VLAN_ID:
		set_interface_vlan(a->ddi, value);
		return NDIS_STATUS_SUCCESS;
	case OID_PNP_SET_POWER:
		return set_power(a, request, (NDIS_DEVICE_POWER_STATE)value);
	}
	return NDIS_STATUS_NOT_SUPPORTED;
}

/* STT-03: a set of a statistics OID zeroes its group, whatever it carries. */
static bool zero_statistics(struct tgt_adapter *a, NDIS_OID oid)
{
	switch (oid) {
	case OID_TCP4_OFFLOAD_STATS:
		tgt_stats_zero_tcp(a, TGT_V4);
		return true;
	case OID_TCP6_OFFLOAD_STATS:
		tgt_stats_zero_tcp(a, TGT_V6);
		return true;
	case OID_IP4_OFFLOAD_STATS:
		tgt_stats_zero_ip(a, TGT_V4);
		return true;
	case OID_IP6_OFFLOAD_STATS:
		tgt_stats_zero_ip(a, TGT_V6);
		return true;
	}
	return false;
}

/* Least bytes of the information buffer, 0 for an OID that is not supported. */
static UINT set_bytes(NDIS_OID oid)
{
	switch (oid) {
	case OID_TCP_CONNECTION_OFFLOAD_PARAMETERS:
		return NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1;
	case OID_TCP_OFFLOAD_PARAMETERS:
		return NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1;
	case OID_GEN_RECEIVE_SCALE_PARAMETERS:
		return RECEIVE_SCALE_BYTES;
	case OID_GEN_CURRENT_PACKET_FILTER:
	case OID_GEN_VLAN_ID:
	case OID_PNP_SET_POWER:
		return sizeof(ULONG);
	}
	return 0;
}

static NDIS_STATUS set_request(struct tgt_adapter *a, NDIS_OID_REQUEST *request)
{
	struct _SET *set = &request->DATA.SET_INFORMATION;
	UINT bytes = set_bytes(set->Oid);

	if (zero_statistics(a, set->Oid))
		return NDIS_STATUS_SUCCESS;
	if (!bytes)
		return NDIS_STATUS_NOT_SUPPORTED;
	if (set->InformationBufferLength < bytes || !set->InformationBuffer) {
		set->BytesNeeded = bytes;
		return NDIS_STATUS_INVALID_LENGTH;
	}
	set->BytesRead = bytes;
	return set_value(a, request, set->Oid, set->InformationBuffer);
}

/* ---- query ---- */

union answer {
	TCP_OFFLOAD_STATS tcp;
	IP_OFFLOAD_STATS ip;
	ULONG value;
};

/* Returns the length of the answer, 0 for an OID that is not supported. */
static UINT answer(const struct tgt_adapter *a, NDIS_OID oid, union answer *to)
{
	switch (oid) {
	case OID_TCP4_OFFLOAD_STATS:
	case OID_TCP6_OFFLOAD_STATS:
		tgt_stats_tcp(a, oid == OID_TCP6_OFFLOAD_STATS ? TGT_V6 : TGT_V4, &to->tcp);
		return sizeof(to->tcp);
	case OID_IP4_OFFLOAD_STATS:
	case OID_IP6_OFFLOAD_STATS:
		tgt_stats_ip(a, oid == OID_IP6_OFFLOAD_STATS ? TGT_V6 : TGT_V4, &to->ip);
		return sizeof(to->ip);
	case OID_GEN_CURRENT_PACKET_FILTER:
		to->value = a->ddi->packet_filter;
		return sizeof(to->value);
	case OID_GEN_VLAN_ID:
		to->value = a->ddi->interface_vlan_count ? a->ddi->interface_vlans[0] : 0;
		return sizeof(to->value);
	case OID_CHIMNEY_EXTENSIONS:
		to->value = CHIMNEY_EXT_ECN | CHIMNEY_EXT_CORK;
		return sizeof(to->value);
	case OID_PNP_QUERY_POWER:
		to->value = 0;
		return sizeof(to->value);
	}
	return 0;
}

static NDIS_STATUS query_request(const struct tgt_adapter *a, NDIS_OID_REQUEST *request)
{
	struct _QUERY *query = &request->DATA.QUERY_INFORMATION;
	union answer reply;
	UINT bytes = answer(a, query->Oid, &reply);

	if (!bytes)
		return NDIS_STATUS_NOT_SUPPORTED;
	if (query->Oid == OID_PNP_QUERY_POWER)
		return NDIS_STATUS_SUCCESS; /* it can always follow; the buffer holds the state */
	if (query->InformationBufferLength < bytes || !query->InformationBuffer) {
		query->BytesNeeded = bytes;
		return NDIS_STATUS_BUFFER_TOO_SHORT;
	}
	memcpy(query->InformationBuffer, &reply, bytes);
	query->BytesWritten = bytes;
	return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS tgt_oid_request(struct tgt_adapter *a, NDIS_OID_REQUEST *request)
{
	switch (request->RequestType) {
	case NdisRequestSetInformation:
		return set_request(a, request);
	case NdisRequestQueryInformation:
	case NdisRequestQueryStatistics:
		return query_request(a, request);
	default:
		return NDIS_STATUS_NOT_SUPPORTED;
	}
}

/* ---- status indications ---- */

static void indicate_status(struct tgt_adapter *a, NDIS_STATUS code, void *buffer, ULONG bytes)
{
	NDIS_STATUS_INDICATION indication = {
		.Header = { NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
			    NDIS_SIZEOF_STATUS_INDICATION_REVISION_1 },
		.SourceHandle = a->ddi->miniport,
		.StatusCode = code,
		.StatusBuffer = buffer,
		.StatusBufferSize = bytes,
	};

	NdisMIndicateStatusEx(a->ddi->miniport, &indication);
}

static void indicate_resume(struct tgt_adapter *a)
{
	NDIS_TCP_CONNECTION_OFFLOAD config;

	tgt_capabilities(a, false, &config);
	indicate_status(a, NDIS_STATUS_OFFLOAD_RESUME, &config, sizeof(config));
}

void tgt_status_run(struct tgt_adapter *a)
{
	struct tgt_ddi *d = a->ddi;
	uint32_t due = d->status_due;

	d->status_due = 0;
	if (due & TGT_STATUS_LINK)
		indicate_status(
			a, d->link_up ? NDIS_STATUS_MEDIA_CONNECT : NDIS_STATUS_MEDIA_DISCONNECT,
			NULL, 0);
	if (due & TGT_STATUS_PAUSE)
		indicate_status(a, NDIS_STATUS_OFFLOAD_PAUSE, NULL, 0);
	if (due & TGT_STATUS_UPLOAD_ALL)
		indicate_status(a, NDIS_STATUS_UPLOAD_ALL, NULL, 0);
	if (due & TGT_STATUS_RESUME)
		indicate_resume(a);
	if (d->upload_all && !d->conns.used && !d->paths.used && !d->neighbors.used)
		d->upload_all = false;
}

bool tgt_status_waiting(const struct tgt_adapter *a)
{
	return a->ddi->status_due;
}

void tgt_adapter_pause_offload(struct tgt_adapter *a)
{
	a->ddi->offload_paused = true;
	a->ddi->paused_us = a->now_us;
	a->ddi->status_due |= TGT_STATUS_PAUSE;
}

void tgt_adapter_resume_offload(struct tgt_adapter *a)
{
	a->ddi->offload_paused = a->ddi->upload_all = false;
	a->ddi->status_due |= TGT_STATUS_RESUME;
}

/* Everything goes back, and nothing new is taken until a resume (STI-10). */
void tgt_adapter_upload_all(struct tgt_adapter *a)
{
	a->ddi->upload_all = a->ddi->offload_paused = true;
	a->ddi->paused_us = a->now_us;
	a->ddi->status_due |= TGT_STATUS_UPLOAD_ALL;
}

void tgt_adapter_link(struct tgt_adapter *a, bool up)
{
	if (a->ddi->link_up == up)
		return;
	a->ddi->link_up = up;
	a->ddi->status_due |= TGT_STATUS_LINK;
}
