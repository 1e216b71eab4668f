/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of functions that packetdrill asks for, the lock, and the clock.
 *
 * The clock moves when packetdrill sleeps, waits for a packet or looks at the time. packetdrill has a
 * second thread for blocking calls: such a call registers what it attempts; the first thread makes
 * the attempt, again after every step of the world, and when it succeeded stands still until the call
 * has left (and, where packetdrill's own lock lets it, has read the time at which it did).
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "ndis/nrt_adapter.h"
#include "pd.h"
#include "target/tgt_driver.h"

enum {
	LOOK_US = 1,         /* looking at the clock takes that long */
	IDLE_LIMIT_S = 400,  /* no packet for that long: none will come */
	HAND_OVER_MS = 1000, /* real time that a call gets to leave */
	SETTLE_NS = 300000,
	EPOCH_S = 1000000000,
};

/* Layout of what packetdrill passes to be filled: pointers to functions in this order. */
struct pd_interface {
	void *user;
	void (*free)(void *user);
	int (*socket)(void *user, int domain, int type, int protocol);
	int (*bind)(void *user, int fd, const struct sockaddr *addr, socklen_t len);
	int (*listen)(void *user, int fd, int backlog);
	int (*accept)(void *user, int fd, struct sockaddr *addr, socklen_t *len);
	int (*connect)(void *user, int fd, const struct sockaddr *addr, socklen_t len);
	ssize_t (*read)(void *user, int fd, void *buf, size_t len);
	ssize_t (*readv)(void *user, int fd, const struct iovec *iov, int count);
	ssize_t (*recv)(void *user, int fd, void *buf, size_t len, int flags);
	ssize_t (*recvfrom)(void *user, int fd, void *buf, size_t len, int flags,
			    struct sockaddr *addr, socklen_t *addr_len);
	ssize_t (*recvmsg)(void *user, int fd, struct msghdr *msg, int flags);
	ssize_t (*write)(void *user, int fd, const void *buf, size_t len);
	ssize_t (*writev)(void *user, int fd, const struct iovec *iov, int count);
	ssize_t (*send)(void *user, int fd, const void *buf, size_t len, int flags);
	ssize_t (*sendto)(void *user, int fd, const void *buf, size_t len, int flags,
			  const struct sockaddr *addr, socklen_t addr_len);
	ssize_t (*sendmsg)(void *user, int fd, const struct msghdr *msg, int flags);
	int (*fcntl)(void *user, int fd, int cmd, ...);
	int (*ioctl)(void *user, int fd, unsigned long request, ...);
	int (*close)(void *user, int fd);
	int (*shutdown)(void *user, int fd, int how);
	int (*getsockopt)(void *user, int fd, int level, int name, void *value, socklen_t *len);
	int (*setsockopt)(void *user, int fd, int level, int name, const void *value,
			  socklen_t len);
	int (*poll)(void *user, struct pollfd *fds, unsigned long count, int timeout_ms);
	int (*netdev_send)(void *user, const void *packet, size_t len);
	int (*netdev_receive)(void *user, void *packet, size_t *len, long long *time_us);
	int (*usleep)(void *user, useconds_t us);
	int (*gettimeofday)(void *user, struct timeval *tv, struct timezone *tz);
	int (*epoll_create)(void *user, int size);
	int (*epoll_ctl)(void *user, int epfd, int op, int fd, struct epoll_event *event);
	int (*epoll_wait)(void *user, int epfd, struct epoll_event *events, int max,
			  int timeout_ms);
	int (*pipe)(void *user, int fds[2]);
	int (*splice)(void *user, int in, off_t *in_off, int out, off_t *out_off, size_t len,
		      unsigned int flags);
};

void packetdrill_interface_init(const char *flags, struct pd_interface *interface);

struct pd pd;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t first_thread;
static struct pd_waiter *waiters;
static unsigned int leaving; /* calls that may go on and have not left the library */
static bool unread;          /* one has left, and its thread has not looked at the clock */

static void own_one(struct nrt_adapter *adapter, void *ctx)
{
	(void)ctx;
	nrt_adapter_own(adapter);
}

/* Who holds the lock is the worker of all adapters. */
static void own(void)
{
	static pthread_t owner;
	static bool owned;

	if (owned && pthread_equal(owner, pthread_self()))
		return;
	owner = pthread_self();
	owned = true;
	nrt_for_each_adapter(own_one, NULL);
}

void pd_lock(void)
{
	pthread_mutex_lock(&lock);
	own();
}

void pd_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

uint64_t pd_now_us(void)
{
	return sim_world_now(pd.world);
}

void pd_fail(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "chimney-packetdrill: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (pd.world && getenv("PD_TRACE"))
		sim_trace_dump(&pd.world->trace, stderr, 100);
	exit(70);
}

static void check_world(void)
{
	if (pd.world->failed)
		pd_fail("the world failed: %s", pd.world->failure);
}

void pd_settle(void)
{
	sim_world_run_for(pd.world, 0);
	check_world();
}

/* Blocked calls. */

static bool in_first_thread(void)
{
	return pthread_equal(pthread_self(), first_thread);
}

/* Real time may pass here, virtual time does not. */
static void let_leave(bool read_too)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HAND_OVER_MS / 1000;
	while (leaving > 0 || (read_too && unread)) {
		if (pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT)
			break;
	}
	own();
}

