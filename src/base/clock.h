/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - the only place that asks the system for the time. Everything else is handed a time in
 * microseconds.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_us(void);

#endif
