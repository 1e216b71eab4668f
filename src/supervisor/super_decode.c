/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a notified call asks, out of its number and arguments alone.
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "supervisor/super_int.h"

static struct super_question flagged(const char *call, uint64_t flags, uint32_t wanted)
{
	return (struct super_question){ .call = call, .name = (int)((uint32_t)flags & wanted) };
}

static struct super_question name_of(const char *call, const __u64 *a)
{
	return (struct super_question){
		.call = call, .value = SUPER_NAME, .at = a[1], .length_at = a[2]
	};
}

bool super_decode(const struct seccomp_data *data, struct super_question *q)
{
	const __u64 *a = data->args;

	switch (data->nr) {
	case SYS_getsockname:
		*q = name_of("getsockname", a);
		break;
	case SYS_getpeername:
		*q = name_of("getpeername", a);
		break;
	case SYS_getsockopt:
		*q = (struct super_question){ "getsockopt", (int)a[1], (int)a[2], SUPER_GET,
					      a[3],         a[4],      0 };
		break;
	case SYS_setsockopt:
		*q = (struct super_question){ "setsockopt", (int)a[1], (int)a[2],     SUPER_SET,
					      a[3],         0,         (uint32_t)a[4] };
		break;
	case SYS_ioctl:
		*q = (struct super_question){ "ioctl", 0, (int)(uint32_t)a[1], SUPER_INT,
					      a[2],    0, sizeof(int) };
		break;
	case SYS_connect:
		*q =
			(struct super_question){ "connect",     0, 0, SUPER_FAMILY, a[1], 0,
						 (uint32_t)a[2] };
		break;
	case SYS_shutdown:
		*q = (struct super_question){ .call = "shutdown", .name = (int)a[1] };
		break;
	case SYS_sendto:
	case SYS_sendmmsg:
		*q = flagged("send", a[3], SUPER_SEND_FLAGS);
		break;
	case SYS_sendmsg:
		*q = flagged("send", a[2], SUPER_SEND_FLAGS);
		break;
	case SYS_recvfrom:
	case SYS_recvmmsg:
		*q = flagged("recv", a[3], SUPER_RECV_FLAGS);
		break;
	case SYS_recvmsg:
		*q = flagged("recv", a[2], SUPER_RECV_FLAGS);
		break;
	default:
		return false;
	}
	return true;
}
