/* SPDX-License-Identifier: BSD-2-Clause */
/* Initiate offload: the walk, the statuses, the limits. */
#include "ddi_env.h"

static void test_one_tree(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	ddi_initiate(e, &e->neighbor.list);
	REQ("OFF-06", e->neighbor.list.Status == NDIS_STATUS_SUCCESS && e->path.list.Status == NDIS_STATUS_SUCCESS &&
		      e->tcp.list.Status == NDIS_STATUS_SUCCESS);
	REQ("OFF-04", e->neighbor.handle.MiniportOffloadContext && e->path.handle.MiniportOffloadContext &&
		      e->tcp.handle.MiniportOffloadContext);
	REQ("BLK-10", ddi_nth(e, CALL_INITIATED, 0)->root == &e->neighbor.list);
	ddi_upload(e);
	ddi_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
