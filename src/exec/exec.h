/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec.h - exchange an open file under running programs that know nothing of it.
 *
 * The host driver calls this at offload (the kernel's socket goes out, one end of a stream pair
 * comes in) and at upload (the other way round):
 *
 *	exec_find -> exec_prepare -> exec_fetch
 *	exec_stop -> exec_exchange -> exec_resume	any number of times, in any direction
 *	exec_free
 *
 * Everything here is called by one tracer thread per set of holders: ptrace binds a stopped thread
 * to the thread that stopped it. Calls are synchronous. While holders are stopped no other thread
 * of the calling process may wait for children without __WNOTHREAD, or it would take our events.
 * Between exec_resume and the next exec_stop nothing here refers to the exchanged file, so a
 * close() by the program is seen by whoever holds the other end.
 *
 * exec_stop.c explains how a thread is stopped and started again unnoticed, exec_blob.c what runs
 * inside the program.
 */
#ifndef CHIMNEY_EXEC_EXEC_H
#define CHIMNEY_EXEC_EXEC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Every process, and every descriptor number in it, that refers to one open socket. */
struct exec_holders;

/* What the last stop cost; all in microseconds of CLOCK_MONOTONIC. */
struct exec_times {
	double check_us; /* looking at the threads before anything is interrupted */
	double stop_us;  /* first interrupt until every thread stands still and was checked */
	double exchange_us;
	double resume_us;
	double frozen_us; /* first interrupt until the last thread was let go */
};

/*
 * exec_own_pid() - tell that pid belongs to chimney (keeper, helper) and is never a holder.
 * Context:   any thread, before exec_find. The calling process itself needs no entry.
 * Returns:   0, or -ENOMEM.
 */
int exec_own_pid(pid_t pid);

/*
 * exec_find() - find all holders of the socket that is descriptor fd_in_pid of pid.
 * Context:   tracer thread; may take milliseconds (reads /proc of every visible process).
 * Ownership: returns a new set in *out; the caller gives it to exec_free().
 * Returns:   0; -EBADF no such descriptor; -ENOTSOCK; -ESRCH; -EPERM or -EACCES when a holder
 *            cannot be reached; -ENOTSUP when a program uses something we cannot follow;
 *            -EBUSY when a descriptor is in flight in a UNIX socket. why says it in words.
 */
int exec_find(struct exec_holders **out, pid_t pid, int fd_in_pid, char *why, size_t why_len)
	__attribute__((warn_unused_result));

/*
 * exec_allow_filters() - accept programs that carry up to n seccomp filters (those are chimney's).
 * Context:   tracer thread, before exec_prepare. Default 0: any filter makes a program ineligible.
 */
void exec_allow_filters(struct exec_holders *h, unsigned int n);

/*
 * exec_fetch() - the socket itself, into our process.
 * Context:   tracer thread; holders stopped or running. Best between exec_stop() and exec_resume():
 *            while they run the numbers may be those of the last stop.
 * Ownership: the caller owns *fd_out (close-on-exec is set).
 * Returns:   0; -EBADF when the program has closed it meanwhile; -errno of pidfd_getfd.
 */
int exec_fetch(const struct exec_holders *h, int *fd_out) __attribute__((warn_unused_result));

/*
 * exec_prepare() - all that can be done before the stop: eligibility and the code page.
 * Context:   tracer thread. The first time for a process it stops one thread for about 0.1 ms.
 * Returns:   0; -EBUSY traced by somebody else; -EPERM; -ENOTSUP foreign seccomp filter, io_uring,
 *            32-bit program, a thread with a descriptor table of its own; -EAGAIN try later.
 */
int exec_prepare(struct exec_holders *h, char *why, size_t why_len)
	__attribute__((warn_unused_result));

/*
 * exec_stop() - stop all threads of all holders, with the set of holders brought up to date.
 * Context:   tracer thread.
 * Returns:   0, everything stands still until exec_resume(); on any error nothing is stopped:
 *            -EAGAIN a thread is in a transfer that cannot be continued unnoticed, or does not
 *            stop; -EBADF the program has closed the socket; -ESRCH all holders are gone; else as
 *            exec_find() and exec_prepare().
 */
int exec_stop(struct exec_holders *h, char *why, size_t why_len)
	__attribute__((warn_unused_result));

/*
 * exec_exchange() - put new_fd in place of the present file in every holder.
 * Context:   tracer thread, between exec_stop() and exec_resume(); may be called again there.
 *            Epoll registrations, close-on-exec, file status flags, the owner and the signal of
 *            asynchronous I/O, SO_RCVTIMEO, SO_SNDTIMEO and SO_RCVLOWAT go over to the new file.
 * Ownership: borrows new_fd; the caller may close it afterwards, the program has its own reference.
 * Returns:   0; -errno, and then every holder has what it had before (-EMFILE, -ENOSPC, ...);
 *            -ENOTRECOVERABLE if putting it back failed too.
 */
int exec_exchange(struct exec_holders *h, int new_fd) __attribute__((warn_unused_result));

/*
 * exec_resume() - let all holders run on; calls that the stop interrupted start again.
 * Context:   tracer thread. Harmless when nothing is stopped.
 */
void exec_resume(struct exec_holders *h);

/*
 * exec_pending() - threads that did not stop in time and still have to be let go.
 * Context:   tracer thread that called exec_stop(), from its poll loop while the result is not 0.
 * Returns:   how many are left.
 */
unsigned int exec_pending(void);

/* The step in which the last exec_exchange() failed, for messages. */
const char *exec_failed_step(const struct exec_holders *h);

/* Numbers of holders, descriptor numbers and epoll registrations as of the last find or stop. */
void exec_count(const struct exec_holders *h, size_t *processes, size_t *numbers,
		size_t *registrations);

void exec_times(const struct exec_holders *h, struct exec_times *out);

/* exec_free() - resumes if stopped, gives everything back. NULL is fine. */
void exec_free(struct exec_holders *h);

#endif
