/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certify.h - does an offload target keep the rules? Cases on the simulated link in virtual time,
 * reported by requirement id.
 *
 * Read certify_cases.c for what is tried; certify.c runs each case in a process of its own, so that
 * a driver that ends the process (NDIS does that to drivers which lose or double a list) fails that
 * case and no other.
 */
#ifndef CERTIFY_CERTIFY_H
#define CERTIFY_CERTIFY_H

#include <stdbool.h>

/*
 * certify_main() - path: a driver's shared object; NULL: the target that is built in.
 * Returns:   0 all passed, 1 something failed, 2 nothing could be tried (said on stderr).
 */
int certify_main(const char *path, bool json);

#endif
