/*
 * Handles of librdkafka for questions, which forget.
 *
 * A handle keeps each name that it was ever asked for until it is destroyed, looks through
 * all of them for each question, and asks the brokers again, once a second, for each that
 * they do not know; a producer's so that they make it. So a handle in which names have
 * collected that nobody asks for any more is replaced, and destroyed once its last question
 * has ended, also one that nobody waits for any more (see kafka_admin_late.h).
 * So is one that gets no answers: it may be that only who comes anew is led to the brokers.
 *
 * Any thread but the loop's: a new handle takes some ms. Destroying has a thread of its own.
 */
#ifndef KP_KAFKA_ADMIN_HANDLES_H
#define KP_KAFKA_ADMIN_HANDLES_H

#include "common/names.h"
#include "helper/kafka/kafka_admin_late.h"
#include "helper/kafka/kafka.h"

enum handle_kind {
	HANDLE_LOOKS,		/* which topics exist: no name is too odd for it */
	HANDLE_CREATES,		/* the same; brokers may make what it asks for */
	HANDLE_ASKS,		/* of offsets and groups, about topics that exist: what
				 * can be read ends where an open transaction begins */
	HANDLE_MARKS,		/* of the ends of partitions, wherever that is: high watermarks */
	HANDLE_KINDS
};

struct handles;
struct handle {
	rd_kafka_t *rk;
	/* Private. */
	enum handle_kind kind;
	unsigned users;
	int64_t born_ms;
	unsigned peers;			/* their generation */
	struct names names;
	size_t n_unknown;
	bool lost;			/* no broker has answered it the last time */
	struct handle *next;		/* of those that were replaced */
};

/* Both must outlive it. NULL without memory. No handle is made yet. */
struct handles *handles_new(struct kafka *k, struct late *late);
/* From now on none is replaced or destroyed; `late` may end before handles_free(). Once. NULL
 * is allowed, here and below. */
void handles_stop(struct handles *s);
/* Nobody has a handle any more. */
void handles_free(struct handles *s);

/* To be given back. NULL: there is none, because librdkafka makes none (a line was logged),
 * or does not end those before it. */
struct handle *handle_take(struct handles *s, enum handle_kind kind);
void handle_give(struct handles *s, struct handle *h, rd_kafka_resp_err_t err);

/* Before each name is asked for. */
void handle_use(struct handles *s, struct handle *h, const char *name);
/* There is no such topic: the handle should forget it soon. */
void handle_unknown(struct handles *s, struct handle *h, const char *name);
/* Some name that it has been asked for already. False: it has none. */
bool handle_any(struct handles *s, struct handle *h, char *name, size_t cap);

#endif
