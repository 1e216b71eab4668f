/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated network itself: what the other tests in this folder stand on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pcap.h"
#include "nic/nic_sim.h"
#include "nic/nic_sim_frame.h"

#define PAYLOAD_MAX 60000

struct fixture {
	struct nic_sim_net net;
	struct nic_sim_link link;
	struct nic *a, *b;
	uint64_t hash;
	uint64_t fates[NIC_SIM_FATES];
	uint8_t got[PAYLOAD_MAX];
	uint32_t frames, bytes, untrusted, super_frames;
	uint32_t last_seq_end;
};

static void tap(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
		const struct nic_sim_packet *packet)
{
	struct fixture *f = ctx;
	uint32_t i;

	f->fates[fate]++;
	f->hash = (f->hash ^ node->net->now_us ^ fate) * 0x100000001b3ull;
	for (i = 0; i < packet->len; i++)
		f->hash = (f->hash ^ packet->data[i]) * 0x100000001b3ull;
}

static void receive(void *ctx, const struct nic_rx_frame *frame)
{
	struct fixture *f = ctx;
	struct nic_sim_view view;

	assert_true(nic_sim_view(frame->data, frame->len, &view));
	f->frames++;
	f->untrusted += !frame->csum_trusted;
	f->super_frames += frame->gso_type != NIC_GSO_NONE;
	if (view.seq < PAYLOAD_MAX && view.seq + view.payload_len <= PAYLOAD_MAX)
		memcpy(f->got + view.seq, frame->data + view.payload, view.payload_len);
	f->bytes += view.payload_len;
}

static void start(struct fixture *f, uint64_t seed, const struct nic_sim_link_params *params,
		  bool gro)
{
	struct nic_sim_config config = {
		.name = "a",
		.mac = { 2, 0, 0, 0, 0, 1 },
		.mtu_bytes = 1500,
		.tso = true,
		.tx_csum = true,
		.rx_csum = true,
		.gro = gro,
	};

	memset(f, 0, sizeof(*f));
	nic_sim_net_init(&f->net, seed);
	f->net.tap = tap;
	f->net.tap_ctx = f;
	assert_int_equal(nic_sim_create(&f->a, &f->net, &config), 0);
	config.name = "b";
	config.rx_hold_us = gro ? 100 : 0;
	assert_int_equal(nic_sim_create(&f->b, &f->net, &config), 0);
	nic_sim_link_init(&f->link, &f->net, "a-b", nic_sim_node(f->b), params);
	nic_sim_connect(f->a, &f->link.node);
	nic_set_rx(f->b, receive, f);
}

static void stop(struct fixture *f)
{
	nic_sim_link_clear(&f->link);
	nic_close(f->a);
	nic_close(f->b);
}

static void run(struct fixture *f)
{
	uint64_t next;

	while ((next = nic_sim_net_next(&f->net)) != NIC_SIM_NEVER ||
	       nic_sim_rx_due_us(f->b) != NIC_SIM_NEVER) {
		uint64_t due = nic_sim_rx_due_us(f->b);

		nic_sim_net_run(&f->net, next < due ? next : due);
		nic_poll(f->b, 64);
	}
}

