/* SPDX-License-Identifier: BSD-2-Clause */
/* ipc_hex.h - bytes inside a JSON text: two digits each. */
#ifndef IPC_IPC_HEX_H
#define IPC_IPC_HEX_H

#include <stddef.h>
#include <stdint.h>

/* ipc_hex_write() - out has room for 2 * len characters and the zero behind them. */
void ipc_hex_write(char *out, const uint8_t *data, size_t len);

/*
 * ipc_hex_read() - reads text (NULL: empty) up to its end, to what is no pair of digits, or until
 * max bytes are there.
 * Returns: number of bytes.
 */
size_t ipc_hex_read(const char *text, uint8_t *out, size_t max);

#endif
