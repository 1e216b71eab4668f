/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this room share; see steer.h for the room itself. */
#ifndef STEER_STEER_PRIVATE_H
#define STEER_STEER_PRIVATE_H

#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "steer/steer.h"
#include "steer/steer_msg.h"

struct mnl_socket;

/* An interface and the TAP that takes its flows. */
struct steer_port {
	char ifname[IF_NAMESIZE], tap[IF_NAMESIZE];
	uint32_t ifindex, tap_ifindex;
	uint8_t mac[6];
	bool member; /* of a bond or bridge whose address mac is */
};

struct steer {
	struct mnl_socket *nl; /* owns both tables */
	uint32_t portid;
	uint32_t seq;
	struct steer_port ports[STEER_PORTS_MAX];
	unsigned int port_count;
	char table[STEER_NAME_BYTES];
	int logs_parked;
	struct steer_msg *flows, *quiet;
};

/* One line of reason for a person, and the errno that goes with it. */
static inline int __attribute__((format(printf, 4, 5)))
steer_refuse(int err, char *why, size_t why_size, const char *fmt, ...)
{
	va_list ap;

	if (why && why_size) {
		va_start(ap, fmt);
		vsnprintf(why, why_size, fmt, ap);
		va_end(ap);
	}
	return err;
}

/* steer_nft.c: install or remove both tables; run one prepared batch. */
int steer_nft_install(struct steer *st, char *why, size_t why_size);
/* Rules that not every kernel can have; what cannot be is left out. */
void steer_nft_install_extras(struct steer *st);
int steer_nft_remove(struct steer *st);
int steer_nft_run(struct steer *st, const void *batch, size_t bytes, uint32_t last_seq);

/* steer_link.c: the TAP and the preconditions of injection. */
int steer_link_prepare(const struct steer_port *port, uint32_t mtu_bytes, char *why,
		       size_t why_size);
int steer_link_set_mtu(const struct steer_port *port, uint32_t mtu_bytes);

#endif
