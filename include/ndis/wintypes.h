/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wintypes.h - the base types that NDIS structures are made of, with the sizes that they have on
 * 64-bit Windows.
 *
 * LONG and ULONG have 32 bits there, unlike long on Linux.
 */
#ifndef NDIS_WINTYPES_H
#define NDIS_WINTYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sal_stub.h"

#ifdef __cplusplus
#define NDIS_STATIC_ASSERT(cond, text) static_assert(cond, text)
#define NDIS_ALIGN16                   alignas(16)
#else
#include <assert.h>
#define NDIS_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#define NDIS_ALIGN16                   _Alignas(16)
#endif

#define VOID  void
#define CONST const

typedef char CHAR;
typedef uint8_t UCHAR, *PUCHAR;
typedef uint8_t BOOLEAN, *PBOOLEAN;
typedef int16_t SHORT, CSHORT;
typedef uint16_t USHORT, *PUSHORT;
typedef uint16_t WCHAR, *PWSTR;
typedef int32_t INT, LONG, *PLONG;
typedef uint32_t UINT, *PUINT;
typedef uint32_t ULONG, *PULONG;
typedef int64_t LONG64, LONGLONG;
typedef uint64_t ULONG64, *PULONG64, ULONGLONG;
typedef size_t SIZE_T;
typedef uintptr_t ULONG_PTR;
typedef void *PVOID;
typedef void *HANDLE;
typedef int32_t NTSTATUS;
typedef uint8_t KIRQL;

#ifndef TRUE
#define TRUE  1
#define FALSE 0
#endif

#define PASSIVE_LEVEL  0
#define APC_LEVEL      1
#define DISPATCH_LEVEL 2

typedef union _LARGE_INTEGER {
	struct {
		ULONG LowPart;
		LONG HighPart;
	} u;
	LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef LARGE_INTEGER PHYSICAL_ADDRESS;

/* Counted UTF-16 text. Length and MaximumLength are bytes; the text need not end with zero. */
typedef struct _UNICODE_STRING {
	USHORT Length;
	USHORT MaximumLength;
	PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;

/* Head of an interlocked list, 16 bytes at a multiple of 16. Its content is the system's own. */
typedef union _SLIST_HEADER {
	NDIS_ALIGN16 ULONGLONG Alignment;
	ULONGLONG Words[2];
} SLIST_HEADER, *PSLIST_HEADER;

typedef struct _GUID {
	ULONG Data1;
	USHORT Data2;
	USHORT Data3;
	UCHAR Data4[8];
} GUID;

#define STATUS_SUCCESS       ((NTSTATUS)0x00000000)
#define STATUS_NOT_SUPPORTED ((NTSTATUS)0xC00000BB)

typedef INT NDIS_STATUS, *PNDIS_STATUS;
typedef PVOID NDIS_HANDLE, *PNDIS_HANDLE;
typedef ULONG NDIS_OID, *PNDIS_OID;
typedef ULONG NDIS_PORT_NUMBER, *PNDIS_PORT_NUMBER;
typedef PHYSICAL_ADDRESS NDIS_PHYSICAL_ADDRESS;
typedef UNICODE_STRING NDIS_STRING, *PNDIS_STRING;

#define NDIS_DEFAULT_PORT_NUMBER ((NDIS_PORT_NUMBER)0)

/*
 * Versions, as major << 16 | minor. Code may be compiled for an older one by defining
 * NDIS_SUPPORTED_VERSION.
 */
#define NDIS_VERSION_600 0x00060000u
#define NDIS_VERSION_610 0x00060001u
#define NDIS_VERSION_620 0x00060014u
#define NDIS_VERSION_630 0x0006001Eu
#ifndef NDIS_SUPPORTED_VERSION
#define NDIS_SUPPORTED_VERSION NDIS_VERSION_630
#endif

#ifndef CONTAINING_RECORD
#define CONTAINING_RECORD(address, type, field)                                                    \
	((type *)(void *)((char *)(address)-offsetof(type, field)))
#endif

#endif
