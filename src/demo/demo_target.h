/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_target.h - what a loaded target can do, found out before the story begins.
 */
#ifndef DEMO_DEMO_TARGET_H
#define DEMO_DEMO_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct demo_target_can {
	bool ipv4, ipv6, sack;
};

/*
 * demo_target_try() - load a target, start an adapter of it on a wire that leads nowhere, and let
 * both go again.
 * Returns: 0 and what its hardware offloads; or -errno with the reason and the remedy in why.
 */
int demo_target_try(const char *path, struct demo_target_can *can, char *why, size_t why_size)
	__attribute__((warn_unused_result));

#endif
