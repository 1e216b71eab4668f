/* SPDX-License-Identifier: BSD-2-Clause */
/* After daemon_confine() a process has the kept capabilities at most, and some calls fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/daemon_int.h"

enum { GOOD = 0, REFUSED = 1, CAPS = 2, CALLS = 3, FLAGS = 4, WORK = 5 };

static unsigned long long status_of(const char *field, int base)
{
	unsigned long long value = ~0ull;
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), base == 16 ? ":\t%llx" : ":\t%llu", &value);
	if (f)
		fclose(f);
	return value;
}

static int confined(void)
{
	const unsigned long long kept = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW |
					1ull << CAP_NET_BIND_SERVICE | 1ull << CAP_SYS_PTRACE |
					1ull << CAP_DAC_OVERRIDE;
	unsigned long long before = status_of("CapPrm", 16);
	char *argv[] = { (char *)(uintptr_t) "/bin/true", NULL };
	int ends[2];

	if (daemon_confine())
		return REFUSED;
	if (status_of("CapEff", 16) != (before & kept) ||
	    status_of("CapPrm", 16) != (before & kept) || status_of("CapAmb", 16) != 0)
		return CAPS;
	if (status_of("NoNewPrivs", 10) != 1 || status_of("Seccomp", 10) != 2)
		return FLAGS;
	errno = 0;
	if (execv(argv[0], argv) != -1 || errno != EPERM)
		return CALLS;
	if (unshare(CLONE_NEWUSER) != -1 || errno != EPERM)
		return CALLS;
	if (mount("none", "/", "tmpfs", 0, NULL) != -1 || errno != EPERM)
		return CALLS;
	return pipe(ends) == 0 && write(ends[1], "x", 1) == 1 ? GOOD : WORK;
}

static void test_confined(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(confined());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