static void look_at_waiters(void)
{
	struct pd_waiter *waiter;
	bool any = false;

	for (waiter = waiters; waiter; waiter = waiter->next) {
		if (waiter->go)
			continue;
		waiter->done = waiter->attempt(waiter->ctx);
		if (!waiter->done && pd_now_us() < waiter->until_us)
			continue;
		waiter->go = any = true;
		leaving++;
	}
	if (any) {
		pthread_cond_broadcast(&changed);
		let_leave(false);
	}
}

static bool stepped(void *ctx)
{
	unsigned int *steps = ctx;

	return (*steps)++ > 0;
}

/* To the next thing that is due, at most to end_us; then to those who wait. */
static void advance(uint64_t end_us)
{
	const struct pd_waiter *waiter;
	unsigned int steps = 0;

	for (waiter = waiters; waiter; waiter = waiter->next) {
		if (waiter->until_us < end_us)
			end_us = waiter->until_us;
	}
	if (end_us < pd_now_us())
		end_us = pd_now_us();
	if (!sim_world_run(pd.world, end_us, stepped, &steps) && !pd.world->failed)
		sim_world_run_for(pd.world, end_us - pd_now_us());
	check_world();
	look_at_waiters();
}

static void run_until(uint64_t end_us)
{
	while (pd_now_us() < end_us)
		advance(end_us);
	pd_settle();
}

static void unlink_waiter(struct pd_waiter *waiter)
{
	struct pd_waiter **at = &waiters;

	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
}

static bool wait_here(const struct pd_waiter *waiter)
{
	uint64_t limit_us = pd_now_us() + (uint64_t)IDLE_LIMIT_S * 1000000;

	if (waiter->until_us < limit_us)
		limit_us = waiter->until_us;
	while (!waiter->attempt(waiter->ctx)) {
		if (pd_now_us() >= limit_us)
			return false;
		advance(limit_us);
	}
	return true;
}

bool pd_wait(bool (*attempt)(void *ctx), void *ctx, int timeout_ms)
{
	struct pd_waiter waiter = { .attempt = attempt, .ctx = ctx, .until_us = UINT64_MAX };

	if (timeout_ms >= 0)
		waiter.until_us = pd_now_us() + (uint64_t)timeout_ms * 1000;
	if (in_first_thread())
		return wait_here(&waiter);
	waiter.next = waiters;
	waiters = &waiter;
	while (!waiter.go)
		pthread_cond_wait(&changed, &lock);
	own();
	unlink_waiter(&waiter);
	leaving--;
	unread = true;
	pthread_cond_broadcast(&changed);
	return waiter.done;
}

