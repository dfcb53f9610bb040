/* A pipe and a thread that reads it. Lines that are longer than ours are cut by the log. */
#include "deploy/launcher/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CLOSE_MS 1000

static void
say(struct words *w, const char *line)
{
	unsigned dropped;

	if (*line == '\0' || !log_rate_ok(&w->rate, &dropped))
		return;
	if (dropped)
		log_warn("%s lines dropped=%u: more than %d a second", w->name, dropped,
		    LOG_RATE_MAX);
	log_error("%s: %s", w->name, line);
}

/* Says all whole lines of the n bytes, and what fills the buffer. How much is left. */
static size_t
say_lines(struct words *w, char *buf, size_t n, size_t cap)
{
	char *line = buf, *end;

	buf[n] = '\0';
	while ((end = memchr(line, '\n', n - (size_t)(line - buf))) != NULL) {
		*end = '\0';
		say(w, line);
		line = end + 1;
	}
	n -= (size_t)(line - buf);
	memmove(buf, line, n + 1);
	if (n < cap)
		return n;
	say(w, buf);
	return 0;
}

static void *
run(void *arg)
{
	struct words *w = arg;
	char buf[2 * LOG_LINE_MAX + 1];
	size_t n = 0;
	ssize_t k;

	while ((k = read(w->out, buf + n, sizeof(buf) - 1 - n)) > 0 || (k < 0 && errno == EINTR))
		if (k > 0)
			n = say_lines(w, buf, n + (size_t)k, sizeof(buf) - 1);
	buf[n] = '\0';
	say(w, buf);
	eventfd_write(w->ended, 1);
	return NULL;
}

/* Takes what words_open() has made so far. */
static void
close_all(struct words *w)
{
	int *const fds[] = { &w->in, &w->out, &w->ended };

	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

enum kp_err
words_open(struct words *w, const char *name)
{
	int fd[2], rc;

	*w = (struct words){ .name = name, .in = -1, .out = -1, .ended = -1 };
	if (pipe2(fd, O_CLOEXEC) < 0)
		return KP_EIO;
	w->in = fd[1];
	w->out = fd[0];
	w->ended = eventfd(0, EFD_CLOEXEC);
	rc = w->ended < 0 ? errno : pthread_create(&w->thread, NULL, run, w);
	if (rc == 0)
		return KP_OK;
	close_all(w);
	errno = rc;
	return KP_EIO;
}

void
words_close(struct words *w)
{
	struct pollfd end = { w->ended, POLLIN, 0 };

	if (w->in < 0)
		return;
	close(w->in);
	w->in = -1;
	if (poll(&end, 1, CLOSE_MS) > 0) {
		pthread_join(w->thread, NULL);
		close_all(w);
	} else {
		/* Somebody has the other end still: the thread ends with the process. */
		pthread_detach(w->thread);
	}
}
