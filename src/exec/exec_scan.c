/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_scan.c - which processes and descriptor numbers refer to the file, and which epoll sets.
 *
 * A full scan reads the descriptor tables of all visible processes. Between scans new holders come
 * only by fork (seen by the namespace's last process number), by dup (seen by comparing the table
 * while its process stands still) or through a UNIX socket (a file in flight makes us refuse).
 */
#include "exec/exec_int.h"
#include "exec/exec_parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCAN_MAX_NEW 2000 /* more new process numbers than this: a full scan is cheaper */

pid_t exec_last_pid(void)
{
	char buf[128];
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	pid_t pid;

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	return exec_parse_last_pid(buf, &pid) == 0 ? pid : -1;
}

void exec_holder_clear(struct exec_holder *holder)
{
	free(holder->numbers);
	free(holder->epfds);
	free(holder->regs);
	holder->numbers = NULL;
	holder->epfds = NULL;
	holder->regs = NULL;
	holder->nnumbers = holder->nepfds = holder->nregs = 0;
}

/*
 * Is there a descriptor of the socket in this table? 1, 0, or -errno if the table is closed to
 * us.
 */
static int table_has(int proc_dir, uint64_t ino)
{
	int fd = openat(proc_dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	int found = 0;
	uint64_t got;
	char link[64];
	ssize_t n;
	DIR *dir;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		found = -errno;
		if (fd >= 0)
			close(fd);
		return found;
	}
	while (!found && (de = readdir(dir))) {
		n = readlinkat(fd, de->d_name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		found = exec_parse_socket_link(link, &got) == 0 && got == ino;
	}
	closedir(dir);
	return found;
}

static int holder_add(struct exec_holders *h, pid_t pid, char *why, size_t why_len)
{
	struct exec_holder *v;
	int err;

	v = realloc(h->v, (h->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	h->v = v;
	memset(&v[h->n], 0, sizeof(v[h->n]));
	v[h->n].alias_of = -1;
	v[h->n].proc = exec_proc_get(pid, why, why_len, &err);
	if (!v[h->n].proc)
		return err;
	h->n++;
	return 0;
}

static bool holder_known(const struct exec_holders *h, pid_t pid)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (h->v[i].proc->pid == pid)
			return true;
	return false;
}

/* Reads stat and status of a process that may vanish at any moment. */
static int peek_stat(int proc_dir, struct exec_stat *st)
{
	char buf[1024];
	int fd = openat(proc_dir, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	return exec_parse_stat(buf, st);
}

static int open_pid_dir(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A descendant of a holder has its session, as a rule, and is not older. */
static bool may_descend(const struct exec_stat *st, const struct exec_proc *holder)
{
	struct exec_stat of;

	return peek_stat(holder->dir_fd, &of) == 0 && of.session == st->session &&
	       st->start_ticks >= of.start_ticks;
}

/*
 * A table that we may not read matters only where a holder could have handed the file on by fork:
 * to a child, or further down. The shells above it, often another user's, do not count.
 */
static int closed_relative(const struct exec_holders *h, pid_t pid, int proc_dir, char *why,
			   size_t why_len)
{
	struct exec_stat st;
	size_t i;

	if (peek_stat(proc_dir, &st) < 0 || st.state == 'Z')
		return 0;
	for (i = 0; i < h->n; i++)
		if (st.ppid == h->v[i].proc->pid || may_descend(&st, h->v[i].proc))
			return exec_say(why, why_len, -EACCES,
					"process %d, related to %d, may hold the socket and cannot "
					"be read",
					pid, h->v[i].proc->pid);
	return 0;
}

/* /proc/N also answers for a thread; only the process counts. */
static bool is_process(int proc_dir, pid_t pid)
{
	char buf[1024], *p;
	int fd = openat(proc_dir, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	p = strstr(buf, "\nTgid:");
	return p && atoi(p + 6) == pid;
}

static int scan_pid(struct exec_holders *h, pid_t pid, size_t *added, char *why, size_t why_len)
{
	int dir, rc;

	if (holder_known(h, pid) || exec_pid_is_own(pid))
		return 0;
	dir = open_pid_dir(pid);
	if (dir < 0)
		return 0;
	rc = table_has(dir, h->ino);
	if (rc == -EACCES || rc == -EPERM) {
		rc = closed_relative(h, pid, dir, why, why_len);
	} else if (rc == 1 && is_process(dir, pid)) {
		rc = holder_add(h, pid, why, why_len);
		if (rc == 0)
			(*added)++;
		else if (rc == -ESRCH)
			rc = 0;
	} else {
		rc = 0;
	}
	close(dir);
	return rc;
}

int exec_scan_start(struct exec_holders *h, pid_t pid, char *why, size_t why_len)
{
	return holder_add(h, pid, why, why_len);
}

int exec_scan_all(struct exec_holders *h, char *why, size_t why_len)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	size_t added = 0;
	int rc = 0;
	pid_t pid;

	if (!dir)
		return exec_say(why, why_len, -errno, "/proc cannot be read");
	h->last_pid = exec_last_pid();
	while (rc == 0 && (de = readdir(dir))) {
		pid = atoi(de->d_name);
		if (pid > 0)
			rc = scan_pid(h, pid, &added, why, why_len);
	}
	closedir(dir);
	return rc;
}

/* Looks at the processes that were made since the last scan. */
int exec_scan_new(struct exec_holders *h, size_t *added, char *why, size_t why_len)
{
	pid_t last = exec_last_pid(), pid;
	size_t before = h->n;
	int rc = 0;

	*added = 0;
	if (last == h->last_pid && last > 0)
		return 0;
	if (last <= 0 || last < h->last_pid || last - h->last_pid > SCAN_MAX_NEW) {
		rc = exec_scan_all(h, why, why_len);
		*added = h->n - before;
		return rc;
	}
	for (pid = h->last_pid + 1; rc == 0 && pid <= last; pid++)
		rc = scan_pid(h, pid, added, why, why_len);
	if (rc == 0)
		h->last_pid = last;
	return rc;
}

static int number_add(struct exec_holder *holder, int fd)
{
	struct exec_blob_number *v;

	v = realloc(holder->numbers, (holder->nnumbers + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	holder->numbers = v;
	memset(&v[holder->nnumbers], 0, sizeof(*v));
	v[holder->nnumbers++].fd = fd;
	return 0;
}

static int epfd_add(struct exec_holder *holder, int fd)
{
	int *v = realloc(holder->epfds, (holder->nepfds + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	holder->epfds = v;
	v[holder->nepfds++] = fd;
	return 0;
}

static int table_entry(struct exec_holders *h, struct exec_holder *holder, int fd, const char *link,
		       char *why, size_t why_len)
{
	uint64_t ino;

	holder->open_count++;
	if (fd > holder->highest_fd)
		holder->highest_fd = fd;
	if (strcmp(link, "anon_inode:[io_uring]") == 0)
		return exec_say(why, why_len, -ENOTSUP, "process %d uses io_uring",
				holder->proc->pid);
	if (strcmp(link, "anon_inode:[eventpoll]") == 0)
		return epfd_add(holder, fd);
	if (exec_parse_socket_link(link, &ino) < 0 || ino != h->ino)
		return 0;
	if (holder->nnumbers == EXEC_MAX_NUMBERS)
		return exec_say(why, why_len, -E2BIG,
				"process %d holds the socket more than %d times", holder->proc->pid,
				EXEC_MAX_NUMBERS);
	return number_add(holder, fd);
}

/* Reads one descriptor table: numbers of the file, epoll descriptors, and how many are open. */
int exec_scan_table(struct exec_holders *h, struct exec_holder *holder, char *why, size_t why_len)
{
	int fd = openat(holder->proc->dir_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	char link[64];
	int rc = 0;
	ssize_t n;
	DIR *dir;

	exec_holder_clear(holder);
	holder->open_count = 0;
	holder->highest_fd = -1;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		/* The table of a process that has ended may look like a closed one. */
		rc = errno == ENOENT || !exec_proc_alive(holder->proc) ? -ESRCH : -errno;
		if (fd >= 0)
			close(fd);
		return exec_say(why, why_len, rc, "descriptors of process %d cannot be read: %s",
				holder->proc->pid, strerror(-rc));
	}
	while (rc == 0 && (de = readdir(dir))) {
		n = readlinkat(fd, de->d_name, link, sizeof(link) - 1);
		if (n < 0 || de->d_name[0] == '.')
			continue;
		link[n] = '\0';
		rc = table_entry(h, holder, atoi(de->d_name), link, why, why_len);
	}
	closedir(dir);
	return rc;
}

/* Inode numbers of sockets come round after 2^32 sockets: takes out what is another file. */
void exec_scan_verify(struct exec_holders *h)
{
	size_t i, k, n;

	for (i = 0; i < h->n; i++) {
		struct exec_holder *holder = &h->v[i];

		for (k = n = 0; k < holder->nnumbers; k++)
			if (exec_kcmp(getpid(), holder->proc->pid, KCMP_FILE,
				      (unsigned long)h->file_fd,
				      (unsigned long)holder->numbers[k].fd) <= 0)
				holder->numbers[n++] = holder->numbers[k];
		holder->nnumbers = n;
	}
}

/* Processes that share one table (CLONE_FILES) are stopped all, but exchanged once. */
int exec_scan_aliases(struct exec_holders *h)
{
	size_t i, j;

	for (i = 0; i < h->n; i++) {
		h->v[i].alias_of = -1;
		for (j = 0; j < i && h->v[i].alias_of < 0; j++)
			if (h->v[j].alias_of < 0 &&
			    exec_kcmp(h->v[i].proc->pid, h->v[j].proc->pid, KCMP_FILES, 0, 0) == 0)
				h->v[i].alias_of = (int)j;
	}
	return 0;
}

static bool same_epoll(const struct exec_holder *a, int a_fd, const struct exec_holder *b, int b_fd)
{
	if (a == b && a_fd == b_fd)
		return true;
	return exec_kcmp(a->proc->pid, b->proc->pid, KCMP_FILE, (unsigned long)a_fd,
			 (unsigned long)b_fd) == 0;
}

/* Is the registration of number fd in this epoll set already somebody's task? */
static bool reg_taken(const struct exec_holders *h, const struct exec_holder *holder, int epfd,
		      int fd)
{
	size_t i, k;

	for (i = 0; i < h->n; i++)
		for (k = 0; k < h->v[i].nregs; k++)
			if (h->v[i].regs[k].fd == fd &&
			    same_epoll(&h->v[i], h->v[i].regs[k].epfd, holder, epfd))
				return true;
	return false;
}

static int reg_add(struct exec_holder *holder, const struct exec_blob_reg *reg)
{
	struct exec_blob_reg *v;

	if (holder->nregs == EXEC_MAX_REGS)
		return -E2BIG;
	v = realloc(holder->regs, (holder->nregs + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	holder->regs = v;
	v[holder->nregs++] = *reg;
	return 0;
}

static bool has_number(const struct exec_holder *holder, int fd)
{
	size_t i;

	for (i = 0; i < holder->nnumbers; i++)
		if (holder->numbers[i].fd == fd)
			return true;
	return false;
}

/* One line of one epoll descriptor; *orphans counts registrations this table cannot name. */
static int epoll_line(struct exec_holders *h, struct exec_holder *holder, int epfd,
		      const char *line, bool claim, size_t *orphans)
{
	struct exec_blob_reg reg;
	uint64_t ino;

	if (exec_parse_epoll(line, &reg, &ino) < 0 || ino != h->ino)
		return 0;
	reg.epfd = epfd;
	if (!claim) {
		if (!reg_taken(h, holder, epfd, reg.fd))
			(*orphans)++;
		return 0;
	}
	if (!has_number(holder, reg.fd)) {
		(*orphans)++; /* for the time being: another holder may be able to */
		return 0;
	}
	if (reg_taken(h, holder, epfd, reg.fd))
		return 0;
	return reg_add(holder, &reg);
}

static int epoll_one(struct exec_holders *h, struct exec_holder *holder, int epfd, bool claim,
		     size_t *orphans)
{
	char name[32], *line = NULL;
	size_t cap = 0;
	int fd, rc = 0;
	FILE *f;

	snprintf(name, sizeof(name), "fdinfo/%d", epfd);
	fd = openat(holder->proc->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	while (rc == 0 && getline(&line, &cap, f) > 0)
		rc = epoll_line(h, holder, epfd, line, claim, orphans);
	free(line);
	fclose(f);
	return rc;
}

static int epoll_pass(struct exec_holders *h, bool claim, size_t *orphans)
{
	size_t i, k;
	int rc = 0;

	for (i = 0; rc == 0 && i < h->n; i++) {
		if (h->v[i].alias_of >= 0)
			continue;
		for (k = 0; rc == 0 && k < h->v[i].nepfds; k++)
			rc = epoll_one(h, &h->v[i], h->v[i].epfds[k], claim, orphans);
	}
	return rc;
}

/*
 * Finds all registrations of the file and gives each to one holder that can name it: an epoll set
 * may be shared by a parent and its children, and the registered number may be open in some of them
 * only.
 */
int exec_scan_epoll(struct exec_holders *h, char *why, size_t why_len)
{
	size_t i, total = 0, orphans = 0;
	int rc;

	for (i = 0; i < h->n; i++) {
		h->v[i].nregs = 0;
		total += h->v[i].alias_of < 0 ? h->v[i].nepfds : 0;
	}
	if (total == 0)
		return 0;
	rc = epoll_pass(h, true, &orphans);
	if (rc == 0 && orphans) {
		orphans = 0;
		rc = epoll_pass(h, false, &orphans);
	}
	if (rc < 0)
		return exec_say(why, why_len, rc, "epoll registrations cannot be read: %s",
				strerror(-rc));
	if (orphans)
		return exec_say(why, why_len, -ENOTSUP,
				"the socket is registered with epoll under a number that was "
				"closed");
	return 0;
}

/* Does this process have a UNIX socket with descriptors under way in it? 1, 0, or -errno. */
static int flight_in(int proc_dir)
{
	int fd = openat(proc_dir, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int info, found = 0;
	struct dirent *de;
	unsigned int count;
	char buf[512];
	ssize_t n;
	DIR *dir;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (!found && (de = readdir(dir))) {
		info = openat(fd, de->d_name, O_RDONLY | O_CLOEXEC);
		n = info < 0 ? -1 : read(info, buf, sizeof(buf) - 1);
		if (info >= 0)
			close(info);
		if (n <= 0)
			continue;
		buf[n] = '\0';
		found = exec_parse_scm_fds(buf, &count) == 0 && count > 0;
	}
	closedir(dir);
	return found;
}

/*
 * A reference may be under way in a UNIX socket, where no table shows it. The kernel tells only
 * that descriptors are, not which: any in a process that we can see makes us wait.
 */
int exec_scan_flight(struct exec_holders *h, char *why, size_t why_len)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	int rc = 0, fd;
	pid_t pid;

	(void)h;
	if (!dir)
		return -errno;
	while (rc == 0 && (de = readdir(dir))) {
		pid = atoi(de->d_name);
		fd = pid > 0 && !exec_pid_is_own(pid) ? open_pid_dir(pid) : -1;
		if (fd < 0)
			continue;
		if (flight_in(fd) > 0)
			rc = exec_say(why, why_len, -EBUSY,
				      "process %d has descriptors in flight in a UNIX socket", pid);
		close(fd);
	}
	closedir(dir);
	return rc;
}
