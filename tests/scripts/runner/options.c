/* SPDX-License-Identifier: BSD-2-Clause */
/* What a script says of the connection before anything happens. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "script.h"

void script_defaults(struct script *script)
{
	memset(script, 0, sizeof(*script));
	sim_config_default(&script->world, 1);
	script->world.up = script->world.down = (struct nic_sim_link_params){ 0 };
	script->world.rx_hold_us = 0;
	script->world.gro = false;
	script->world.check_every = 1;
	script->world.cc_name = "newreno";
	script->conn.family = SIM_V4;
	script->conn.sack = true;
	script->conn.mss = 1000;
	script->conn.wscale[SIM_AT_PEER] = script->conn.wscale[SIM_AT_HOST] = 7;
	script->conn.rcv_buf_bytes[SIM_AT_PEER] = script->conn.rcv_buf_bytes[SIM_AT_HOST] = 65536;
	script->conn.iss[SIM_AT_HOST] = 0x10000000;
	script->conn.iss[SIM_AT_PEER] = 0x20000000;
	script->reader = SIM_RX_POST;
	script->srtt_ms = 100;
	script->rttvar_ms = 25;
	script->ka_left_ms = UINT32_MAX;
	script->piece_bytes = 1u << 20;
	script->ttl = 64;
	script->tolerance_us = 2000;
}

static int two(const char *value, uint32_t out[2])
{
	char *end;

	out[0] = (uint32_t)strtoul(value, &end, 0);
	if (*end != ',')
		return -EINVAL;
	out[1] = (uint32_t)strtoul(end + 1, &end, 0);
	return *end ? -EINVAL : 0;
}

static int pair_option(struct script *script, const char *name, const char *value)
{
	uint32_t v[2];

	if (two(value, v) != 0)
		return -EINVAL;
	if (!strcmp(name, "ts")) { /* clock of the host, clock of the peer */
		script->conn.timestamps = true;
		script->conn.ts_now[SIM_AT_HOST] = v[0];
		script->conn.ts_now[SIM_AT_PEER] = v[1];
	} else if (!strcmp(name, "wscale")) { /* of the windows we receive, of those we send */
		script->conn.wscale[SIM_AT_PEER] = (uint8_t)v[0];
		script->conn.wscale[SIM_AT_HOST] = (uint8_t)v[1];
	} else if (!strcmp(name, "keepalive")) { /* idle time, interval */
		script->ka_idle_ms = v[0];
		script->ka_interval_ms = v[1];
	} else if (!strcmp(name, "vlan")) {
		script->world.vlan = true;
		script->world.vlan_id = (uint16_t)v[0];
		script->world.vlan_priority = (uint8_t)v[1];
	} else if (!strcmp(name, "rtt")) { /* smoothed, variation; ms */
		script->srtt_ms = v[0];
		script->rttvar_ms = v[1];
	} else {
		return -EINVAL;
	}
	return 0;
}

static int reader_option(struct script *script, const char *value)
{
	static const char *const modes[] = {
		[SIM_RX_INDICATE] = "indicate",
		[SIM_RX_POST] = "post",
		[SIM_RX_NOPUSH] = "nopush",
	};
	unsigned int i;

	if (!strcmp(value, "waits")) {
		script->conn.reader_waits[SIM_AT_HOST] = true;
		return 0;
	}
	for (i = SIM_RX_INDICATE; i < SIM_RX_MODES; i++) {
		if (!strcmp(value, modes[i])) {
			script->reader = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int word_option(struct script *script, const char *name, const char *value)
{
	if (!strcmp(name, "sack"))
		script->conn.sack = strcmp(value, "off") != 0;
	else if (!strcmp(name, "ecn"))
		script->conn.ecn = strcmp(value, "off") != 0;
	else if (!strcmp(name, "cork"))
		script->conn.cork = strcmp(value, "off") != 0;
	else if (!strcmp(name, "nagle"))
		script->conn.nagle = strcmp(value, "off") != 0;
	else if (!strcmp(name, "tso"))
		script->world.tso = strcmp(value, "off") != 0;
	else if (!strcmp(name, "wscale") && !strcmp(value, "off"))
		script->conn.wscale[SIM_AT_PEER] = script->conn.wscale[SIM_AT_HOST] = 0xff;
	else if (!strcmp(name, "show_start"))
		script->show_start = true;
	else if (!strcmp(name, "goes_on"))
		script->goes_on = true;
	else if (!strcmp(name, "loose_push"))
		script->loose_push = true;
	else if (!strcmp(name, "reader"))
		return reader_option(script, value);
	else if (!strcmp(name, "cc"))
		script->world.cc_name = !strcmp(value, "cubic") ? "cubic" : "newreno";
	else
		return 1;
	return 0;
}

int script_option(struct script *script, const char *name, const char *value)
{
	struct {
		const char *name;
		uint32_t *to;
	} const numbers[] = {
		{ "mtu", &script->world.mtu_bytes },
		{ "snd_wnd", &script->conn.rcv_buf_bytes[SIM_AT_PEER] },
		{ "rcv_buf", &script->conn.rcv_buf_bytes[SIM_AT_HOST] },
		{ "iss", &script->conn.iss[SIM_AT_HOST] },
		{ "irs", &script->conn.iss[SIM_AT_PEER] },
		{ "cwnd", &script->cwnd_bytes },
		{ "ssthresh", &script->ssthresh_bytes },
		{ "ka_probes", &script->ka_probes },
		{ "ka_left", &script->ka_left_ms },
		{ "ka_sent", &script->ka_sent },
		{ "max_rt", &script->max_rt_ms },
		{ "ts_recent_age", &script->ts_recent_age_ms },
		{ "piece", &script->piece_bytes },
		{ "flow_label", &script->flow_label },
		{ "tolerance_us", &script->tolerance_us },
		{ "ttl", &script->ttl },
		{ "tos", &script->tos },
		{ "priority", &script->priority },
		{ "chunks", &script->world.chunks },
		{ "indication", &script->conn.rcv_indication_bytes },
	};
	unsigned int i;
	char *end;
	int r = word_option(script, name, value);

	if (r <= 0)
		return r;
	if (strchr(value, ','))
		return pair_option(script, name, value);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(name, numbers[i].name) != 0)
			continue;
		*numbers[i].to = (uint32_t)strtoul(value, &end, 0);
		return *value && !*end ? 0 : -EINVAL;
	}
	if (!strcmp(name, "ip") && (!strcmp(value, "4") || !strcmp(value, "6")))
		script->conn.family = *value == '4' ? SIM_V4 : SIM_V6;
	else if (!strcmp(name, "quick_acks"))
		script->world.quick_acks = (uint8_t)strtoul(value, NULL, 0);
	else if (!strcmp(name, "mss"))
		script->conn.mss = (uint16_t)strtoul(value, NULL, 0);
	else
		return -EINVAL;
	return 0;
}
