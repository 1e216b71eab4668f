/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack.h - all that stands between an interface and the host driver, put together in one process:
 *
 *	interface -> steering -> nic (TAP or veth) -> target -> intermediate drivers -> host adapter
 *
 * Context:   the thread that runs the loop, for every function.
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include <stddef.h>

#include "base/loop.h"
#include "host/host.h"
#include "im/im_stack.h"
#include "stack/stack_port.h"
#include "steer/steer.h"

struct stack_config {
	const char *ifname;
	const char *drivers; /* intermediate drivers from top to bottom, NULL: none (im_stack.h) */
	struct loop *loop;
	struct host_config host; /* its loop is the one above */
};

/* Read only outside of this room. */
struct stack {
	struct loop *loop;
	struct stack_port port;
	struct steer *steer;
	void *target_driver;
	struct im_stack ims;
	struct host *host;
	struct host_adapter *adapter;
	struct loop_hook hook;
};

/*
 * stack_open() - from the bottom up.
 * Ownership: copies config; borrows the loop until stack_close().
 * Returns:   0, or -errno with one line of why that names the value; nothing is left open then.
 *            -EBUSY: this process has a stack already.
 */
int stack_open(struct stack *stack, const struct stack_config *config, char *why, size_t why_size)
	__attribute__((warn_unused_result));
/* stack_close() - top down; connections must have come up before (host_upload_all()). */
void stack_close(struct stack *stack);

#endif
