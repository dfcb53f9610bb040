/*
 * Runs a fuzz target where there is no libFuzzer:
 *
 *	fuzz_common_wire [-d DICT] [-s SECONDS] [-o CRASH] FILE-OR-FOLDER...
 *
 * All the files first, as they are; then, for SECONDS, mutations of them, drawn from
 * KP_SEED: bits, bytes, numbers, words of the dictionary, pieces of other files. It knows
 * nothing of coverage: what libFuzzer has found with it is among the files.
 *
 * An input that crashes, leaks or takes longer than INPUT_S is written to CRASH; run the
 * program with that file to see it again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_S 5
#define INPUT_MAX (64u * 1024)
#define FILES_MAX 4096
#define WORDS_MAX 256
/* A target that keeps memory for later looks like a leak at first. */
#define LEAK_LOOKS 200

/* Of gcc's sanitizer, which has no header for it. */
size_t __sanitizer_get_current_allocated_bytes(void);

struct bytes {
	uint8_t *p;
	size_t n;
};

static struct bytes files[FILES_MAX], words[WORDS_MAX];
static size_t n_files, n_words;
static struct bytes now;		/* the input being run */
static const char *crash_path = "crash";
static const char *program;
static volatile sig_atomic_t dying;
static int report = STDERR_FILENO;

/* ---- the end ---- */

static void
keep_input(void)
{
	int fd;

	if (dying++)
		return;
	fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, now.p, now.n) != (ssize_t)now.n)
		dprintf(report, "cannot write %s\n", crash_path);
	else
		dprintf(report, "the input (%zu bytes) is in %s; again: %s %s\n", now.n,
		    crash_path, program, crash_path);
}

static void
on_signal(int sig)
{
	if (sig == SIGALRM)
		dprintf(report, "an input takes more than %d s\n", INPUT_S);
	keep_input();
	_exit(1);
}

/* What the code under test logs about each input is nobody's concern, unless one input
 * is looked at. */
static void
be_quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	report = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
	if (null < 0 || report < 0)
		exit(2);
	__sanitizer_set_report_fd((void *)(intptr_t)report);
	dup2(null, STDERR_FILENO);
	close(null);
}

static void
watch(void)
{
	static const int signals[] = { SIGABRT, SIGALRM, SIGTERM, SIGINT };

	__sanitizer_set_death_callback(keep_input);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], on_signal);
}

/* ---- one input ---- */

static void
run(const uint8_t *p, size_t n)
{
	static int looks;
	size_t before = __sanitizer_get_current_allocated_bytes();

	now = (struct bytes){ (uint8_t *)(uintptr_t)p, n };
	alarm(INPUT_S);
	LLVMFuzzerTestOneInput(p, n);
	alarm(0);
	if (__sanitizer_get_current_allocated_bytes() <= before || looks >= LEAK_LOOKS)
		return;
	looks++;
	if (__lsan_do_recoverable_leak_check()) {
		keep_input();
		_exit(1);
	}
}

/* ---- files and words ---- */

static void
read_file(const char *path)
{
	struct bytes b = { malloc(INPUT_MAX), 0 };
	FILE *f = fopen(path, "rb");

	if (f == NULL || b.p == NULL || n_files == FILES_MAX) {
		perror(path);
		exit(2);
	}
	b.n = fread(b.p, 1, INPUT_MAX, f);
	fclose(f);
	b.p = realloc(b.p, b.n ? b.n : 1);
	files[n_files++] = b;
}

static int
not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* By name, so that a seed gives the same run everywhere. */
static void
read_files(const char *path)
{
	struct dirent **v;
	struct stat st;
	int n;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		read_file(path);
		return;
	}
	n = scandir(path, &v, not_hidden, alphasort);
	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, v[i]->d_name);
		read_file(name);
		free(v[i]);
	}
	if (n >= 0)
		free(v);
}

/* A line "word" of libFuzzer's form, with \xNN, \\ and \" in it. */
static void
read_word(const char *line)
{
	const char *p = strchr(line, '"');
	struct bytes w = { malloc(strlen(line) + 1), 0 };
	unsigned v;

	for (p = p ? p + 1 : ""; *p && *p != '"' && w.p; p++) {
		if (*p == '\\' && sscanf(p, "\\x%2x", &v) == 1) {
			w.p[w.n++] = (uint8_t)v;
			p += 3;
		} else {
			p += *p == '\\' && p[1];
			w.p[w.n++] = (uint8_t)*p;
		}
	}
	if (w.n && n_words < WORDS_MAX)
		words[n_words++] = w;
	else
		free(w.p);
}

