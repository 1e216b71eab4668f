/* SPDX-License-Identifier: BSD-2-Clause */
/* From the text of a script to its events. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nic/nic_sim_frame.h"
#include "script.h"

static const char *skip(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

/* A number modulo 2^32; false when there is none. */
static bool number(const char **at, uint32_t *out)
{
	char *end;

	*at = skip(*at);
	if (!isdigit((unsigned char)**at))
		return false;
	*out = (uint32_t)strtoull(*at, &end, 0);
	*at = end;
	return true;
}

static bool word(const char **at, const char *expected)
{
	size_t len = strlen(expected);

	*at = skip(*at);
	if (strncmp(*at, expected, len) != 0 || isalnum((unsigned char)(*at)[len]))
		return false;
	*at += len;
	return true;
}

static bool character(const char **at, char c)
{
	*at = skip(*at);
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool flags(const char **at, uint8_t *out)
{
	static const char letters[] = "FSRP.UEW";
	const char *found;

	*at = skip(*at);
	*out = 0;
	for (; **at && (found = strchr(letters, **at)); (*at)++)
		*out |= (uint8_t)(1u << (found - letters));
	if (**at == '-') /* no flag at all */
		(*at)++;
	return isspace((unsigned char)**at);
}

/* Options. */

static const char *put_raw(struct script_segment *seg, const uint8_t *bytes, unsigned int len)
{
	if (seg->raw_len + len > SCRIPT_OPT_BYTES)
		return "more options than fit";
	memcpy(seg->raw + seg->raw_len, bytes, len);
	seg->raw_len += len;
	return NULL;
}

static const char *timestamp(struct script_segment *seg, const char **at)
{
	seg->has_ts = true;
	if (!word(at, "val"))
		return "TS needs val";
	seg->ts_any_val = character(at, '*');
	if (!seg->ts_any_val && !number(at, &seg->ts_val))
		return "TS val needs a number or *";
	if (!word(at, "ecr"))
		return "TS needs ecr";
	seg->ts_any_ecr = character(at, '*');
	if (!seg->ts_any_ecr && !number(at, &seg->ts_ecr))
		return "TS ecr needs a number or *";
	return NULL;
}

static const char *sacks(struct script_segment *seg, const char **at)
{
	while (isdigit((unsigned char)*skip(*at))) {
		struct script_range *range;

		if (seg->sacks == SCRIPT_SACKS)
			return "more than four SACK blocks";
		range = &seg->sack[seg->sacks++];
		if (!number(at, &range->start) || !character(at, ':') || !number(at, &range->end))
			return "a SACK block is start:end";
	}
	return NULL;
}

static const char *hex(struct script_segment *seg, const char **at)
{
	unsigned int byte;

	*at = skip(*at);
	while (isxdigit((unsigned char)(*at)[0]) && sscanf(*at, "%2x", &byte) == 1) {
		uint8_t b = (uint8_t)byte;
		const char *bad = put_raw(seg, &b, 1);

		if (bad)
			return bad;
		*at += 2;
	}
	return NULL;
}

static const char *option(struct script_segment *seg, const char **at)
{
	static const uint8_t nop = 1, eol = 0, sack_ok[] = { 4, 2 };
	uint8_t mss[4] = { 2, 4 }, scale[3] = { 3, 3 };
	uint32_t value;

	if (word(at, "TS"))
		return timestamp(seg, at);
	if (word(at, "sackOK"))
		return put_raw(seg, sack_ok, sizeof(sack_ok));
	if (word(at, "sack"))
		return sacks(seg, at);
	if (word(at, "nop"))
		return put_raw(seg, &nop, 1);
	if (word(at, "eol"))
		return put_raw(seg, &eol, 1);
	if (word(at, "raw"))
		return hex(seg, at);
	if (word(at, "nots")) {
		seg->no_ts = true;
		return NULL;
	}
	if (word(at, "mss") && number(at, &value)) {
		mss[2] = (uint8_t)(value >> 8);
		mss[3] = (uint8_t)value;
		return put_raw(seg, mss, sizeof(mss));
	}
	if (word(at, "wscale") && number(at, &value)) {
		scale[2] = (uint8_t)value;
		return put_raw(seg, scale, sizeof(scale));
	}
	return "unknown option";
}

static const char *options(struct script_segment *seg, const char **at)
{
	const char *bad = NULL;

	if (!character(at, '<'))
		return NULL;
	seg->has_opts = true;
	while (!bad && !character(at, '>')) {
		bad = option(seg, at);
		if (!bad && !character(at, ',') && *skip(*at) != '>')
			bad = "options are separated by commas and end with >";
	}
	return bad;
}

static const char *modifier(struct script_segment *seg, const char **at)
{
	struct {
		const char *name;
		int *to;
	} const numbers[] = { { "ecn", &seg->ecn },
			      { "vlan", &seg->vlan },
			      { "priority", &seg->priority },
			      { "ttl", &seg->ttl },
			      { "tos", &seg->tos } };
	struct {
		const char *name;
		bool *to;
	} const switches[] = { { "badcsum", &seg->bad_csum },
			       { "garbage", &seg->garbage },
			       { "fragment", &seg->fragment },
			       { "ipoptions", &seg->ip_options },
			       { "truncated", &seg->truncated } };
	uint32_t value;
	unsigned int i;

	for (i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		if (word(at, switches[i].name)) {
			*switches[i].to = true;
			return NULL;
		}
	}
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (word(at, numbers[i].name) && number(at, &value)) {
			*numbers[i].to = (int)value;
			return NULL;
		}
	}
	if (word(at, "gro") && number(at, &value)) {
		seg->gro = (uint16_t)value;
		return NULL;
	}
	return "unknown modifier";
}

