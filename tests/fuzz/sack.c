/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sender whose peer sends any SACK blocks: new, old, overlapping, inverted, beyond what was sent.
 * Whatever it said, a peer that then acknowledges everything gets everything.
 */
#include "core_env.h"
#include "fuzz.h"
#include "target/tgt_sendq.h"

enum { ROUNDS_MOST = 400, QUEUE_MOST = 100000 };

static void blocks_event(struct env *e, struct fuzz_input *in)
{
	struct tgt_range blocks[TGT_OPT_SACK_MAX];
	unsigned int count = 1 + fuzz_byte(in) % TGT_OPT_SACK_MAX, i;
	uint32_t out = e->conn->snd_max - e->conn->snd_una;
	/* on segment borders, or anywhere */
	uint32_t unit = fuzz_byte(in) & 1 ? ENV_MSS : 1;
	tcp_seq ack = e->conn->snd_una;

	for (i = 0; i < count; i++) {
		blocks[i].start = e->conn->snd_una + fuzz_word(in) % 64 * unit;
		blocks[i].end = blocks[i].start + (int8_t)fuzz_byte(in) * unit;
	}
	if (fuzz_byte(in) < 40)
		ack += out / 2;
	(void)env_ack_sack(e, ack, blocks, count);
}

static void event(struct env *e, struct fuzz_input *in)
{
	uint8_t kind = fuzz_byte(in);

	if (kind < 180)
		blocks_event(e, in);
	else if (kind < 200 && e->conn->sendq.list.bytes < QUEUE_MOST && !e->uploads)
		env_send(e, 1 + fuzz_word(in) % 8000);
	else
		env_run(e, (uint64_t)fuzz_byte(in) << (kind & 11));
	env_forget(e);
}

/* The peer has everything that ever left: the connection comes to rest. */
static void finish(struct env *e)
{
	unsigned int rounds = 0;

	while (!e->uploads && e->conn->sendq.list.bytes && rounds++ < ROUNDS_MOST) {
		env_run(e, 300000);
		env_forget(e);
		(void)env_ack(e, e->conn->snd_max);
	}
	if (e->uploads)
		return;
	assert_int_equal(e->conn->sendq.list.bytes, 0);
	assert_true(e->conn->snd_una == e->conn->snd_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct env *e = env_new();

	e->conn->options = TGT_OPT_SACK | (fuzz_byte(&in) & 1 ? TGT_OPT_TIMESTAMP : 0);
	e->conn->cwnd_bytes = (1u + fuzz_byte(&in) % 64) * ENV_MSS;
	env_start(e);
	env_send(e, 30000);
	while (in.left)
		event(e, &in);
	finish(e);
	env_free(e);
	return 0;
}
