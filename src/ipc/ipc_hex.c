/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipc/ipc_hex.h"

#include <ctype.h>
#include <stdio.h>

void ipc_hex_write(char *out, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", data[i]);
	out[2 * len] = 0;
}

size_t ipc_hex_read(const char *text, uint8_t *out, size_t max)
{
	unsigned int byte;
	size_t n = 0;

	for (; text && n < max && isxdigit((unsigned char)text[0]) &&
	       isxdigit((unsigned char)text[1]);
	     text += 2) {
		sscanf(text, "%2x", &byte);
		out[n++] = (uint8_t)byte;
	}
	return n;
}
