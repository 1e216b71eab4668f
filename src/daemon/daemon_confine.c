/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the worker gives up once everything is open. docs/security.md says what each privilege that
 * stays is for; the filter is a list of what this process never does, so that code of somebody else
 * in it (a hostile peer's, say) cannot turn a bug into a program, a module or another user.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_int.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "which system calls does this machine have?"
#endif

#define BIT(cap) (1ull << (cap))

static const uint64_t kept_caps = BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) |
				  BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_PTRACE) |
				  BIT(CAP_DAC_OVERRIDE);

static const int refused_calls[] = {
	SYS_execve,          SYS_execveat,      SYS_mount,         SYS_umount2,
	SYS_pivot_root,      SYS_chroot,        SYS_setns,         SYS_unshare,
	SYS_init_module,     SYS_finit_module,  SYS_delete_module, SYS_kexec_load,
	SYS_reboot,          SYS_swapon,        SYS_swapoff,       SYS_bpf,
	SYS_perf_event_open, SYS_userfaultfd,   SYS_keyctl,        SYS_add_key,
	SYS_request_key,     SYS_setuid,        SYS_setgid,        SYS_setreuid,
	SYS_setregid,        SYS_setresuid,     SYS_setresgid,     SYS_setgroups,
	SYS_settimeofday,    SYS_clock_settime, SYS_sethostname,   SYS_acct,
	SYS_mknodat,         SYS_quotactl,
};
#define REFUSED (sizeof(refused_calls) / sizeof(refused_calls[0]))

static int drop_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	/* CAP_SETPCAP goes with the rest, so the bounding set is first. */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(kept_caps & BIT(cap)))
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* not ours to drop: not ours */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(kept_caps >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int filter_calls(void)
{
	const struct sock_filter refuse =
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA));
	struct sock_filter code[5 + 2 * REFUSED] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
		refuse, /* calls of another architecture have other numbers */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = { .filter = code };
	unsigned short n = 4;

	for (size_t i = 0; i < REFUSED; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (uint32_t)refused_calls[i], 0, 1);
		code[n++] = refuse;
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = n;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0 ? -errno : 0;
}

int daemon_confine(void)
{
	int err = drop_caps();

	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
	if (err) {
		log_err("privileges cannot be given up: %s", strerror(-err));
		return err;
	}
	err = filter_calls();
	if (err == -EINVAL || err == -ENOSYS) {
		log_warn("this kernel has no system call filter: the worker runs without one");
		err = 0;
	}
	return err;
}