/* One TCP frame with timestamps; byte i of the stream is i * 7 + i / 256. */
static uint32_t build(uint8_t *frame, int version, uint32_t seq, uint32_t payload, uint8_t flags)
{
	uint32_t ip = version == 4 ? 20 : 40, tcp = 32, i;

	memset(frame, 0, 14 + ip + tcp);
	frame[5] = 2;
	frame[11] = 1;
	frame[12] = version == 4 ? 0x08 : 0x86;
	frame[13] = version == 4 ? 0x00 : 0xdd;
	if (version == 4) {
		frame[14] = 0x45;
		frame[15] = 2; /* ECT(0) */
		frame[16] = (uint8_t)((ip + tcp + payload) >> 8);
		frame[17] = (uint8_t)(ip + tcp + payload);
		frame[22] = 64;
		frame[23] = 6;
		memcpy(frame + 26, "\x0a\0\0\1\x0a\0\0\2", 8);
	} else {
		frame[14] = 0x60;
		frame[15] = 0x20;
		frame[18] = (uint8_t)((tcp + payload) >> 8);
		frame[19] = (uint8_t)(tcp + payload);
		frame[20] = 6;
		frame[21] = 64;
		frame[22] = frame[38] = 0xfd;
		frame[37] = 1;
		frame[53] = 2;
	}
	frame += 14 + ip;
	frame[0] = 0x12;
	frame[3] = 80;
	frame[4] = (uint8_t)(seq >> 24);
	frame[5] = (uint8_t)(seq >> 16);
	frame[6] = (uint8_t)(seq >> 8);
	frame[7] = (uint8_t)seq;
	frame[12] = 0x80;
	frame[13] = flags;
	memcpy(frame + 20, "\1\1\x08\x0a\0\0\0\x64\0\0\0\x32", 12);
	for (i = 0; i < payload; i++)
		frame[tcp + i] = (uint8_t)((seq + i) * 7 + ((seq + i) >> 8));
	return 14 + ip + tcp + payload;
}

static void send_payload(struct fixture *f, int version, uint32_t seq, uint32_t payload,
			 uint8_t flags, uint16_t gso)
{
	static uint8_t buffer[PAYLOAD_MAX + 200];
	struct iovec iov = { .iov_base = buffer,
			     .iov_len = build(buffer, version, seq, payload, flags) };
	struct nic_tx_frame frame = {
		.iov = &iov,
		.iov_count = 1,
		.len = (uint32_t)iov.iov_len,
		.hdr_len = (uint16_t)(iov.iov_len - payload),
		.gso_type = gso ? (version == 4 ? NIC_GSO_TCP4 : NIC_GSO_TCP6) : NIC_GSO_NONE,
		.gso_size = gso,
		.csum_partial = true,
	};

	assert_int_equal(nic_send(f->a, &frame, 1), 1);
}

static void check_stream(const struct fixture *f, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		assert_int_equal(f->got[i], (uint8_t)(i * 7 + (i >> 8)));
}

static void test_cut(void **state)
{
	const struct nic_sim_link_params params = { .bits_per_s = 1000000000,
						    .delay_us = 50,
						    .mtu_bytes = 1500 };
	struct fixture f;
	int version;

	(void)state;
	for (version = 4; version <= 6; version += 2) {
		start(&f, 1, &params, false);
		send_payload(&f, version, 0, 50000, NIC_SIM_ACK | NIC_SIM_PSH, 1400);
		run(&f);
		assert_int_equal(f.frames, 36); /* 35 of 1400 and one of 1000 */
		assert_int_equal(f.untrusted, 0);
		assert_int_equal(f.bytes, 50000);
		assert_int_equal(nic_sim_oversize(f.a), 0);
		check_stream(&f, 50000);
		stop(&f);
	}
}

static void test_merge(void **state)
{
	const struct nic_sim_link_params params = { .delay_us = 50 };
	struct fixture f;
	int version;

	(void)state;
	for (version = 4; version <= 6; version += 2) {
		start(&f, 1, &params, true);
		send_payload(&f, version, 0, 14000, NIC_SIM_ACK | NIC_SIM_PSH, 1400);
		send_payload(&f, version, 14000, 1400, NIC_SIM_ACK,
			     0); /* behind PSH: a frame of its own */
		send_payload(&f, version, 30000, 1400, NIC_SIM_ACK, 0); /* a hole before it */
		run(&f);
		assert_int_equal(f.frames, 3);
		assert_int_equal(f.super_frames, 1);
		assert_int_equal(f.bytes, 16800);
		assert_int_equal(f.untrusted, 0);
		check_stream(&f, 15400);
		stop(&f);
	}
}

