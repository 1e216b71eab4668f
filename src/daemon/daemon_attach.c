/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking on the connections of a process that already runs: its descriptors are looked through, and
 * every established TCP connection becomes a connection of the host driver, in the host, with the
 * policy's verdict on it.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_int.h"

#define FIND_TRIES   50u
#define FIND_WAIT_US 200u

struct daemon_conn *daemon_conn_find(struct worker *w, uint32_t id)
{
	for (struct daemon_conn *dc = w->conns; dc; dc = dc->next)
		if (dc->id == id)
			return dc;
	return NULL;
}

static bool known(struct worker *w, uint64_t inode)
{
	for (struct daemon_conn *dc = w->conns; dc; dc = dc->next)
		if (dc->inode == inode)
			return true;
	return false;
}

/* Cheaper than a copy of the descriptor: most are no sockets, or known. */
static bool worth_a_look(struct worker *w, int dir, const char *name)
{
	unsigned long long inode;
	char link[64];
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);

	if (n <= 0)
		return false;
	link[n] = 0;
	return sscanf(link, "socket:[%llu]", &inode) == 1 && !known(w, inode);
}

/* A connection found in a process, not yet known. */
struct found {
	int fd; /* our copy of the descriptor */
	int fd_in_pid;
	uint64_t inode, cookie;
	uint64_t bytes; /* both ways, so far */
	uint64_t rtt_us;
	enum host_select_direction direction;
};

#define DIRECTION_TRIES 8u

/*
 * Whoever connects has its SYN acknowledged before it sends a byte, and the kernel counts that in:
 * one more is acknowledged or on its way than was ever sent. It may be sending at this moment.
 */
static enum host_select_direction direction_of(int fd)
{
	struct tcp_info a, b;
	int unacked = 0;

	for (unsigned int i = 0; i < DIRECTION_TRIES; i++) {
		socklen_t len_a = sizeof(a), len_b = sizeof(b);
		int64_t more;

		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &a, &len_a) < 0 ||
		    ioctl(fd, SIOCOUTQ, &unacked) < 0 ||
		    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &b, &len_b) < 0 ||
		    len_a < offsetof(struct tcp_info, tcpi_dsack_dups))
			break; /* Linux before 4.19 */
		if (a.tcpi_state != HOST_TCP_ESTABLISHED && a.tcpi_state != HOST_TCP_CLOSE_WAIT)
			break; /* a FIN counts as well */
		if (a.tcpi_bytes_acked != b.tcpi_bytes_acked ||
		    a.tcpi_bytes_sent != b.tcpi_bytes_sent ||
		    a.tcpi_notsent_bytes != b.tcpi_notsent_bytes)
			continue;
		more = (int64_t)(a.tcpi_bytes_acked + (uint64_t)unacked - a.tcpi_notsent_bytes -
				 (a.tcpi_bytes_sent - a.tcpi_bytes_retrans));
		return more == 1   ? HOST_SELECT_OUT
		       : more == 0 ? HOST_SELECT_IN
				   : HOST_SELECT_ANY_WAY;
	}
	return HOST_SELECT_ANY_WAY;
}

/* True when the descriptor is a TCP connection that has been established; found->fd is ours then. */
static bool fetch_connection(int pidfd, int fd_in_pid, struct found *found)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, fd_in_pid, 0), protocol = 0;
	socklen_t len = sizeof(protocol);
	struct tcp_info info = { 0 };
	uint64_t cookie = 0;
	struct stat st;

	if (fd < 0)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0 || protocol != IPPROTO_TCP)
		goto other;
	len = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || fstat(fd, &st) < 0)
		goto other;
	if (info.tcpi_state == 0 || info.tcpi_state == HOST_TCP_CLOSE ||
	    info.tcpi_state == HOST_TCP_LISTEN || info.tcpi_state == HOST_TCP_SYN_SENT)
		goto other;
	len = sizeof(cookie);
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
		goto other;
	*found = (struct found){ .fd = fd,
				 .fd_in_pid = fd_in_pid,
				 .inode = st.st_ino,
				 .cookie = cookie,
				 .bytes = info.tcpi_bytes_acked + info.tcpi_bytes_received,
				 .rtt_us = info.tcpi_rtt,
				 .direction = direction_of(fd) };
	return true;
other:
	close(fd);
	return false;
}

/* A descriptor on its way through a unix socket is there in a moment. */
static int find_holders(struct daemon_conn *dc, char *why, size_t why_size)
{
	int err = -EBUSY;

	for (unsigned int i = 0; i < FIND_TRIES && err == -EBUSY; i++) {
		if (i)
			usleep(FIND_WAIT_US);
		err = exec_find(&dc->holders, dc->pid, dc->fd_in_pid, why, why_size);
	}
	return err;
}

