/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_string.h"

#include <ctype.h>
#include <string.h>

#include "ndis/nrt_alloc.h"

WCHAR *nrt_wide(const char *text)
{
	size_t length = strlen(text), i;
	WCHAR *wide = nrt_zalloc((length + 1) * sizeof(*wide));

	if (!wide)
		return NULL;
	for (i = 0; i < length; i++)
		wide[i] = (unsigned char)text[i];
	return wide;
}

NDIS_STRING nrt_string_of(WCHAR *wide)
{
	NDIS_STRING string = { .Buffer = wide };

	while (wide[string.Length / sizeof(WCHAR)])
		string.Length += sizeof(WCHAR);
	string.MaximumLength = string.Length + sizeof(WCHAR);
	return string;
}

bool nrt_string_is(const NDIS_STRING *string, const char *text, bool ignore_case)
{
	size_t length = strlen(text), i;

	if (string->Length != length * sizeof(WCHAR))
		return false;
	for (i = 0; i < length; i++) {
		WCHAR c = string->Buffer[i];

		if (c == (unsigned char)text[i])
			continue;
		if (!ignore_case || c > 127 || tolower(c) != tolower((unsigned char)text[i]))
			return false;
	}
	return true;
}
