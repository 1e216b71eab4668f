/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_blob.h - what the tracer and the code that runs inside a program share.
 *
 * One mapping in the program: the code first, then a data area with the arguments, the stub slots
 * and a small stack. exec_blob.c is the code; exec_inject.c maps, fills and enters it.
 */
#ifndef CHIMNEY_EXEC_BLOB_H
#define CHIMNEY_EXEC_BLOB_H

/* Sizes are multiples of the largest page size of the architecture. */
#if defined(__aarch64__)
#define EXEC_CODE_BYTES 65536
#define EXEC_DATA_BYTES 65536
#else
#define EXEC_CODE_BYTES 8192
#define EXEC_DATA_BYTES 16384
#endif
#define EXEC_MAP_BYTES    (EXEC_CODE_BYTES + EXEC_DATA_BYTES)

#define EXEC_SLOT_OFFSET  8192 /* of the stub slots in the data area */
#define EXEC_SLOT_BYTES   128  /* also of a stub */
#define EXEC_NSLOTS       16
#define EXEC_LEAVE_OFFSET 64 /* of the registers to leave with, in the data area */
#define EXEC_NLEAVE       34
#define EXEC_MAX_NUMBERS  64  /* descriptor numbers of one file in one table */
#define EXEC_MAX_REGS     128 /* epoll registrations of one file in one table */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

enum exec_blob_step {
	EXEC_STEP_TABLE, /* is the descriptor table as the tracer saw it? */
	EXEC_STEP_RECEIVE,
	EXEC_STEP_KEEP, /* a second reference to the old file, for the way back */
	EXEC_STEP_DEL,
	EXEC_STEP_DUP,
	EXEC_STEP_ADD,
	EXEC_STEP_UNDO,
	EXEC_STEP_DONE,
};

struct exec_blob_number {
	int32_t fd;
	int32_t fd_flags; /* out: FD_CLOEXEC or 0 */
	uint32_t changed;
	uint32_t pad;
};

/* One registration; deleted and added say how far the blob got with it. */
struct exec_blob_reg {
	int32_t epfd;
	int32_t fd;
	uint32_t events;
	uint8_t deleted;
	uint8_t added;
	uint16_t pad;
	uint64_t data;
};

struct exec_blob_args {
	int32_t result;  /* out: 0 or -errno */
	uint32_t step;   /* out: enum exec_blob_step where it ended */
	int32_t pair[2]; /* out: valid once published is 1; the tracer takes pair[1] */
	uint32_t published;
	int32_t scan_end;    /* numbers below this one are compared; 0 for no comparison */
	uint32_t open_count; /* descriptors that must be open below scan_end */
	uint32_t nnumbers;
	uint32_t nregs;
	uint32_t tracer_cpu;
	uint64_t ino;  /* of the present file */
	uint32_t done; /* out: 1 when all is finished and result valid */
	uint32_t pad;
	uint64_t leave_mask;         /* of signals */
	uint64_t leave[EXEC_NLEAVE]; /* registers in the order of exec_regs_leave() */
	struct exec_blob_number numbers[EXEC_MAX_NUMBERS];
	struct exec_blob_reg regs[EXEC_MAX_REGS];
};

/*
 * A thread whose call must go on with other arguments than the program gave, and whose result must
 * look as if it had been one call, runs the call in a stub (exec_blob.c) that afterwards puts the
 * program's registers back and frees the slot. Field offsets are known to the assembler.
 */
struct exec_stub_slot {
	uint64_t busy;     /*  0 */
	uint64_t add;      /*  8: bytes transferred before */
	uint64_t arg[3];   /* 16: the program's second, third and fourth argument */
	uint64_t pc;       /* 40: where the program goes on */
	uint64_t limit[2]; /* 48: a timespec that the call points to */
	uint64_t pad[8];
};

_Static_assert(offsetof(struct exec_blob_args, leave) == EXEC_LEAVE_OFFSET, "known to assembler");
_Static_assert(sizeof(struct exec_blob_args) <= EXEC_SLOT_OFFSET, "arguments reach the slots");
_Static_assert(sizeof(struct exec_stub_slot) == EXEC_SLOT_BYTES, "slot size is known to assembler");
_Static_assert(EXEC_SLOT_OFFSET + EXEC_NSLOTS * EXEC_SLOT_BYTES + 4096 <= EXEC_DATA_BYTES,
	       "room for the blob's stack");

/* The section, as the linker delimits it, and the places in it. Never called here. */
extern const unsigned char __start_exec_blob[] __attribute__((visibility("hidden")));
extern const unsigned char __stop_exec_blob[] __attribute__((visibility("hidden")));
extern const unsigned char exec_blob_begin[] __attribute__((visibility("hidden")));
extern const unsigned char exec_blob_stubs[] __attribute__((visibility("hidden")));
extern const unsigned char exec_blob_stubs_end[] __attribute__((visibility("hidden")));
void exec_blob_main(struct exec_blob_args *a) __attribute__((visibility("hidden"), noreturn));
#endif
#endif
