/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_select.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct prefix {
	uint8_t family; /* 0: not asked for */
	uint8_t addr[16];
	unsigned int bits;
};

struct range {
	bool set;
	uint16_t from, to;
};

struct rule {
	int line;
	bool offload;
	struct prefix local, remote;
	struct range local_port, remote_port;
	uint64_t min_bytes, min_rate, min_age_ms, max_rtt_ms;
	char program[64]; /* empty: not asked for */
	char interface[IF_NAMESIZE];
	enum host_select_direction direction;
	bool has_user;
	uint32_t uid;
	uint64_t hits;
};

struct host_select {
	struct rule *rules;
	unsigned int count;
};

/* Where the parser is, for messages. */
struct parser {
	int line;
	char *why;
	size_t why_size;
};

static int wrong(const struct parser *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(const struct parser *p, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(p->why, p->why_size, "line %d: %s", p->line, text);
	return -EINVAL;
}

static int parse_prefix(const struct parser *p, const char *word, struct prefix *out)
{
	char addr[64];
	const char *slash = strchr(word, '/');
	size_t len = slash ? (size_t)(slash - word) : strlen(word);
	unsigned int most;
	char *end;

	snprintf(addr, sizeof(addr), "%.*s", (int)len, word);
	out->family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(out->family, addr, out->addr) != 1)
		return wrong(p, "'%s' is not an address; like 10.0.0.0/8 or fd00::/8", word);
	most = out->family == AF_INET ? 32 : 128;
	out->bits = slash ? (unsigned int)strtoul(slash + 1, &end, 10) : most;
	if (slash && (!isdigit((unsigned char)slash[1]) || *end || out->bits > most))
		return wrong(p, "'%s': a prefix length from 0 to %u is wanted behind the slash",
			     word, most);
	return 0;
}

static int parse_range(const struct parser *p, const char *word, struct range *out)
{
	unsigned int from, to;
	char rest;
	int n = sscanf(word, "%u-%u%c", &from, &to, &rest);

	if (n == 1 && sscanf(word, "%u%c", &from, &rest) == 1)
		to = from;
	else if (n != 2)
		from = 0;
	if (from < 1 || from > 65535 || to < from || to > 65535)
		return wrong(p, "'%s' is not a port or range of ports; like 443 or 6379-6389",
			     word);
	*out = (struct range){ .set = true, .from = (uint16_t)from, .to = (uint16_t)to };
	return 0;
}

static int parse_size(const struct parser *p, const char *word, uint64_t *out)
{
	char *end;
	unsigned int shift;

	errno = 0;
	*out = strtoull(word, &end, 10);
	shift = *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	if (shift)
		end++;
	if (!isdigit((unsigned char)word[0]) || *end || errno || *out > UINT64_MAX >> shift)
		return wrong(p, "'%s' is not a size; like 65536, 64k, 10M or 1G", word);
	*out <<= shift;
	return 0;
}

static int parse_time(const struct parser *p, const char *word, uint64_t *out_ms)
{
	char *end;
	uint64_t value, unit;

	errno = 0;
	value = strtoull(word, &end, 10);
	unit = !strcmp(end, "ms") ? 1 : !strcmp(end, "s") ? 1000 : 0;
	if (!isdigit((unsigned char)word[0]) || !unit || errno || value > UINT64_MAX / 1000)
		return wrong(p, "'%s' is not a time; like 500ms or 2s", word);
	*out_ms = value * unit;
	return 0;
}

static int parse_program(const struct parser *p, const char *word, struct rule *r)
{
	if (strlen(word) >= sizeof(r->program) || strchr(word, '/'))
		return wrong(p, "'%s' is not the name of a program; like redis-server", word);
	snprintf(r->program, sizeof(r->program), "%s", word);
	return 0;
}

/* It need not exist yet. */
static int parse_interface(const struct parser *p, const char *word, struct rule *r)
{
	if (strlen(word) >= sizeof(r->interface) || strchr(word, '/'))
		return wrong(p, "'%s' is not the name of an interface; like eth0", word);
	snprintf(r->interface, sizeof(r->interface), "%s", word);
	return 0;
}

static int parse_direction(const struct parser *p, const char *word, struct rule *r)
{
	r->direction = !strcmp(word, "in")    ? HOST_SELECT_IN
		       : !strcmp(word, "out") ? HOST_SELECT_OUT
					      : HOST_SELECT_ANY_WAY;
	return r->direction ? 0 : wrong(p, "'%s': a direction is in or out", word);
}

static int parse_user(const struct parser *p, const char *word, struct rule *r)
{
	struct passwd entry, *found = NULL;
	char buffer[1024], *end;

	r->has_user = true;
	r->uid = (uint32_t)strtoul(word, &end, 10);
	if (isdigit((unsigned char)word[0]) && !*end)
		return 0;
	if (getpwnam_r(word, &entry, buffer, sizeof(buffer), &found) || !found)
		return wrong(p, "'%s' is no user of this machine", word);
	r->uid = found->pw_uid;
	return 0;
}

