/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * script.h - a script in memory: how the connection looks when it is offloaded, and what happens
 * afterwards, line by line. The language is described in ../README.md.
 */
#ifndef TESTS_SCRIPTS_SCRIPT_H
#define TESTS_SCRIPTS_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/sim_sock.h"

enum {
	SCRIPT_WORDS = 8,
	SCRIPT_WORD_BYTES = 24,
	SCRIPT_OPT_BYTES = 40,
	SCRIPT_SACKS = 4,
	SCRIPT_REQS = 16,
};

/* A line of the script that went wrong, or the reason that a script failed. */
struct script_error {
	unsigned int line;
	char text[400];
};

struct script_range {
	uint32_t start, end; /* relative */
};

/* A segment as it is written: numbers are relative, byte 0 of either stream is 1. */
struct script_segment {
	uint8_t flags; /* NIC_SIM_ */
	uint32_t seq, len;
	bool has_ack, has_win, has_urg;
	uint32_t ack;
	uint16_t win, urg;
	bool has_opts; /* <...> was written */
	bool no_ts, has_ts, ts_any_val, ts_any_ecr;
	uint32_t ts_val, ts_ecr;
	unsigned int sacks;
	struct script_range sack[SCRIPT_SACKS];
	uint8_t raw[SCRIPT_OPT_BYTES]; /* other options, behind the timestamp */
	unsigned int raw_len;
	/* in brackets */
	bool bad_csum, garbage, fragment, ip_options, truncated;
	int ecn, vlan, priority, ttl, tos; /* -1: not said */
	uint16_t gro;                      /* a super-frame of such segments */
};

enum script_kind { SCRIPT_FROM_PEER, SCRIPT_TO_PEER, SCRIPT_COMMAND };

/* One line. */
struct script_event {
	struct script_event *next;
	unsigned int line;
	bool relative, any_time;
	uint64_t from_us, to_us; /* equal but for +a~+b */
	enum script_kind kind;
	struct script_segment seg;
	char word[SCRIPT_WORDS][SCRIPT_WORD_BYTES]; /* command and arguments */
	unsigned int words;
	char text[160]; /* for messages */
};

struct script {
	char path[256];
	struct sim_config world;
	struct sim_conn_config conn;
	enum sim_rx_mode reader;
	bool timestamps_peer_auto;
	uint32_t cwnd_bytes, ssthresh_bytes, srtt_ms, rttvar_ms; /* 0: the usual */
	uint32_t ka_idle_ms, ka_interval_ms, ka_probes;
	uint32_t ka_left_ms, ka_sent; /* UINT32_MAX: the timer is off */
	uint32_t max_rt_ms;
	uint32_t ts_recent_age_ms;
	uint32_t piece_bytes; /* of a send request */
	unsigned int ttl, tos, priority;
	uint32_t flow_label;
	bool show_start; /* the segment with which the target begins is the script's to expect */
	bool goes_on;    /* an upload is followed by the host's own TCP, not by the end */
	bool loose_push; /* PSH of expected segments does not count */
	uint32_t tolerance_us;
	char req[SCRIPT_REQS][12];
	unsigned int reqs;
	unsigned int fails_at; /* the script is wrong on purpose, in this line; 0: it is not */
	struct script_event *events;
};

/* script_read() - 0, or -EINVAL with error filled. script_free() in both cases. */
int script_read(struct script *script, const char *path, struct script_error *error);
void script_free(struct script *script);

/* script_option() - one --name=value. 0 or -EINVAL. */
int script_option(struct script *script, const char *name, const char *value);
void script_defaults(struct script *script);

/* script_segment_parse() - what follows < or >. NULL, or what is wrong with it. */
const char *script_segment_parse(struct script_segment *seg, const char *text);

/* script_run() - in a world of its own. 0 when everything happened as written. */
int script_run(const struct script *script, struct script_error *error);

#endif
