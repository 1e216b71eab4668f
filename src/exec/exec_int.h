/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_int.h - what the files of this room share. Not for other rooms.
 *
 * struct exec_proc is a traced process and is shared by all sets of holders that mention it, so
 * that its code page is mapped once. struct exec_holder is one process inside one set.
 */
#ifndef CHIMNEY_EXEC_INT_H
#define CHIMNEY_EXEC_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "exec/exec.h"
#include "exec/exec_blob.h"
#include "exec/exec_regs.h"

enum exec_task_state {
	EXEC_TASK_SEEN,   /* listed, nothing done */
	EXEC_TASK_SEIZED, /* ours, an interrupt is under way */
	EXEC_TASK_STOPPED,
	EXEC_TASK_GONE,
};

struct exec_task {
	pid_t tid;
	uint8_t state;   /* enum exec_task_state */
	bool injected;   /* regs must be written back before it runs on */
	bool masked;     /* sigmask likewise */
	bool mended;     /* its interrupted call will go on */
	int forward_sig; /* signal that came while our code ran */
	uint64_t sigmask;
	struct exec_regs regs; /* of the program; valid while stopped */
	bool regs_valid;
	bool call_valid; /* the call it was blocked in before the interrupt: */
	long call_nr;
	uint64_t call_args[6];
	uint64_t call_pc;
	double call_slept_us; /* our time when it fell asleep there, < 0 if unknown */
};

struct exec_proc {
	struct exec_proc *next;
	unsigned int refs;
	pid_t pid;
	pid_t ppid;
	uint64_t start_ticks; /* with pid it names the process for ever */
	int dir_fd;           /* /proc/PID; stays with this process when the number is reused */
	int pidfd;
	int mem_fd;
	uint64_t map; /* address of our mapping in it, 0 if none */
	bool checked; /* eligibility */
	bool busy;    /* stopped by some set of holders */
	bool gone;
	struct exec_task *tasks;
	size_t ntasks, tasks_cap;
};

struct exec_holder {
	struct exec_proc *proc;
	int alias_of; /* index of a holder with the same descriptor table, else -1 */
	struct exec_blob_number *numbers;
	size_t nnumbers;
	int *epfds; /* all epoll descriptors of the table */
	size_t nepfds;
	struct exec_blob_reg *regs;
	size_t nregs;
	unsigned int open_count;
	int highest_fd;
};

struct exec_holders {
	struct exec_holder *v;
	size_t n;
	uint64_t ino;    /* of the present file */
	uint64_t cookie; /* likewise, never reused */
	int file_fd;     /* our reference, held only while stopped; else -1 */
	unsigned int filters_allowed;
	pid_t last_pid; /* newest pid of the namespace at the last scan */
	bool stopped;
	uint32_t failed_step;
	double freeze_start_us;
	struct exec_times times;
};

/* exec_util.c */
double exec_now_us(void);
int exec_say(char *why, size_t why_len, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int exec_file_identity(int fd, uint64_t *ino, uint64_t *cookie);
int exec_kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y);

/* exec_proc.c: the registry of traced processes */
struct exec_proc *exec_proc_get(pid_t pid, char *why, size_t why_len, int *err);
struct exec_proc *exec_proc_ref(struct exec_proc *p);
void exec_proc_put(struct exec_proc *p);
bool exec_proc_alive(const struct exec_proc *p);
bool exec_proc_claim(struct exec_proc *p);
void exec_proc_release(struct exec_proc *p);
uint64_t exec_proc_map_hint(struct exec_proc *p);
int exec_proc_read(const struct exec_proc *p, const char *name, char *buf, size_t len);
int exec_proc_check(struct exec_proc *p, unsigned int filters, char *why, size_t why_len);
bool exec_pid_is_own(pid_t pid);

/* exec_scan.c: who holds the file */
int exec_scan_all(struct exec_holders *h, char *why, size_t why_len);
int exec_scan_new(struct exec_holders *h, size_t *added, char *why, size_t why_len);
int exec_scan_table(struct exec_holders *h, struct exec_holder *holder, char *why, size_t why_len);
int exec_scan_epoll(struct exec_holders *h, char *why, size_t why_len);
int exec_scan_aliases(struct exec_holders *h);
int exec_scan_start(struct exec_holders *h, pid_t pid, char *why, size_t why_len);
int exec_scan_flight(struct exec_holders *h, char *why, size_t why_len);
void exec_scan_verify(struct exec_holders *h);
void exec_holder_clear(struct exec_holder *holder);
pid_t exec_last_pid(void);

/* exec_stop.c: threads */
int exec_task_wait(struct exec_proc *p, struct exec_task *t, int *sig, double deadline_us);
int exec_tasks_list(struct exec_proc *p, size_t *added);
int exec_proc_seize(struct exec_proc *p, char *why, size_t why_len);
int exec_proc_wait_stopped(struct exec_proc *p, double deadline_us, char *why, size_t why_len);
void exec_proc_mend(struct exec_proc *p);
void exec_proc_resume(struct exec_proc *p);
int exec_task_regs(struct exec_task *t);

/* exec_calls.c: the system call that a thread is in */
int exec_calls_check(struct exec_proc *p, char *why, size_t why_len);
void exec_call_mend(struct exec_proc *p, struct exec_task *t);

/* exec_inject.c: our code in the program */
int exec_map(struct exec_proc *p, char *why, size_t why_len);
bool exec_map_valid(const struct exec_proc *p);
int exec_run(struct exec_proc *p, struct exec_blob_args *args, int send_fd);
bool exec_in_stub(const struct exec_proc *p, uint64_t pc, unsigned int *slot);
int exec_slot_take(struct exec_proc *p, unsigned int *slot);
int exec_slot_read(struct exec_proc *p, unsigned int slot, struct exec_stub_slot *s);
int exec_slot_write(struct exec_proc *p, unsigned int slot, const struct exec_stub_slot *s);
uint64_t exec_stub_address(const struct exec_proc *p, unsigned int slot);

#endif
