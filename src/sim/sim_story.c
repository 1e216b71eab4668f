/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The applications of every connection are given their bytes in one part per phase. A connection
 * goes to its next phase when half of the part has been read at both ends, so each hand-over finds
 * data on its way; the next part is granted with the order to move, so data does not stop.
 */
#include "sim/sim_story.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/sim_digest.h"
#include "sim/sim_pattern.h"
#include "sim/sim_sock.h"

enum {
	PARTS = SIM_STORY_CLOSE, /* every phase but the last has a part of the data */
	HAND_OVER_US =
		60, /* what the host needs between the two halves of a move, from measurements */
	TIME_LIMIT_S = 3600,
	SEND_WINDOW = 192 << 10,
};

struct story_conn {
	struct story *story;
	struct sim_conn *conn;
	enum sim_story_phase phase;
	bool third; /* offloads a third time and closes there */
	bool moving, closing;
	unsigned int ends_over;
	struct sim_digest *digest[SIM_SIDES];
};

struct samples {
	uint64_t *virtual_us, *real_us;
	unsigned int count;
};

struct story {
	struct sim_story_config config;
	struct sim_story_account *account;
	struct sim_world *world;
	struct story_conn *conns;
	unsigned int over;
	struct samples offloads, uploads;
	uint64_t segments_before, retransmits_before, began_us, changed_us;
};

void sim_story_config_default(struct sim_story_config *config)
{
	memset(config, 0, sizeof(*config));
	config->seed = 1;
	config->connections = 16;
	config->bytes_each_way = 4 << 20;
	config->mtu_bytes = 1500;
}

/* How far both streams have come when the part of a phase is granted. */
static uint64_t part_end(const struct story *story, enum sim_story_phase phase)
{
	return story->config.bytes_each_way * ((unsigned int)phase + 1) / PARTS;
}

static uint64_t half_part(const struct story *story, enum sim_story_phase phase)
{
	uint64_t begin = phase == 0 ? 0 : part_end(story, phase - 1);

	return begin + (part_end(story, phase) - begin) / 2;
}

static void grant(struct story_conn *sc)
{
	int side;

	for (side = 0; side < SIM_SIDES; side++) {
		struct sim_sock *sock = sc->conn->sock[side];

		sim_sock_send(sock, part_end(sc->story, sc->phase) - sock->tx.goal);
	}
}

static void row_add(struct story *story, enum sim_story_phase phase, uint64_t bytes)
{
	story->account->phases[phase].bytes += bytes;
}

static void close_conn(struct story_conn *sc)
{
	struct sim_sock *peer = sc->conn->sock[SIM_AT_PEER], *host = sc->conn->sock[SIM_AT_HOST];
	unsigned int number = host->number;

	sc->phase = SIM_STORY_CLOSE;
	sc->closing = true;
	/* From either side; the other one follows when it sees the end of the stream. */
	sim_sock_close(number & 2 ? host : peer);
}

static void step(struct story_conn *sc)
{
	struct sim_sock *peer = sc->conn->sock[SIM_AT_PEER], *host = sc->conn->sock[SIM_AT_HOST];
	uint64_t enough;

	if (sc->moving || sc->closing)
		return;
	enough = sc->phase == SIM_STORY_LAST ? sc->story->config.bytes_each_way
					     : half_part(sc->story, sc->phase);
	if (peer->rx.got < enough || host->rx.got < enough)
		return;
	if (sc->phase == SIM_STORY_LAST) {
		close_conn(sc);
		return;
	}
	sc->phase++;
	grant(sc);
	if (sc->phase == SIM_STORY_LAST && !sc->third) {
		step(sc);
		return;
	}
	sc->moving = true;
	if (sim_sock_move(host, host->at->place == SIM_TARGET ? SIM_KERNEL : SIM_TARGET) != 0)
		sim_world_fail(sc->story->world, "connection %u refused to move", host->number);
}

static void on_data(struct sim_sock *sock, const uint8_t *data, uint32_t len)
{
	struct story_conn *sc = sock->app.ctx;

	sim_digest_add(sc->digest[sock->side], data, len);
	row_add(sc->story, sc->phase, len);
}

static void on_received(struct sim_sock *sock, uint64_t bytes)
{
	(void)bytes;
	step(sock->app.ctx);
}

static void sample(struct samples *samples, const struct sim_sock *sock)
{
	samples->virtual_us[samples->count] = sim_world_now(sock->world) - sock->move.began_us;
	samples->real_us[samples->count] = clock_monotonic_us() - sock->move.began_real_us;
	samples->count++;
}

static void on_moved(struct sim_sock *sock, bool ok)
{
	struct story_conn *sc = sock->app.ctx;
	struct sim_story_account *account = sc->story->account;

	sc->moving = false;
	if (!ok && sc->closing) /* it ended on the way: TIME_WAIT is kept by the host */
		return;
	if (!ok) {
		sim_world_fail(sc->story->world, "connection %u could not be moved", sock->number);
		return;
	}
	if (sock->at->place == SIM_TARGET) {
		sample(&sc->story->offloads, sock);
		if (sc->phase == SIM_STORY_LAST)
			account->closed_offloaded++;
		else
			account->offloads++;
	} else {
		sample(&sc->story->uploads, sock);
		account->uploads++;
	}
	step(sc);
}