/* Time. */

static int do_usleep(void *user, useconds_t us)
{
	(void)user;
	/* A call that the other thread is about to make comes first. */
	nanosleep(&(struct timespec){ .tv_nsec = SETTLE_NS }, NULL);
	pd_lock();
	look_at_waiters();
	let_leave(true);
	run_until(pd_now_us() + us);
	let_leave(true);
	pd_unlock();
	return 0;
}

static int do_gettimeofday(void *user, struct timeval *tv, struct timezone *tz)
{
	(void)user;
	(void)tz;
	pd_lock();
	if (!in_first_thread() && unread) {
		unread = false;
		pthread_cond_broadcast(&changed);
	} else {
		look_at_waiters();
		run_until(pd_now_us() + LOOK_US);
	}
	tv->tv_sec = EPOCH_S + (time_t)(pd_now_us() / 1000000);
	tv->tv_usec = (suseconds_t)(pd_now_us() % 1000000);
	pd_unlock();
	return 0;
}

/* Packets. */

void pd_emit(const uint8_t *packet, size_t len)
{
	struct pd_packet *out = malloc(sizeof(*out) + len);

	if (!out)
		pd_fail("no memory");
	out->next = NULL;
	out->at_us = pd_now_us();
	out->len = len;
	memcpy(out->data, packet, len);
	*pd.out_tail = out;
	pd.out_tail = &out->next;
}

static int do_netdev_send(void *user, const void *packet, size_t len)
{
	struct pd_segment segment;

	(void)user;
	pd_lock();
	look_at_waiters();
	if (pd_segment_read(&segment, packet, len))
		pd_segment_arrived(&segment);
	else
		pd_wire_icmp(packet, len);
	pd_settle();
	look_at_waiters();
	pd_unlock();
	return 0;
}

/* With nothing to come for a long time packetdrill gets an empty packet, which it calls an error. */
static int do_netdev_receive(void *user, void *packet, size_t *len, long long *time_us)
{
	uint64_t end_us;
	struct pd_packet *out;

	(void)user;
	pd_lock();
	look_at_waiters();
	end_us = pd_now_us() + (uint64_t)IDLE_LIMIT_S * 1000000;
	while (!pd.out && pd_now_us() < end_us)
		advance(end_us);
	out = pd.out;
	if (out) {
		pd.out = out->next;
		if (!pd.out)
			pd.out_tail = &pd.out;
		*len = out->len < *len ? out->len : *len;
		memcpy(packet, out->data, *len);
		*time_us = (long long)EPOCH_S * 1000000 + (long long)out->at_us;
		free(out);
	} else {
		*len = 0;
	}
	pd_unlock();
	return 0;
}

/* Settings of this network namespace, which the scripts set with sysctl as they do for a kernel. */
long pd_sysctl(const char *name, unsigned int n, long otherwise)
{
	char path[128], line[128], *at = line, *end;
	FILE *file;
	long value = otherwise;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	file = fopen(path, "re");
	if (!file)
		return otherwise;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	do {
		value = strtol(at, &end, 0);
		if (end == at)
			return otherwise;
		at = end;
	} while (n-- > 0);
	return value;
}

/* Beginning and end. */

static void report(void)
{
	const char *path = getenv("PD_REPORT");
	FILE *file = path && *path ? fopen(path, "we") : NULL;

	if (!file)
		return;
	fprintf(file,
		"{\"offloads\": %u, \"uploads\": %u, \"segments_in\": %llu, "
		"\"segments_out\": %llu, \"handshake_in\": %llu, \"handshake_out\": %llu, "
		"\"other_in\": %llu, \"after_end\": %llu, \"kernel_segments\": %llu, "
		"\"starts_swallowed\": %u}\n",
		pd.counts.offloads, pd.counts.uploads, (unsigned long long)pd.counts.segments_in,
		(unsigned long long)pd.counts.segments_out,
		(unsigned long long)pd.counts.handshake_in,
		(unsigned long long)pd.counts.handshake_out, (unsigned long long)pd.counts.other_in,
		(unsigned long long)pd.counts.after_end,
		(unsigned long long)pd.counts.kernel_segments, pd.counts.starts_swallowed);
	fclose(file);
}

