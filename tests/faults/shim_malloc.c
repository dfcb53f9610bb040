/*
 * A library to be preloaded: memory that runs out. Once the program has called
 * shim_malloc_arm(), the allocation KP_MALLOC_FAIL=N (N+: and all that follow) of
 * the program itself or of SQLite fails; those of libuv and libc do not.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/faults/shim.h"

#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t each);
extern void *__libc_realloc(void *p, size_t n);
void shim_malloc_arm(void);

struct range {
	uintptr_t from, to;
};

static struct range ours[2];		/* the program, SQLite */
static atomic_bool armed;
static long turn;
static bool on;
static atomic_long passed;
static shim_mark_fn *mark;

static int
find_ranges(struct dl_phdr_info *info, size_t size, void *arg)
{
	int i = info->dlpi_name[0] == '\0' ? 0 : strstr(info->dlpi_name, "libsqlite3") ? 1 : -1;

	(void)size, (void)arg;
	for (int h = 0; i >= 0 && h < info->dlpi_phnum; h++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[h];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X))
			ours[i] = (struct range){ info->dlpi_addr + p->p_vaddr,
			    info->dlpi_addr + p->p_vaddr + p->p_memsz };
	}
	return 0;
}

EXPORT void
shim_malloc_arm(void)
{
	const char *text = getenv("KP_MALLOC_FAIL");

	if (text == NULL)
		return;
	dl_iterate_phdr(find_ranges, NULL);
	turn = strtol(text, NULL, 10);
	on = strchr(text, '+') != NULL;
	*(void **)&mark = dlsym(RTLD_DEFAULT, "shim_mark");
	armed = true;
}

static bool
fails(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	long now;

	if (!armed || !((at >= ours[0].from && at < ours[0].to) ||
	    (at >= ours[1].from && at < ours[1].to)))
		return false;
	now = atomic_fetch_add(&passed, 1) + 1;
	if (on ? now < turn : now != turn)
		return false;
	if (now == turn && mark)
		mark('M', now);
	errno = ENOMEM;
	return true;
}

/* ASan's, where it is there; libc's before anything can be looked up. */
#define NEXT(name, real)							\
	static __typeof__(name) *next;						\
	static bool looking;	/* before there are threads */			\
	if (next == NULL && !looking) {						\
		looking = true;							\
		next = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name);	\
		looking = false;						\
	}									\
	if (next == NULL)							\
		return real

EXPORT void *
malloc(size_t n)
{
	NEXT(malloc, __libc_malloc(n));
	return fails(__builtin_return_address(0)) ? NULL : next(n);
}

EXPORT void *
calloc(size_t n, size_t each)
{
	NEXT(calloc, __libc_calloc(n, each));
	return fails(__builtin_return_address(0)) ? NULL : next(n, each);
}

EXPORT void *
realloc(void *p, size_t n)
{
	NEXT(realloc, __libc_realloc(p, n));
	return fails(__builtin_return_address(0)) ? NULL : next(p, n);
}
