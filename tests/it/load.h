/*
 * Async and sync load from several connections, and the accounts of it: what was
 * sent, what each answer said, and whether Kafka and the dead letters bear it out.
 *
 * Each connection has a key of its own, so that its async messages have an order.
 * Values are "s<sequence>.c<connection>.m<number>".
 */
#ifndef KP_IT_LOAD_H
#define KP_IT_LOAD_H

#include "tests/it/mock.h"
#include "tests/it/peer.h"

#define LOAD_CONNS 6
#define LOAD_MAX 400			/* messages of one connection */
#define LOAD_TOPICS 2
#define LOAD_WAIT_MS 20000

enum fate {
	FATE_WAITING,
	FATE_KEPT,			/* answered 200 */
	FATE_REFUSED,			/* Kafka will never take it */
	FATE_NOT_SENT,			/* the answer says that Kafka cannot have it */
	FATE_UNKNOWN,
};

struct load_message {
	bool sync;
	enum fate fate;
	int32_t partition;		/* sync, kept: where it was said to be */
	int64_t offset;
	int64_t id;			/* async, kept */
	unsigned copies;
	size_t first_copy;		/* place among the records of its topic */
	bool there;			/* sync: it is where it was said to be */
	bool dead;
};

struct load_conn {
	struct peer peer;
	unsigned number, topic, window;
	struct load_message v[LOAD_MAX];
	unsigned n;
	unsigned answered;		/* all before this number */
	unsigned waiting;
	unsigned first;			/* number of the connection's first request */
	char key[16];
};

struct load {
	struct helper *helper;
	unsigned sequence;
	char topics[LOAD_TOPICS][32];
	struct load_conn conns[LOAD_CONNS];
	/* what it was, at the end */
	unsigned sent, kept, refused, unknown, dead, dup;
};

/* What an error that answered a produce tells of the message. */
enum fate load_fate(enum kp_err err, struct kp_slice text);

void load_open(struct load *l, struct helper *h, unsigned sequence, unsigned window);
/* After the helper was started again: what was not answered is unknown. */
void load_reopen(struct load *l);
void load_close(struct load *l);

/* Sends up to `n` messages where windows allow; every `sync_every`th is sync. Gives
 * how many were sent. */
unsigned load_send(struct load *l, unsigned n, unsigned sync_every);
/* Takes the answers that are there, or come within wait_ms. */
void load_take(struct load *l, int wait_ms);
/* Takes all that are still to come. */
void load_take_all(struct load *l);

/*
 * Waits until each message that was answered 200 is in Kafka or is a dead letter,
 * and checks: sync, 200: it is where the answer said; what was said not to be sent is
 * not there; nothing is there that nobody sent; no dead letter was answered with an
 * error, and each has a reason for good; first copies of async messages are in order.
 * And what else holds:
 *
 * CLEAN	no answer of Kafka was lost, so nothing is there twice, what was refused
 *		is not there, and no dead letter is there
 * MILD		no error was one for good, so nothing was refused and nothing is dead
 */
enum { LOAD_CLEAN = 1, LOAD_MILD = 2 };
void load_check(struct load *l, struct mock *m, unsigned what);

/* True when `text` is Kafka's word for an error that no repetition can help. */
bool load_permanent(const char *text);

#endif