static void on_eof(struct sim_sock *sock)
{
	sim_sock_close(sock);
}

static void on_ended(struct sim_sock *sock)
{
	struct story_conn *sc = sock->app.ctx;

	if (sc->closing && sock->side == SIM_AT_HOST && sc->third && sock->at->place != SIM_TARGET)
		sim_world_fail(sc->story->world, "connection %u did not end at the target",
			       sock->number);
	if (++sc->ends_over == SIM_SIDES)
		sc->story->over++;
}

static int open_one(struct story *story, unsigned int number)
{
	struct story_conn *sc = &story->conns[number];
	struct sim_conn_config config;
	int side;

	sim_conn_config_draw(story->world, &config);
	config.family = number & 1 && !story->config.ipv4_only ? SIM_V6 : SIM_V4;
	config.timestamps = config.sack = true;
	config.wscale[SIM_AT_PEER] = config.wscale[SIM_AT_HOST] = 7;
	config.rcv_buf_bytes[SIM_AT_PEER] = config.rcv_buf_bytes[SIM_AT_HOST] = 256 << 10;
	sc->story = story;
	sc->third = number & 1;
	sc->conn = sim_conn_open(story->world, &config);
	if (!sc->conn)
		return -ENOMEM;
	for (side = 0; side < SIM_SIDES; side++) {
		struct sim_sock *sock = sc->conn->sock[side];

		sc->digest[side] = sim_digest_new();
		if (!sc->digest[side])
			return -ENOMEM;
		sock->app = (struct sim_app){ .data = on_data,
					      .received = on_received,
					      .eof = on_eof,
					      .ended = on_ended,
					      .ctx = sc };
		sock->tx.window = SEND_WINDOW;
		sock->move_delay_us = HAND_OVER_US;
	}
	sc->conn->sock[SIM_AT_HOST]->app.moved = on_moved;
	return 0;
}

/* Wire counts belong to the phase of the connection that is furthest behind. */
static void note_wire(struct story *story)
{
	const struct sim_counts *counts = &story->world->counts;
	enum sim_story_phase phase = SIM_STORY_CLOSE;
	struct sim_story_row *row;
	unsigned int i;

	for (i = 0; i < story->config.connections; i++) {
		if (story->conns[i].phase < phase)
			phase = story->conns[i].phase;
	}
	row = &story->account->phases[phase];
	row->segments += counts->segments - story->segments_before;
	row->retransmits += counts->retransmits - story->retransmits_before;
	row->virtual_us += sim_world_now(story->world) - story->changed_us;
	story->segments_before = counts->segments;
	story->retransmits_before = counts->retransmits;
	story->changed_us = sim_world_now(story->world);
}

static bool is_over(void *ctx)
{
	struct story *story = ctx;

	note_wire(story);
	return story->over == story->config.connections;
}

/* The digest of what a side should have received. */
static void digest_of_pattern(uint64_t key, uint64_t bytes, uint8_t out[SIM_DIGEST_BYTES])
{
	struct sim_digest *digest = sim_digest_new();
	uint8_t block[4096];
	uint64_t at;

	memset(out, 0, SIM_DIGEST_BYTES);
	if (!digest)
		return;
	for (at = 0; at < bytes; at += sizeof(block)) {
		size_t part = bytes - at < sizeof(block) ? (size_t)(bytes - at) : sizeof(block);

		sim_pattern_fill(key, at, block, part);
		sim_digest_add(digest, block, part);
	}
	sim_digest_end(digest, out);
}

static bool stream_matches(struct story_conn *sc, int side)
{
	const struct sim_sock *sock = sc->conn->sock[side];
	uint8_t got[SIM_DIGEST_BYTES], want[SIM_DIGEST_BYTES];

	sim_digest_end(sc->digest[side], got);
	sc->digest[side] = NULL;
	digest_of_pattern(sock->rx.key, sc->story->config.bytes_each_way, want);
	return memcmp(got, want, sizeof(got)) == 0;
}

