/* Whatever is logged is one line of printable characters, no longer than the limit. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/fuzz/fuzz.h"

/* Bytes of the character at p: printable ASCII, or valid UTF-8 from U+00A0 on. */
static size_t
printable(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 :
	    p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c;

	if (len == 1)
		return p[0] >= 0x20 && p[0] < 0x7f;
	if (len == 0 || len > n)
		return 0;
	c = p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 63u);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t line[2 * LOG_LINE_MAX];
	static int file = -1, terminal = -1;
	char *text = fuzz_string(data, size);
	ssize_t n;

	if (file < 0) {
		file = memfd_create("log", MFD_CLOEXEC);
		terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		log_init("fuzz", LOG_DEBUG);
	}
	PROMISE(ftruncate(file, 0) == 0);
	lseek(file, 0, SEEK_SET);
	dup2(file, STDERR_FILENO);
	log_debug("event key=%s: cause", text);
	PROMISE(log_flush(5000));
	dup2(terminal, STDERR_FILENO);
	n = pread(file, line, sizeof(line), 0);
	PROMISE(n > 0 && n <= LOG_LINE_MAX && line[n - 1] == '\n');
	for (size_t i = 0, len; i < (size_t)n - 1; i += len) {
		len = printable(line + i, (size_t)n - 1 - i);
		PROMISE(len > 0);
	}
	free(text);
	return 0;
}