static int parse_condition(const struct parser *p, const char *name, const char *value,
			   struct rule *r)
{
	if (!strcmp(name, "local"))
		return parse_prefix(p, value, &r->local);
	if (!strcmp(name, "remote"))
		return parse_prefix(p, value, &r->remote);
	if (!strcmp(name, "local-port"))
		return parse_range(p, value, &r->local_port);
	if (!strcmp(name, "remote-port"))
		return parse_range(p, value, &r->remote_port);
	if (!strcmp(name, "min-bytes"))
		return parse_size(p, value, &r->min_bytes);
	if (!strcmp(name, "min-rate"))
		return parse_size(p, value, &r->min_rate);
	if (!strcmp(name, "min-age"))
		return parse_time(p, value, &r->min_age_ms);
	if (!strcmp(name, "max-rtt"))
		return parse_time(p, value, &r->max_rtt_ms);
	if (!strcmp(name, "program"))
		return parse_program(p, value, r);
	if (!strcmp(name, "user"))
		return parse_user(p, value, r);
	if (!strcmp(name, "direction"))
		return parse_direction(p, value, r);
	if (!strcmp(name, "interface"))
		return parse_interface(p, value, r);
	return wrong(p,
		     "'%s' is not a condition (any, local, remote, local-port, remote-port, "
		     "min-bytes, min-rate, min-age, max-rtt, program, user, direction, interface)",
		     name);
}

static int parse_rule(const struct parser *p, char *line, struct rule *r)
{
	char *save = NULL, *word = strtok_r(line, " \t\r", &save);
	int conditions = 0, err;

	if (strcmp(word, "offload") && strcmp(word, "keep"))
		return wrong(p, "'%s': a rule begins with offload or keep", word);
	*r = (struct rule){ .line = p->line, .offload = word[0] == 'o' };
	while ((word = strtok_r(NULL, " \t\r", &save))) {
		char *value;

		conditions++;
		if (!strcmp(word, "any"))
			continue;
		value = strtok_r(NULL, " \t\r", &save);
		if (!value)
			return wrong(p, "'%s' wants a value behind it", word);
		err = parse_condition(p, word, value, r);
		if (err)
			return err;
	}
	return conditions ? 0 : wrong(p, "which connections? Name a condition, or 'any'");
}

static int append(struct host_select *s, const struct rule *r)
{
	struct rule *rules = realloc(s->rules, (s->count + 1) * sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	s->rules = rules;
	s->rules[s->count++] = *r;
	return 0;
}

static bool has_words(const char *line)
{
	return line[strspn(line, " \t\r")] != 0;
}

static int parse_lines(struct host_select *s, struct parser *p, char *text)
{
	char *save = NULL;
	int err = 0;

	for (char *line = text; line && !err; line = save) {
		struct rule rule;

		save = strchr(line, '\n');
		if (save)
			*save++ = 0;
		p->line++;
		line[strcspn(line, "#")] = 0;
		if (!has_words(line))
			continue;
		err = parse_rule(p, line, &rule);
		if (!err)
			err = append(s, &rule);
	}
	return err;
}

int host_select_parse(struct host_select **out, const char *text, char *why, size_t why_size)
{
	struct parser p = { .why = why, .why_size = why_size };
	struct host_select *s = calloc(1, sizeof(*s));
	char *copy = strdup(text);
	int err = s && copy ? parse_lines(s, &p, copy) : -ENOMEM;

	free(copy);
	if (err == -ENOMEM)
		snprintf(why, why_size, "out of memory");
	if (err) {
		host_select_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void host_select_free(struct host_select *select)
{
	if (!select)
		return;
	free(select->rules);
	free(select);
}

static bool in_prefix(const struct prefix *p, uint8_t family, const uint8_t *addr)
{
	unsigned int bytes = p->bits / 8, rest = p->bits % 8;

	if (!p->family)
		return true;
	if (p->family != family || memcmp(p->addr, addr, bytes))
		return false;
	return !rest || (p->addr[bytes] ^ addr[bytes]) >> (8 - rest) == 0;
}

static bool in_range(const struct range *r, uint16_t port)
{
	return !r->set || (port >= r->from && port <= r->to);
}

static bool is_asked_for(const struct rule *r, const struct host_select_facts *f)
{
	return (!r->program[0] || (f->program && !strcmp(r->program, f->program))) &&
	       (!r->interface[0] || (f->interface && !strcmp(r->interface, f->interface))) &&
	       (!r->direction || r->direction == f->direction) &&
	       (!r->has_user || r->uid == f->uid) &&
	       (!r->max_rtt_ms || f->rtt_us <= r->max_rtt_ms * 1000);
}

static bool matches(const struct rule *r, const struct host_select_facts *f)
{
	uint64_t rate = f->bytes / (f->age_ms / 1000 + 1);

	return in_prefix(&r->local, f->family, f->local) &&
	       in_prefix(&r->remote, f->family, f->remote) &&
	       in_range(&r->local_port, f->local_port) &&
	       in_range(&r->remote_port, f->remote_port) && f->bytes >= r->min_bytes &&
	       rate >= r->min_rate && f->age_ms >= r->min_age_ms && is_asked_for(r, f);
}

void host_select_judge(struct host_select *select, const struct host_select_facts *facts,
		       struct host_select_verdict *verdict)
{
	*verdict = (struct host_select_verdict){ 0 };
	for (unsigned int i = 0; i < select->count; i++) {
		struct rule *r = &select->rules[i];

		if (!matches(r, facts))
			continue;
		r->hits++;
		*verdict = (struct host_select_verdict){ .offload = r->offload, .rule = r->line };
		return;
	}
}

bool host_select_asks_interface(const struct host_select *select)
{
	for (unsigned int i = 0; i < select->count; i++)
		if (select->rules[i].interface[0])
			return true;
	return false;
}

uint64_t host_select_hits(const struct host_select *select, int rule)
{
	for (unsigned int i = 0; i < select->count; i++)
		if (select->rules[i].line == rule)
			return select->rules[i].hits;
	return 0;
}
