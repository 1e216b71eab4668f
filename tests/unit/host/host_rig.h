/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_rig - the whole vertical on a private network: kernel peers, steering, TAP, the real
 * target, the host driver. The program of every connection is this process (host_program_self.h),
 * driven between rounds of the loop; the peers run in a thread of their own and check every byte.
 */
#ifndef TESTS_UNIT_HOST_HOST_RIG_H
#define TESTS_UNIT_HOST_HOST_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "host/host.h"
#include "host/host_program_self.h"
#include "host_net.h"
#include "ndis/nrt.h"
#include "target/tgt_driver.h"

struct rig {
	struct test_net net;
	struct loop *loop;
	NDIS_HANDLE target_driver;
	struct nrt_adapter *nrt;
	struct tgt_adapter *target;
	struct loop_hook hook;
	struct loop_watch nic_watch;
	struct host *host;
	struct host_adapter *adapter;
	unsigned int gone;
};

/* One end of a byte stream that is a function of seed and position. */
struct rig_end {
	int fd;
	uint32_t tx_seed, rx_seed;
	uint64_t sent, rcvd;
	uint64_t goal; /* bytes to send; then the writing half is shut down if close is set */
	bool close, shut, eof;
	int error;    /* errno that ended it */
	bool wrong;   /* a byte was not the one expected */
	size_t chunk; /* of reads and writes */
};

struct rig_conn {
	struct rig *rig;
	struct test_pair pair;
	struct host_program_self self;
	struct host_conn *conn; /* NULL once gone */
	struct rig_end own, peer;
	bool closed; /* the program has closed its descriptor */
	int err;     /* of the last operation */
	bool done;
	char why[HOST_WHY_BYTES];
	bool time_wait, closed_offloaded;
	bool peer_idle; /* the peer neither reads nor writes */
};

bool rig_open(struct rig *rig);
void rig_close(struct rig *rig);

void rig_connect(struct rig *rig, struct rig_conn *c, int family, uint32_t seed);
/* With another way to the program; its context is c->self. */
void rig_connect_ops(struct rig *rig, struct rig_conn *c, int family, uint32_t seed,
		     const struct host_program_ops *ops);
void rig_disconnect(struct rig_conn *c);

/* One round of the loop, one step of both ends. */
void rig_step(struct rig_conn *c);
/* rig_run() - steps until cond; fails the test after TEST_WAIT_MS without it. */
typedef bool rig_cond(struct rig_conn *c);
void rig_run(struct rig_conn *c, rig_cond *cond, const char *what);
#define RIG_RUN(c, cond) rig_run(c, cond, #cond)

bool rig_all_there(struct rig_conn *c); /* both goals sent and received */
bool rig_done(struct rig_conn *c);      /* the operation that was begun is over */
bool rig_gone(struct rig_conn *c);
void rig_transfer(struct rig_conn *c, uint64_t bytes); /* so many more each way, checked */

int rig_offload(struct rig_conn *c); /* the error of the end */
int rig_upload(struct rig_conn *c);
int rig_ask_offload(struct rig_conn *c); /* begin it only; rig_done() tells the end */
int rig_ask_upload(struct rig_conn *c);

#endif