static void test_mtu(void **state)
{
	const struct nic_sim_link_params params = { .mtu_bytes = 1300 };
	struct fixture f;

	(void)state;
	start(&f, 1, &params, false);
	send_payload(&f, 4, 0, 1448, NIC_SIM_ACK, 0);    /* fits the device, not the link */
	send_payload(&f, 4, 1448, 1449, NIC_SIM_ACK, 0); /* does not fit the device */
	send_payload(&f, 4, 0, 1248, NIC_SIM_ACK, 0);
	run(&f);
	assert_int_equal(f.frames, 1);
	assert_int_equal(f.fates[NIC_SIM_TOO_BIG], 1);
	assert_int_equal(nic_sim_oversize(f.a), 1);
	stop(&f);
}

static void test_bandwidth_and_queue(void **state)
{
	const struct nic_sim_link_params params = { .bits_per_s = 8000000,
						    .delay_us = 1000,
						    .queue_bytes = 5000 };
	struct fixture f;
	int i;

	(void)state;
	start(&f, 1, &params, false);
	for (i = 0; i < 10; i++)
		send_payload(&f, 4, (uint32_t)i * 934, 934, NIC_SIM_ACK,
			     0); /* 1000 bytes with headers: 1 ms each */
	run(&f);
	assert_int_equal(f.frames, 5);
	assert_int_equal(f.fates[NIC_SIM_OVERFLOWED], 5);
	assert_int_equal(f.net.now_us, 6000);
	stop(&f);
}

static void test_ecn(void **state)
{
	const struct nic_sim_link_params params = { .bits_per_s = 8000000, .mark_bytes = 1900 };
	struct fixture f;
	int i;

	(void)state;
	start(&f, 1, &params, false);
	for (i = 0; i < 4; i++)
		send_payload(&f, i & 1 ? 4 : 6, (uint32_t)i * 900, 900, NIC_SIM_ACK, 0);
	run(&f);
	assert_int_equal(f.fates[NIC_SIM_MARKED], 2);
	assert_int_equal(f.untrusted, 0); /* the mark keeps the checksums right */
	stop(&f);
}

static void test_mask(void **state)
{
	const struct nic_sim_link_params params = { .drop_mask = 0x5, .drop_mask_bits = 4 };
	struct fixture f;
	uint32_t i;

	(void)state;
	start(&f, 1, &params, false);
	for (i = 0; i < 8; i++)
		send_payload(&f, 4, i * 100, 100, NIC_SIM_ACK, 0);
	run(&f);
	assert_int_equal(f.frames, 4);
	assert_int_equal(f.fates[NIC_SIM_MASKED], 4);
	assert_int_equal(f.got[100], (uint8_t)700);
	assert_int_equal(f.got[0], 0); /* packet 0 was dropped */
	stop(&f);
}

static enum nic_sim_verdict drop_first_fin(void *ctx, const struct nic_sim_packet *packet)
{
	int *left = ctx;
	struct nic_sim_view view;

	if (nic_sim_view(packet->data, packet->len, &view) && (view.flags & NIC_SIM_FIN) &&
	    *left > 0) {
		--*left;
		return NIC_SIM_DROP;
	}
	return NIC_SIM_PASS;
}

static void test_rule(void **state)
{
	int left = 1;
	const struct nic_sim_link_params params = { .rule = drop_first_fin, .rule_ctx = &left };
	struct fixture f;

	(void)state;
	start(&f, 1, &params, false);
	send_payload(&f, 6, 0, 10, NIC_SIM_ACK, 0);
	send_payload(&f, 6, 10, 0, NIC_SIM_ACK | NIC_SIM_FIN, 0);
	send_payload(&f, 6, 10, 0, NIC_SIM_ACK | NIC_SIM_FIN, 0);
	run(&f);
	assert_int_equal(f.frames, 2);
	assert_int_equal(f.fates[NIC_SIM_RULED], 1);
	stop(&f);
}

