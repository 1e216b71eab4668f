/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo/demo_target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ndis/nrt.h"
#include "ndis/nrt_module.h"
#include "nic/nic_edge.h"
#include "nic/nic_pair.h"

#define NAME       "trial"
#define ROUNDS_MAX 100u

struct trial {
	struct nrt_module *module;
	struct nic *nics[2];
	struct nic_edge *edge;
	struct nrt_adapter *adapter;
};

static int start(struct trial *t, char *why, size_t why_size)
{
	const struct nic_pair_config pair = { .mtu_bytes = 1500,
					      .queue_frames = 16,
					      .mac = { { 2, 0, 0, 0, 0, 1 },
						       { 2, 0, 0, 0, 0, 2 } } };
	struct nrt_adapter_params params = { .name = NAME };
	int err = nic_pair_create(t->nics, &pair);

	if (!err)
		err = nic_edge_create(&t->edge, t->nics[0], clock_monotonic_us());
	if (err)
		return err;
	params.add_device_context = nic_edge_device(t->edge);
	err = nrt_adapter_create(nrt_module_miniport(t->module), &params, &t->adapter);
	if (err)
		snprintf(why, why_size, "MiniportInitializeEx failed: %s", strerror(-err));
	return err;
}

static int look(const struct trial *t, struct demo_target_can *to, char *why, size_t why_size)
{
	const NDIS_TCP_CONNECTION_OFFLOAD *can = nrt_adapter_offload(t->adapter, true);

	to->ipv4 = can && can->SupportIPv4 == NDIS_OFFLOAD_SUPPORTED;
	to->ipv6 = can && can->SupportIPv6 == NDIS_OFFLOAD_SUPPORTED;
	to->sack = can && can->SupportSack == NDIS_OFFLOAD_SUPPORTED;
	if (to->ipv4)
		return 0;
	snprintf(why, why_size,
		 "it announces no connection offload for IPv4. Register both sets of chimney "
		 "functions in SetOptions, and set TcpConnectionOffloadHardwareCapabilities in "
		 "MiniportInitializeEx");
	return -ENOTSUP;
}

static void stop(struct trial *t)
{
	unsigned int rounds = 0;

	if (t->adapter && nrt_adapter_destroy(t->adapter) == -EINPROGRESS)
		while (nrt_adapter_find(NAME) && rounds++ < ROUNDS_MAX) {
			nic_edge_run(t->edge, clock_monotonic_us());
			nrt_pump();
		}
	nic_edge_destroy(t->edge);
	for (int i = 0; i < 2; i++)
		if (t->nics[i])
			nic_close(t->nics[i]);
	nrt_module_unload(t->module);
}

int demo_target_try(const char *path, struct demo_target_can *can, char *why, size_t why_size)
{
	struct trial t = { .adapter = NULL };
	char reason[256] = "";
	int err = nrt_module_load(path, NRT_MODULE_TARGET, &t.module, why, why_size);

	if (err)
		return err;
	err = start(&t, reason, sizeof(reason));
	if (!err)
		err = look(&t, can, reason, sizeof(reason));
	if (err)
		snprintf(why, why_size, "%s: %s", path, reason[0] ? reason : strerror(-err));
	stop(&t);
	return err;
}