static void read_program(struct daemon_conn *dc)
{
	char path[64], exe[4096];
	const char *slash;
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)dc->pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n < 0 ? 0 : n] = 0;
	slash = strrchr(exe, '/');
	snprintf(dc->program, sizeof(dc->program), "%s", slash ? slash + 1 : "");
	path[strlen(path) - strlen("/exe")] = 0;
	dc->uid = stat(path, &st) == 0 ? st.st_uid : (uid_t)-1;
}

/* Takes found->fd, also on error. */
static int adopt(struct worker *w, pid_t pid, unsigned int filters, const struct found *found,
		 char *why, size_t why_size)
{
	struct daemon_conn *dc = calloc(1, sizeof(*dc));
	int err;

	if (!dc) {
		close(found->fd);
		return -ENOMEM;
	}
	*dc = (struct daemon_conn){ .worker = w,
				    .pid = pid,
				    .fd_in_pid = found->fd_in_pid,
				    .direction = found->direction,
				    .parked_fd = -1,
				    .stream_fd = -1,
				    .inode = found->inode,
				    .cookie = found->cookie,
				    .seen_us = loop_now_us(w->loop) };
	read_program(dc);
	err = find_holders(dc, why, why_size);
	if (err) {
		close(found->fd);
		free(dc);
		return err;
	}
	err = host_conn_add(w->adapter, found->fd, &daemon_program_ops, dc, &dc->conn);
	if (err) {
		exec_free(dc->holders);
		free(dc);
		return err;
	}
	exec_allow_filters(dc->holders, filters);
	host_conn_set_user(dc->conn, dc);
	dc->id = ++w->last_id;
	dc->next = w->conns;
	w->conns = dc;
	daemon_policy_judge(w, dc, found->bytes, found->rtt_us);
	daemon_policy_soon(w);
	return 0;
}

void daemon_conn_gone(struct daemon_conn *dc)
{
	struct daemon_conn **at = &dc->worker->conns;

	while (*at != dc)
		at = &(*at)->next;
	*at = dc->next;
	daemon_socket_gone(dc);
	exec_free(dc->holders);
	free(dc->snapshot);
	free(dc);
}

static int open_pid(pid_t pid, DIR **dir, int *pidfd, char *why, size_t why_size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	*dir = *pidfd < 0 ? NULL : opendir(path);
	if (*dir)
		return 0;
	snprintf(why, why_size, "process %d: %s", (int)pid, strerror(errno));
	if (*pidfd >= 0)
		close(*pidfd);
	return -errno;
}

int daemon_attach(struct worker *w, pid_t pid, unsigned int filters, char *why, size_t why_size)
{
	struct dirent *entry;
	int pidfd, found = 0, err;
	DIR *dir;

	err = open_pid(pid, &dir, &pidfd, why, why_size);
	if (err)
		return err;
	while ((entry = readdir(dir))) {
		struct found conn;

		if (entry->d_name[0] == '.' || !worth_a_look(w, dirfd(dir), entry->d_name) ||
		    !fetch_connection(pidfd, atoi(entry->d_name), &conn))
			continue;
		if (known(w, conn.inode)) {
			close(conn.fd);
			continue;
		}
		err = adopt(w, pid, filters, &conn, why, why_size);
		if (err)
			log_info("process %d, descriptor %d stays in the host: %s", (int)pid,
				 conn.fd_in_pid, why);
		else
			found++;
	}
	closedir(dir);
	close(pidfd);
	return found;
}

void daemon_conn_changed(void *worker, struct host_conn *conn, enum host_conn_state from,
			 enum host_conn_state to)
{
	struct worker *w = worker;

	struct daemon_conn *dc = host_conn_user(conn);

	daemon_socket_changed(w);
	if (dc && (to == HOST_CONN_OFFLOADED || from == HOST_CONN_UPLOADING))
		daemon_policy_moved(w, dc, to);
	if (to == HOST_CONN_HOST && dc && dc->leaving)
		daemon_sweep_soon(w);
	if (to == HOST_CONN_GONE && host_conn_info(conn)->closed_offloaded)
		w->closed_offloaded++;
}

void daemon_conns_free(struct worker *w)
{
	struct daemon_conn *next;

	for (struct daemon_conn *dc = w->conns; dc; dc = next) {
		next = dc->next;
		if (host_conn_remove(dc->conn) < 0)
			log_err("connection %u could not be let go", dc->id);
	}
}