const char *script_segment_parse(struct script_segment *seg, const char *text)
{
	const char *at = text, *bad;
	uint32_t end, value;

	memset(seg, 0, sizeof(*seg));
	seg->ecn = seg->vlan = seg->priority = seg->ttl = seg->tos = -1;
	if (!flags(&at, &seg->flags))
		return "flags are some of FSRP.UEW";
	if (!number(&at, &seg->seq) || !character(&at, ':') || !number(&at, &end) ||
	    !character(&at, '(') || !number(&at, &seg->len) || !character(&at, ')'))
		return "sequence numbers are start:end(length)";
	if (end - seg->seq != seg->len)
		return "end minus start is not the length";
	if (word(&at, "ack"))
		seg->has_ack = number(&at, &seg->ack);
	if (word(&at, "win") && number(&at, &value)) {
		seg->has_win = true;
		seg->win = (uint16_t)value;
	}
	if (word(&at, "urg") && number(&at, &value)) {
		seg->has_urg = true;
		seg->urg = (uint16_t)value;
	}
	bad = options(seg, &at);
	while (!bad && character(&at, '[')) {
		bad = modifier(seg, &at);
		if (!bad && !character(&at, ']'))
			bad = "a modifier ends with ]";
	}
	return bad ? bad : *skip(at) ? "something follows that is not understood" : NULL;
}

/* Lines. */

static bool seconds(const char **at, uint64_t *us)
{
	char *end;
	double s = strtod(*at, &end);

	if (end == *at || s < 0)
		return false;
	*us = (uint64_t)(s * 1000000 + 0.5);
	*at = end;
	return true;
}

static const char *when(struct script_event *event, const char **at)
{
	if (character(at, '*')) {
		event->any_time = true;
		return NULL;
	}
	event->relative = character(at, '+');
	if (!seconds(at, &event->from_us))
		return "a line begins with a time";
	event->to_us = event->from_us;
	if (character(at, '~')) {
		if (character(at, '+') != event->relative || !seconds(at, &event->to_us))
			return "a range of times is a~b or +a~+b";
	}
	return NULL;
}