static void do_free(void *user)
{
	unsigned int i;

	(void)user;
	pd_lock();
	for (i = 0; i < pd.world->conn_count; i++)
		sim_conn_abandon(&pd.world->conns[i]);
	sim_world_run_for(pd.world, 1000000);
	check_world();
	if (!sim_conns_at_rest(pd.world))
		pd_fail("a connection did not come to its end");
	if (nic_sim_oversize(pd.world->bindings[SIM_TARGET].nic) > 0)
		pd_fail("a frame was larger than the device takes");
	if (sim_world_destroy(pd.world) != 0)
		pd_fail("a driver kept something that it should have given back");
	pd.world = NULL;
	pd_unlock();
}

static void make_world(void)
{
	struct sim_config config;
	const char *seed = getenv("PD_SEED");

	sim_config_default(&config, seed ? strtoull(seed, NULL, 0) : 1);
	memset(&config.up, 0, sizeof(config.up));
	memset(&config.down, 0, sizeof(config.down));
	config.rx_hold_us = 0;
	config.gro = false;
	config.conns = PD_CONNS;
	config.check_every = 1;
	config.quick_acks = TGT_QUICK_ACKS;
	config.echo = getenv("PD_TRACE") ? stderr : NULL;
	config.pcap_path = getenv("PD_PCAP");
	if (sim_world_create(&pd.world, &config) != 0)
		pd_fail("no world");
	pd_wire_attach();
}

void packetdrill_interface_init(const char *flags, struct pd_interface *interface)
{
	(void)flags;
	first_thread = pthread_self();
	pd.out_tail = &pd.out;
	pd.next_port = 40000;
	pd.next_iss = 0x10000000;
	make_world();
	atexit(report);
	*interface = (struct pd_interface){
		.free = do_free,
		.socket = pd_call_socket,
		.bind = pd_call_bind,
		.listen = pd_call_listen,
		.accept = pd_call_accept,
		.connect = pd_call_connect,
		.read = pd_call_read,
		.readv = pd_call_readv,
		.recv = pd_call_recv,
		.recvfrom = pd_call_recvfrom,
		.recvmsg = pd_call_recvmsg,
		.write = pd_call_write,
		.writev = pd_call_writev,
		.send = pd_call_send,
		.sendto = pd_call_sendto,
		.sendmsg = pd_call_sendmsg,
		.fcntl = pd_call_fcntl,
		.ioctl = pd_call_ioctl,
		.close = pd_call_close,
		.shutdown = pd_call_shutdown,
		.getsockopt = pd_call_getsockopt,
		.setsockopt = pd_call_setsockopt,
		.poll = pd_call_poll,
		.netdev_send = do_netdev_send,
		.netdev_receive = do_netdev_receive,
		.usleep = do_usleep,
		.gettimeofday = do_gettimeofday,
		.epoll_create = pd_call_epoll_create,
		.epoll_ctl = pd_call_epoll_ctl,
		.epoll_wait = pd_call_epoll_wait,
		.pipe = pd_call_pipe,
		.splice = pd_call_splice,
	};
}

/*
 * packetdrill has three calls that do not always go through its table; with this library preloaded
 * they reach us all the same. Descriptors that are not ours go to the kernel.
 */
int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	if (pd_sock_of(fd))
		return pd_call_getsockopt(NULL, fd, level, name, value, len);
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

int close(int fd)
{
	if (pd_sock_of(fd))
		return pd_call_close(NULL, fd);
	return (int)syscall(SYS_close, fd);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t len)
{
	if (pd_sock_of(out))
		return pd_sendfile(out, in, offset, len);
	return syscall(SYS_sendfile, out, in, offset, len);
}