static void judge_conn(struct story *story, struct story_conn *sc)
{
	struct sim_story_account *account = story->account;
	bool match = true;
	int side;

	for (side = 0; side < SIM_SIDES; side++) {
		const struct sim_sock *sock = sc->conn->sock[side];

		match &= stream_matches(sc, side);
		if (sock->rx.got < account->bytes_each_way)
			account->bytes_each_way = sock->rx.got;
		account->resets += sock->aborted;
	}
	/* What the peer waited for: data of the host end. */
	if (sc->conn->sock[SIM_AT_HOST]->max_gap_us > account->max_gap_us)
		account->max_gap_us = sc->conn->sock[SIM_AT_HOST]->max_gap_us;
	account->hashes_matched += match;
	account->connections_v6 += sc->conn->family == SIM_V6;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t percentile(uint64_t *values, unsigned int count, unsigned int percent)
{
	unsigned int rank = (count * percent + 99) / 100;

	if (count == 0)
		return 0;
	qsort(values, count, sizeof(values[0]), by_size);
	return values[rank > 0 ? rank - 1 : 0];
}

static void judge_times(struct samples *samples, struct sim_story_time *time)
{
	time->count = samples->count;
	time->virtual_p50_us = percentile(samples->virtual_us, samples->count, 50);
	time->virtual_p99_us = percentile(samples->virtual_us, samples->count, 99);
	time->real_p50_us = percentile(samples->real_us, samples->count, 50);
	time->real_p99_us = percentile(samples->real_us, samples->count, 99);
}

static void judge(struct story *story, bool finished)
{
	struct sim_story_account *account = story->account;
	const struct sim_counts *counts = &story->world->counts;
	unsigned int n = story->config.connections, i;

	account->connections = n;
	account->bytes_each_way = UINT64_MAX;
	account->hash_name = sim_digest_name();
	for (i = 0; i < n; i++)
		judge_conn(story, &story->conns[i]);
	account->resets += (unsigned int)(counts->resets_to_peer + counts->resets_from_peer);
	account->segments = counts->segments;
	account->retransmits = counts->retransmits;
	account->virtual_us = story->changed_us - story->began_us;
	account->trace_hash = story->world->trace.hash;
	judge_times(&story->offloads, &account->offload);
	judge_times(&story->uploads, &account->upload);
	if (story->world->failed)
		snprintf(account->failure, sizeof(account->failure), "%s", story->world->failure);
	else if (!finished)
		snprintf(account->failure, sizeof(account->failure),
			 "the connections did not come to an end in time");
	account->ok = finished && !story->world->failed && account->hashes_matched == n &&
		      account->resets == 0 &&
		      account->bytes_each_way == story->config.bytes_each_way &&
		      account->offloads == 2 * n && account->uploads == 2 * n &&
		      account->closed_offloaded == n / 2;
	if (!account->ok && !account->failure[0])
		snprintf(account->failure, sizeof(account->failure), "the counts do not add up");
}

static int samples_init(struct samples *samples, unsigned int room)
{
	samples->virtual_us = calloc(room, sizeof(uint64_t));
	samples->real_us = calloc(room, sizeof(uint64_t));
	return samples->virtual_us && samples->real_us ? 0 : -ENOMEM;
}

static void story_free(struct story *story)
{
	unsigned int i;
	int side;

	for (i = 0; story->conns && i < story->config.connections; i++) {
		for (side = 0; side < SIM_SIDES; side++) {
			uint8_t unused[SIM_DIGEST_BYTES];

			if (story->conns[i].digest[side])
				sim_digest_end(story->conns[i].digest[side], unused);
		}
	}
	free(story->conns);
	free(story->offloads.virtual_us);
	free(story->offloads.real_us);
	free(story->uploads.virtual_us);
	free(story->uploads.real_us);
}

static int story_make(struct story *story)
{
	const struct sim_story_config *config = &story->config;
	struct sim_config world;
	int err;

	sim_config_default(&world, config->seed);
	world.conns = config->connections;
	world.mtu_bytes = config->mtu_bytes;
	world.im = config->im;
	world.target_module = config->target_module;
	world.plain_receive = config->im; /* a team may have to give frames to the host */
	if (im_list_targets(config->im) > 1)
		world.team = (unsigned int)im_list_targets(config->im);
	world.pcap_path = config->pcap_path;
	world.up.bits_per_s = world.down.bits_per_s = 10000000000ull;
	world.up.loss_ppm = world.down.loss_ppm = config->loss_ppm;
	world.up.queue_bytes = world.down.queue_bytes = 8 << 20;
	story->conns = calloc(config->connections, sizeof(story->conns[0]));
	if (!story->conns)
		return -ENOMEM;
	err = samples_init(&story->offloads, 3 * config->connections);
	if (err == 0)
		err = samples_init(&story->uploads, 2 * config->connections);
	return err ? err : sim_world_create(&story->world, &world);
}

int sim_story_run(const struct sim_story_config *config, struct sim_story_account *account)
{
	struct story story = { .config = *config, .account = account };
	unsigned int i;
	bool finished;
	int err;

	memset(account, 0, sizeof(*account));
	err = story_make(&story);
	for (i = 0; err == 0 && i < config->connections; i++)
		err = open_one(&story, i);
	if (err == 0) {
		story.began_us = story.changed_us = sim_world_now(story.world);
		for (i = 0; i < config->connections; i++)
			grant(&story.conns[i]);
		finished = sim_world_run(story.world, TIME_LIMIT_S * 1000000ull, is_over, &story);
		judge(&story, finished);
	}
	if (story.world && sim_world_destroy(story.world) != 0 && err == 0 && account->ok) {
		account->ok = false;
		snprintf(account->failure, sizeof(account->failure),
			 "a driver kept something at the end");
	}
	story_free(&story);
	return err;
}