/* name(a, b, c) or name a b c */
static const char *command(struct script_event *event, const char *at)
{
	event->kind = SCRIPT_COMMAND;
	while (*(at = skip(at))) {
		char *to = event->word[event->words];
		size_t len = strcspn(at, " \t\n(),;");

		if (len >= SCRIPT_WORD_BYTES || event->words == SCRIPT_WORDS)
			return "a command is too long";
		memcpy(to, at, len);
		to[len] = 0;
		event->words += len > 0;
		at += len;
		at += strspn(at, " \t\n(),;");
	}
	return event->words > 0 ? NULL : "nothing happens in this line";
}

static const char *event_line(struct script_event *event, const char *text)
{
	const char *at = text, *bad = when(event, &at);

	if (bad)
		return bad;
	snprintf(event->text, sizeof(event->text), "%.*s", (int)strcspn(skip(text), "\n"),
		 skip(text));
	if (character(&at, '<')) {
		event->kind = SCRIPT_FROM_PEER;
		return script_segment_parse(&event->seg, at);
	}
	if (character(&at, '>')) {
		event->kind = SCRIPT_TO_PEER;
		return script_segment_parse(&event->seg, at);
	}
	return command(event, at);
}

static const char *option_line(struct script *script, char *text)
{
	char *save, *one;

	for (one = strtok_r(text, " \t\n", &save); one; one = strtok_r(NULL, " \t\n", &save)) {
		char *value = strchr(one, '=');

		if (strncmp(one, "--", 2) != 0)
			return "options look like --name=value";
		if (value)
			*value++ = 0;
		if (script_option(script, one + 2, value ? value : "") != 0)
			return "unknown option, or a value that is none";
	}
	return NULL;
}

/* "# REQ: TMR-12, TMR-13", "# FAILS AT: 7" */
static const char *requirements(struct script *script, const char *text)
{
	const char *at = strstr(text, "REQ:");
	size_t len;

	if (!at) {
		at = strstr(text, "FAILS AT:");
		if (at)
			script->fails_at = (unsigned int)strtoul(at + 9, NULL, 10);
		return NULL;
	}
	at += 4;
	while (*(at += strspn(at, " ,\t\n"))) {
		len = strcspn(at, " ,\t\n");
		if (len >= sizeof(script->req[0]) || script->reqs == SCRIPT_REQS)
			return "a requirement's id is too long, or there are too many";
		memcpy(script->req[script->reqs++], at, len);
		at += len;
	}
	return NULL;
}

static const char *line(struct script *script, char *text, unsigned int number_of_line,
			struct script_event ***tail)
{
	const char *at = skip(text), *bad;
	struct script_event *event;

	if (*at == '#')
		return requirements(script, at);
	if (!*at)
		return NULL;
	if (!strncmp(at, "--", 2))
		return option_line(script, text);
	event = calloc(1, sizeof(*event));
	if (!event)
		return "no memory";
	event->line = number_of_line;
	**tail = event;
	*tail = &event->next;
	bad = event_line(event, text);
	return bad;
}

int script_read(struct script *script, const char *path, struct script_error *error)
{
	struct script_event **tail = &script->events;
	const char *bad = NULL;
	char text[512];
	FILE *f;

	script_defaults(script);
	snprintf(script->path, sizeof(script->path), "%s", path);
	error->line = 0;
	f = fopen(path, "r");
	if (!f) {
		snprintf(error->text, sizeof(error->text), "cannot be read");
		return -EINVAL;
	}
	while (!bad && fgets(text, sizeof(text), f)) {
		error->line++;
		bad = line(script, text, error->line, &tail);
	}
	fclose(f);
	if (!bad)
		return 0;
	snprintf(error->text, sizeof(error->text), "%s", bad);
	return -EINVAL;
}

void script_free(struct script *script)
{
	while (script->events) {
		struct script_event *event = script->events;

		script->events = event->next;
		free(event);
	}
}