static void
read_words(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	if (f == NULL) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), f))
		if (line[0] != '#')
			read_word(line);
	fclose(f);
}

/* ---- mutation ---- */

static uint64_t random_state;

/* splitmix64 */
static uint64_t
draw(uint64_t below)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return below ? z % below : 0;
}

/* Replaces `cut` bytes at `at` by the n bytes of p. */
static void
replace(struct bytes *b, size_t at, size_t cut, const uint8_t *p, size_t n)
{
	if (b->n - cut + n > INPUT_MAX)
		return;
	memmove(b->p + at + n, b->p + at + cut, b->n - at - cut);
	if (n)
		memcpy(b->p + at, p, n);
	b->n += n - cut;
}

static void
put_number(struct bytes *b)
{
	static const uint64_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX, 249, 250, 1024,
		1025, 10000, 10001 };
	uint64_t v = odd[draw(sizeof(odd) / sizeof(odd[0]))] + draw(3) - 1;
	size_t n = (size_t)1 << draw(4);
	uint8_t be[8];

	if (b->n < n)
		return;
	for (size_t i = n; i-- > 0; v >>= 8)
		be[i] = (uint8_t)v;
	memcpy(b->p + draw(b->n - n + 1), be, n);
}

static void
mutate(struct bytes *b)
{
	size_t at = draw(b->n + 1), left = b->n - at;
	size_t n = draw((left < 32 ? left : 32) + 1);
	uint8_t some[32];
	const struct bytes *other = &files[draw(n_files)];
	size_t from = draw(other->n + 1);

	for (size_t i = 0; i < sizeof(some); i++)
		some[i] = (uint8_t)draw(256);
	switch (draw(9)) {
	case 0:
		if (left)
			b->p[at] ^= (uint8_t)(1 << draw(8));
		break;
	case 1:
		if (left)
			b->p[at] = some[0];
		break;
	case 2:
		replace(b, at, n, NULL, 0);
		break;
	case 3:
		replace(b, at, 0, some, draw(sizeof(some)) + 1);
		break;
	case 4:
		put_number(b);
		break;
	case 5:
		if (n_words) {
			const struct bytes *w = &words[draw(n_words)];

			replace(b, at, draw(2) ? n : 0, w->p, w->n);
		}
		break;
	case 6:				/* once more what is there */
		memcpy(some, b->p + at, n);
		replace(b, draw(b->n + 1), 0, some, n);
		break;
	case 7:				/* goes on as another file does */
		replace(b, at, left, other->p + from, other->n - from);
		break;
	default:			/* with a piece of another file */
		replace(b, at, n, other->p + from, draw(other->n - from + 1));
		break;
	}
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t
fuzz(double until)
{
	struct bytes b = { malloc(INPUT_MAX), 0 };
	uint64_t runs = 0;

	for (; seconds() < until; runs++) {
		const struct bytes *from = &files[draw(n_files)];
		uint8_t *exact;

		memcpy(b.p, from->p, from->n);
		b.n = from->n;
		for (size_t i = (size_t)1 << draw(5); i > 0; i--)
			mutate(&b);
		exact = fuzz_copy(b.p, b.n);
		run(exact, b.n);
		free(exact);
	}
	free(b.p);
	return runs;
}

int
main(int argc, char **argv)
{
	double start = seconds(), for_s = 0;
	const char *seed = getenv("KP_SEED"), *name;
	uint64_t runs = 0;
	int c;

	while ((c = getopt(argc, argv, "d:s:o:")) != -1) {
		if (c == 'd')
			read_words(optarg);
		else if (c == 's')
			for_s = strtod(optarg, NULL);
		else if (c == 'o')
			crash_path = optarg;
		else
			return 2;
	}
	program = argv[0];
	name = strrchr(program, '/');
	while (optind < argc)
		read_files(argv[optind++]);
	random_state = seed ? strtoull(seed, NULL, 10) :
	    (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
	if (n_files == 0) {
		fprintf(stderr, "%s: no file to begin with\n", program);
		return 2;
	}
	watch();
	if (n_files > 1)
		be_quiet();
	c = (int)(random_state & INT32_MAX);
	random_state = (uint64_t)c;
	for (size_t i = 0; i < n_files; i++)
		run(files[i].p, files[i].n);
	if (for_s > 0)
		runs = fuzz(start + for_s);
	printf("%s: corpus=%zu runs=%llu seconds=%.1f seed=%d\n", name ? name + 1 : program,
	    n_files, (unsigned long long)(n_files + runs), seconds() - start, c);
	return 0;
}
