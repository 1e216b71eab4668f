/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake/fake_log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void fake_log_add(struct fake_log *log, struct fake_call call)
{
	assert_true(log->count < FAKE_LOG_CALLS);
	log->calls[log->count++] = call;
}

void fake_log_clear(struct fake_log *log)
{
	log->count = 0;
}

size_t fake_log_count(const struct fake_log *log, enum fake_kind kind)
{
	size_t i, count = 0;

	for (i = 0; i < log->count; i++)
		count += log->calls[i].kind == kind;
	return count;
}

const struct fake_call *fake_log_last(const struct fake_log *log, enum fake_kind kind)
{
	size_t i;

	for (i = log->count; i-- > 0;)
		if (log->calls[i].kind == kind)
			return &log->calls[i];
	return NULL;
}

const struct fake_call *fake_log_only(const struct fake_log *log, enum fake_kind kind)
{
	assert_int_equal(fake_log_count(log, kind), 1);
	return fake_log_last(log, kind);
}
