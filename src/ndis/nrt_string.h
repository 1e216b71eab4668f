/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_string.h - names are UTF-8 inside, counted UTF-16 at the edge (NDIS_STRING). Names of
 * adapters and keywords are ASCII; other characters never match anything.
 */
#ifndef NDIS_NRT_STRING_H
#define NDIS_NRT_STRING_H

#include <stdbool.h>

#include <ndis/wintypes.h>

/* nrt_wide() - the text as WCHARs with a zero at the end; nrt_free() it. NULL: no memory. */
WCHAR *nrt_wide(const char *text);

/* nrt_string_of() - an NDIS_STRING that borrows text made by nrt_wide(). */
NDIS_STRING nrt_string_of(WCHAR *wide);

/*
 * nrt_string_is() - whether the string spells text; ignoring case, as the registry does, when told
 * so.
 */
bool nrt_string_is(const NDIS_STRING *string, const char *text, bool ignore_case);

#endif
