/*
 * What the files of `soak` share: see soak.c. One thread, no locks. Each of them ends the process
 * when it cannot go on: a test is waiting for it.
 */
#ifndef KP_E2E_SOAK_H
#define KP_E2E_SOAK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/e2e/lib/soak_http.h"

#define TOPICS_MAX 1000
#define ASKERS_MAX 64			/* of one kind */
#define SECOND 1000000			/* in us */

enum kind { ASYNC, QUIET, SYNC, CONSUME, ACK, OFFSETS, SET, WHO, STATUS, RECEIPT, UNKNOWN,
	STRANGER, PASSER, KINDS };

/* One that asks at a pace. */
struct asker {
	struct conn c;			/* first */
	enum kind kind;
	int topic;
	uint32_t seq;
	bool posts;			/* to a name that is not there */
};

struct kind_of {
	const char *name;
	double rate;			/* a second */
	int askers;
	void (*ask)(struct asker *);
};

struct soak {
	const char *run;
	int port, topics, busy, groups;
	int64_t work_us, rest_us;
	int64_t began_us;		/* 0: not all groups have joined */
	struct kind_of *kinds;
	struct asker *asker[KINDS];
};

extern struct soak soak;
extern volatile sig_atomic_t ending, away;

/* ---- soak_asks.c: what is asked at a pace ---- */

void asks_init(void);
/* "KIND=PER_SECOND" */
bool asks_pace(const char *text);
void asks_begin(int64_t now_us);
/* Asks what is due. */
void asks_run(int64_t now_us);
void asks_check(int64_t now_us);
bool asks_out(void);
/* The group that consumes a topic. */
void asks_group(char *name, size_t n, int topic);

/* ---- soak_readers.c: a consumer for each topic ---- */

void readers_init(void);
bool readers_joined(void);
void readers_run(int64_t now_us);
void readers_check(int64_t now_us);

/* ---- soak_books.c: each message by its number, each answer by its status ---- */

enum book { BOOK_ACCEPTED = 1, BOOK_REFUSED = 2, BOOK_SEEN = 4 };

/* Of a message that is about to be sent. */
uint32_t books_add(int topic);
void books_note(int topic, uint32_t seq, enum book book);
/* A message of a topic was consumed: its value as in the answer, base64, or NULL. */
void books_consumed(int topic, const char *value);
void books_answer(enum kind kind, const struct conn *c, int status);
void books_missed(void);
/* True when all that was accepted was consumed, or does not come. */
bool books_done(int64_t now_us);
void books_tell(int64_t now_us);
void books_tell_end(void);

#endif
