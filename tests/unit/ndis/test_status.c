/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ndis/nrt_status.h"

static const struct {
	int err;
	NDIS_STATUS status;
} both_ways[] = {
	{ 0, NDIS_STATUS_SUCCESS },
	{ -EINPROGRESS, NDIS_STATUS_PENDING },
	{ -EIO, NDIS_STATUS_FAILURE },
	{ -ENOMEM, NDIS_STATUS_RESOURCES },
	{ -EOPNOTSUPP, NDIS_STATUS_NOT_SUPPORTED },
	{ -EINVAL, NDIS_STATUS_INVALID_PARAMETER },
	{ -EBUSY, NDIS_STATUS_INVALID_STATE },
	{ -ECANCELED, NDIS_STATUS_REQUEST_ABORTED },
	{ -ENETDOWN, NDIS_STATUS_MEDIA_DISCONNECTED },
	{ -EMSGSIZE, NDIS_STATUS_OFFLOAD_PATH_MTU },
	{ -ENODEV, NDIS_STATUS_ADAPTER_NOT_FOUND },
};

static void test_both_ways(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(both_ways) / sizeof(both_ways[0]); i++) {
		assert_int_equal(nrt_status_from_errno(both_ways[i].err), both_ways[i].status);
		assert_int_equal(nrt_errno_from_status(both_ways[i].status), both_ways[i].err);
	}
}

/* Whatever errno goes in: the status that comes out stands for the same errno again, and never for
 * success. */
static void test_every_errno(void **state)
{
	NDIS_STATUS status;
	int err;

	(void)state;
	for (err = -1; err > -200; err--) {
		status = nrt_status_from_errno(err);
		assert_int_not_equal(status, NDIS_STATUS_SUCCESS);
		if (status == NDIS_STATUS_FAILURE)
			assert_int_equal(nrt_errno_from_status(status), -EIO);
		else
			assert_int_equal(nrt_errno_from_status(status), err);
	}
}

static void test_information_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(nrt_errno_from_status(NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS), 0);
	assert_int_equal(nrt_errno_from_status(NDIS_STATUS_OFFLOAD_PAUSE), 0);
	assert_int_equal(nrt_errno_from_status((NDIS_STATUS)0x40029999), 0);
	/* Positive, and yet a refusal. */
	assert_int_equal(nrt_errno_from_status(NDIS_STATUS_NOT_ACCEPTED), -EAGAIN);
}

static void test_unknown(void **state)
{
	(void)state;
	assert_int_equal(nrt_errno_from_status((NDIS_STATUS)0xC0FFEE00), -EIO);
	assert_int_equal(nrt_status_from_errno(-99999), NDIS_STATUS_FAILURE);
	assert_string_equal(nrt_status_name((NDIS_STATUS)0xC0FFEE00), "NDIS_STATUS_?");
	assert_string_equal(nrt_status_name(NDIS_STATUS_OFFLOAD_PATH_MTU),
			    "NDIS_STATUS_OFFLOAD_PATH_MTU");
}

/* Every status that a block or a list may end with has a name for messages and an errno that is not
 * success. */
static void test_offload_statuses(void **state)
{
	static const NDIS_STATUS refusals[] = {
		NDIS_STATUS_OFFLOAD_TCP_ENTRIES,
		NDIS_STATUS_OFFLOAD_PATH_ENTRIES,
		NDIS_STATUS_OFFLOAD_NEIGHBOR_ENTRIES,
		NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES,
		NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES,
		NDIS_STATUS_OFFLOAD_VLAN_ENTRIES,
		NDIS_STATUS_OFFLOAD_TCP_XMIT_BUFFER,
		NDIS_STATUS_OFFLOAD_TCP_RCV_BUFFER,
		NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW,
		NDIS_STATUS_OFFLOAD_VLAN_MISMATCH,
		NDIS_STATUS_OFFLOAD_CONNECTION_REJECTED,
		NDIS_STATUS_OFFLOAD_POLICY,
		NDIS_STATUS_OFFLOAD_PATH_MTU,
		NDIS_STATUS_UPLOAD_IN_PROGRESS,
		NDIS_STATUS_REQUEST_UPLOAD,
		NDIS_STATUS_UPLOAD_REQUESTED,
		NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED,
		NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED,
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		assert_true(nrt_errno_from_status(refusals[i]) < 0);
		assert_null(strchr(nrt_status_name(refusals[i]), '?'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_every_errno),
		cmocka_unit_test(test_information_is_no_error),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_offload_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