static void test_corruption_is_seen(void **state)
{
	const struct nic_sim_link_params params = { .corrupt_ppm = 1000000 };
	struct fixture f;
	struct nic_sim_packet *packet;
	struct nic_sim_view view;
	uint32_t i, caught = 0;

	(void)state;
	start(&f, 1, &params, false);
	nic_set_rx(f.b, NULL, NULL);
	for (i = 0; i < 500; i++) {
		send_payload(&f, 4, i * 100, 100, NIC_SIM_ACK, 0);
		packet = f.link.head;
		caught += !nic_sim_view(packet->data, packet->len, &view) ||
			  !nic_sim_csum_ok(packet->data, &view);
		run(&f);
	}
	assert_int_equal(
		caught,
		500); /* IPv4: every single flipped bit is covered by a checksum or a length */
	stop(&f);
}

static void lossy(struct fixture *f, uint64_t seed)
{
	const struct nic_sim_link_params params = {
		.bits_per_s = 100000000,
		.delay_us = 100,
		.loss_ppm = 100000,
		.duplicate_ppm = 100000,
		.reorder_ppm = 100000,
		.reorder_us = 2000,
		.corrupt_ppm = 50000,
	};
	uint32_t i;

	start(f, seed, &params, false);
	nic_set_rx(f->b, NULL, NULL);
	for (i = 0; i < 300; i++)
		send_payload(f, 4, i * 100, 100, NIC_SIM_ACK, 0);
	run(f);
}

static void test_same_seed_same_trace(void **state)
{
	struct fixture f;
	uint64_t hash;

	(void)state;
	lossy(&f, 42);
	hash = f.hash;
	assert_true(f.fates[NIC_SIM_LOST] > 10 && f.fates[NIC_SIM_DUPLICATED] > 10);
	assert_true(f.fates[NIC_SIM_REORDERED] > 10 && f.fates[NIC_SIM_CORRUPTED] > 5);
	stop(&f);
	lossy(&f, 42);
	assert_true(f.hash == hash);
	stop(&f);
	lossy(&f, 43);
	assert_true(f.hash != hash);
	stop(&f);
}

static void test_pcap(void **state)
{
	char path[] = "/tmp/chimney-pcap-XXXXXX";
	uint8_t frame[1600], head[24 + 16];
	struct pcap_writer *writer = NULL;
	struct iovec iov[2] = { { .iov_base = frame, .iov_len = 54 },
				{ .iov_base = frame + 54, .iov_len = 100 } };
	uint32_t magic, word;
	int fd = mkstemp(path);
	FILE *file;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	memset(frame, 0xa5, sizeof(frame));
	assert_int_equal(pcap_writer_open(&writer, path), 0);
	assert_int_equal(pcap_writer_frame(writer, 5000000123ull, iov, 2), 0);
	assert_int_equal(pcap_writer_frames(writer), 1);
	assert_int_equal(pcap_writer_close(writer), 0);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(head, sizeof(head), 1, file), 1);
	memcpy(&magic, head, 4);
	assert_true(magic == 0xa1b23c4d);
	memcpy(&word, head + 24, 4);
	assert_int_equal(word, 5);
	memcpy(&word, head + 28, 4);
	assert_int_equal(word, 123);
	memcpy(&word, head + 32, 4);
	assert_int_equal(word, 154);
	assert_int_equal(fread(frame, 1, sizeof(frame), file), 154);
	fclose(file);
	unlink(path);
	assert_true(pcap_writer_open(&writer, "/nonexistent/dir/x.pcap") < 0);
	if (access("/dev/full", W_OK) == 0) { /* a full disk is reported by close at the latest */
		assert_int_equal(pcap_writer_open(&writer, "/dev/full"), 0);
		assert_true(pcap_writer_close(writer) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_bandwidth_and_queue),
		cmocka_unit_test(test_ecn),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_corruption_is_seen),
		cmocka_unit_test(test_same_seed_same_trace),
		cmocka_unit_test(test_pcap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
