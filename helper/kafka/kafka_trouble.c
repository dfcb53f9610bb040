/* The latest line, without what only a developer of the library could use. */
#include "helper/kafka/kafka_trouble.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

/* librdkafka says the same cause again every 30 s at most, when it fails again. */
#define RECENT_MS 70000
/* Why a certificate was not accepted comes right before the line that it was not. */
#define REASON_MS 1000

struct kafka_trouble {
	pthread_mutex_t lock;
	int64_t at_ms;			/* 0: none yet */
	char text[400];
	int64_t reason_ms;
	const char *reason;
};

#define OUR_CERTIFICATE "; the broker does not accept our certificate, or expects one: see " \
    "ssl.certificate.location"
#define OLD_SCRAM "; with Kafka 4 and later SCRAM takes librdkafka 2.6.1, and this one is older"

/* What an operator can do about it, in place of librdkafka's words or after them. */
static const struct {
	const char *has;
	enum { INSTEAD, AFTER, REASON } how;
	const char *say;
	int before;			/* version of librdkafka, 0: any */
} hints[] = {
	{ "Disconnected while requesting ApiVersion", INSTEAD,
	    "the broker hung up when it was asked for its version: one before 0.10 needs "
	    "--kafkaVersion, one that expects TLS or SASL -X security.protocol", 0 },
	{ "ApiVersionRequest failed: Local: Timed out", INSTEAD,
	    "the broker does not answer when it is asked for its version: one before 0.10 needs "
	    "--kafkaVersion", 0 },
	{ "certificate verify failed", REASON,
	    "SSL handshake failed: certificate verify failed: ", 0 },
	{ "alert bad certificate", AFTER, OUR_CERTIFICATE, 0 },
	{ "alert certificate", AFTER, OUR_CERTIFICATE, 0 },
	{ "alert unknown ca", AFTER, OUR_CERTIFICATE, 0 },
	/* It sends a nonce that is not RFC 5802's, and since 4.0 Kafka looks. */
	{ "invalid credentials with SASL mechanism SCRAM", AFTER, OLD_SCRAM, 0x020601ff },
	{ NULL, AFTER, "", 0 },
};

/* OpenSSL's numbers (x509_vfy.h): this side does not link it. */
static const struct {
	int code;
	const char *say;
} reasons[] = {
	{ 2, "its issuer is not known: see ssl.ca.location" },
	{ 9, "it is not valid yet" },
	{ 10, "it has expired" },
	{ 18, "it is self-signed, and not in ssl.ca.location" },
	{ 19, "its authority is not known: see ssl.ca.location" },
	{ 20, "its issuer is not known: see ssl.ca.location" },
	{ 21, "its issuer is not known: see ssl.ca.location" },
	{ 23, "it is revoked" },
	{ 62, "it is for another host name" },
	{ 64, "it is for another address" },
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
static const char *
split(const char *line, const char **host, int *n)
{
	const char *at = line[0] == '[' ? strstr(line, "]: ") : NULL, *cause;

	line = at ? at + 3 : line;
	cause = strstr(line, ": ");
	if (cause == NULL)
		return NULL;
	at = strstr(line, "://");
	*host = at && at < cause ? at + 3 : line;
	*n = (int)strcspn(*host, "/");
	if (*n > cause - *host)
		*n = (int)(cause - *host);
	return cause + 2;
}

static void
put_text(struct kafka_trouble *t, const char *line)
{
	const char *host = "", *cause, *reason = "see ssl.ca.location";
	int n = 0, i = 0, words;

	cause = split(line, &host, &n);
	if (cause == NULL) {
		snprintf(t->text, sizeof(t->text), "%s", line);
		return;
	}
	words = (int)(strstr(cause, " (after ") ? strstr(cause, " (after ") - cause :
	    (long)strlen(cause));
	while (hints[i].has && (strstr(cause, hints[i].has) == NULL ||
	    (hints[i].before && rd_kafka_version() >= hints[i].before)))
		i++;
	if (t->reason && t->at_ms - t->reason_ms < REASON_MS)
		reason = t->reason;
	snprintf(t->text, sizeof(t->text), "%.*s: %.*s%s%s", n, host,
	    hints[i].how == AFTER ? words : 0, cause, hints[i].say,
	    hints[i].how == REASON ? reason : "");
}

/* What is cut off because a handle ends is our own doing, and would hide the cause. */
static bool
is_our_own(const char *line)
{
	return strstr(line, rd_kafka_err2str(RD_KAFKA_RESP_ERR__DESTROY)) != NULL;
}

void
kafka_trouble_note(struct kafka_trouble *t, const char *line)
{
	if (is_our_own(line))
		return;
	pthread_mutex_lock(&t->lock);
	t->at_ms = clock_mono_ms();
	put_text(t, line);
	pthread_mutex_unlock(&t->lock);
}

const char *
kafka_trouble_certificate(struct kafka_trouble *t, int code)
{
	const char *say = "OpenSSL does not accept it";

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].code == code)
			say = reasons[i].say;
	pthread_mutex_lock(&t->lock);
	t->reason_ms = clock_mono_ms();
	t->reason = say;
	pthread_mutex_unlock(&t->lock);
	return say;
}

bool
kafka_trouble_cause(struct kafka_trouble *t, char *out, size_t cap)
{
	bool recent;

	pthread_mutex_lock(&t->lock);
	recent = t->at_ms && clock_mono_ms() - t->at_ms < RECENT_MS;
	snprintf(out, cap, "%s", recent ? t->text : "");
	pthread_mutex_unlock(&t->lock);
	return recent;
}
