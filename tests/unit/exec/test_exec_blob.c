/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_exec_blob.c - the blob as built: it fits, it starts where the tracer thinks, and the linked
 * bytes do not depend on where they are: no relocation, no call or jump out of the section, no
 * instrumentation.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec/exec_blob.h"

static unsigned char *object;
static size_t object_len;

static void load_object(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		exit(2);
	}
	object = malloc(1 << 20);
	object_len = fread(object, 1, 1 << 20, f);
	fclose(f);
}

static const Elf64_Shdr *section(unsigned int i)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)object;

	return (const Elf64_Shdr *)(object + eh->e_shoff) + i;
}

static const char *section_name(const Elf64_Shdr *sh)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)object;

	return (const char *)object + section(eh->e_shstrndx)->sh_offset + sh->sh_name;
}

static void test_no_relocations(void **state)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)object;
	unsigned int i, code = 0, seen = 0;

	(void)state;
	assert_memory_equal(object, ELFMAG, SELFMAG);
	for (i = 0; i < eh->e_shnum; i++)
		if (strcmp(section_name(section(i)), "exec_blob") == 0) {
			code = i;
			seen++;
		}
	assert_int_equal(seen, 1);
	for (i = 0; i < eh->e_shnum; i++) {
		const Elf64_Shdr *sh = section(i);

		if ((sh->sh_type == SHT_RELA || sh->sh_type == SHT_REL) && sh->sh_info == code)
			fail_msg("section %s relocates the blob", section_name(sh));
	}
}

/* Nothing but the blob's own section may carry code or data. */
static void test_no_other_content(void **state)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)object;
	unsigned int i;

	(void)state;
	for (i = 0; i < eh->e_shnum; i++) {
		const Elf64_Shdr *sh = section(i);

		if ((sh->sh_flags & SHF_ALLOC) && sh->sh_size && sh->sh_type != SHT_NOTE &&
		    strcmp(section_name(sh), "exec_blob") != 0)
			fail_msg("section %s has %lu bytes", section_name(sh),
				 (unsigned long)sh->sh_size);
	}
}

static void test_no_undefined_symbols(void **state)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)object;
	unsigned int i;
	size_t k;

	(void)state;
	for (i = 0; i < eh->e_shnum; i++) {
		const Elf64_Shdr *sh = section(i);
		const Elf64_Sym *sym = (const Elf64_Sym *)(object + sh->sh_offset);

		if (sh->sh_type != SHT_SYMTAB)
			continue;
		for (k = 1; k < sh->sh_size / sizeof(*sym); k++)
			if (sym[k].st_shndx == SHN_UNDEF)
				fail_msg("undefined symbol %s",
					 (const char *)object + section(sh->sh_link)->sh_offset +
						 sym[k].st_name);
	}
}

static void test_layout(void **state)
{
	const unsigned char *entry = (const unsigned char *)(uintptr_t)exec_blob_main;

	(void)state;
	assert_true(__stop_exec_blob - __start_exec_blob <= EXEC_CODE_BYTES);
	/* The stubs reach their slots by a distance from the start of the section. */
	assert_ptr_equal(exec_blob_begin, __start_exec_blob);
	assert_ptr_equal(exec_blob_stubs, exec_blob_begin);
	assert_true(entry >= exec_blob_stubs_end && entry < __stop_exec_blob);
#if defined(__x86_64__)
	assert_int_equal(exec_blob_stubs_end - exec_blob_stubs, EXEC_NSLOTS * EXEC_SLOT_BYTES);
	assert_memory_equal(exec_blob_stubs + 3 * EXEC_SLOT_BYTES, "\x0f\x05", 2);
#endif
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_relocations),
		cmocka_unit_test(test_no_other_content),
		cmocka_unit_test(test_no_undefined_symbols),
		cmocka_unit_test(test_layout),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s exec_blob.o\n", argv[0]);
		return 2;
	}
	load_object(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
