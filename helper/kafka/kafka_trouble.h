/*
 * Why Kafka cannot be reached, in librdkafka's words: its calls fail with no more than
 * "timed out", and only its log says that a password or a certificate was refused.
 *
 * Any thread.
 */
#ifndef KP_KAFKA_TROUBLE_H
#define KP_KAFKA_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>

struct kafka_trouble;

struct kafka_trouble *kafka_trouble_new(void);
void kafka_trouble_free(struct kafka_trouble *t);

/* One line of the library's log about a connection that failed; not because its handle ends. */
void kafka_trouble_note(struct kafka_trouble *t, const char *line);

/* OpenSSL does not accept a broker's certificate, and this is its number for why. Returns
 * a static text of it. */
const char *kafka_trouble_certificate(struct kafka_trouble *t, int code);

/* The latest cause. False, and an empty text: there is no recent one. */
bool kafka_trouble_cause(struct kafka_trouble *t, char *out, size_t cap);

#endif
