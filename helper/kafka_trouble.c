/* The latest line, without what only a developer of the library could use. */
#include "helper/kafka_trouble.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sock.h"

/* librdkafka says the same cause again every 30 s at most, when it fails again. */
#define RECENT_MS 70000

struct kafka_trouble {
	pthread_mutex_t lock;
	int64_t at_ms;			/* 0: none yet */
	char text[400];
};

/* Lines that have a better explanation than librdkafka's. */
static const struct {
	const char *has;
	const char *say;
} hints[] = {
	{ "Disconnected while requesting ApiVersion",
	    "the broker hung up when it was asked for its version: one before 0.10 needs "
	    "--kafkaVersion, one that expects TLS or SASL -X security.protocol" },
	{ "ApiVersionRequest failed: Local: Timed out",
	    "the broker does not answer when it is asked for its version: one before 0.10 needs "
	    "--kafkaVersion" },
};

struct kafka_trouble *
kafka_trouble_new(void)
{
	struct kafka_trouble *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
kafka_trouble_free(struct kafka_trouble *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* "[thrd:…]: sasl_ssl://host:port/bootstrap: cause (after 3ms in state S)": the address
 * and the cause. The protocol is not there when it is none. */
static void
shorten(const char *line, char *out, size_t cap)
{
	const char *at = line[0] == '[' ? strstr(line, "]: ") : NULL, *cause, *end;
	size_t n;

	line = at ? at + 3 : line;
	cause = strstr(line, ": ");
	if (cause == NULL) {
		snprintf(out, cap, "%s", line);
		return;
	}
	at = strstr(line, "://");
	line = at && at < cause ? at + 3 : line;
	n = strcspn(line, "/");
	if (n > (size_t)(cause - line))
		n = (size_t)(cause - line);
	cause += 2;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strstr(cause, hints[i].has)) {
			snprintf(out, cap, "%.*s: %s", (int)n, line, hints[i].say);
			return;
		}
	end = strstr(cause, " (after ");
	snprintf(out, cap, "%.*s: %.*s", (int)n, line,
	    (int)(end ? end - cause : (ptrdiff_t)strlen(cause)), cause);
}

void
kafka_trouble_note(struct kafka_trouble *t, const char *line)
{
	pthread_mutex_lock(&t->lock);
	t->at_ms = sock_now_ms();
	shorten(line, t->text, sizeof(t->text));
	pthread_mutex_unlock(&t->lock);
}

bool
kafka_trouble_cause(struct kafka_trouble *t, char *out, size_t cap)
{
	bool recent;

	pthread_mutex_lock(&t->lock);
	recent = t->at_ms && sock_now_ms() - t->at_ms < RECENT_MS;
	snprintf(out, cap, "%s", recent ? t->text : "");
	pthread_mutex_unlock(&t->lock);
	return recent;
}
