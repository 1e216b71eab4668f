/* SPDX-License-Identifier: BSD-2-Clause */
/* A shared object without DriverEntry. */
int bad_no_entry(void);
int bad_no_entry(void)
{
	return 0;
}
