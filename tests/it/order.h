/*
 * One topic under async load over one connection, so that its messages are accepted in
 * the order in which they are sent; and the account of what became of them. On the
 * program's mock cluster.
 *
 * Each partition has a key of its own; values are "m<number>", by turns for each key.
 */
#ifndef KP_IT_ORDER_H
#define KP_IT_ORDER_H

#include "tests/it/mock.h"
#include "tests/it/peer.h"

#define ORDER_BROKERS 3
#define ORDER_KEYS 4
#define ORDER_MESSAGES 5000

enum order_fate { ORDER_WAITING, ORDER_KEPT, ORDER_REFUSED, ORDER_UNKNOWN };

struct order_message {
	enum order_fate fate;
	int64_t id;			/* kept */
	unsigned copies;
	bool dead;
};

struct order {
	struct helper *helper;
	struct peer peer;
	int64_t start_ms;
	char topic[16];
	unsigned partitions;		/* and keys; the leader of p is 1 + p % ORDER_BROKERS */
	char keys[ORDER_KEYS][8];
	struct order_message v[ORDER_MESSAGES];
	unsigned sent, waiting;
	unsigned errors;		/* that brokers were told to answer, and other faults */
	unsigned refusals;		/* those of them that are for good */
	/* what it was, at the end */
	unsigned lost, twice, overtaken, dead, refused, unknown;
	char example[64];		/* of what was overtaken */
};

/* A load at a pace, and what is done before every so many messages of it. */
struct order_plan {
	const char *what;
	unsigned partitions, messages, every;
	void (*act)(struct order *o, unsigned turn);
	bool once;			/* no answer is lost, so nothing is there twice */
	bool fresh;			/* the load begins with the first message of the topic */
	bool faulty;			/* the helper is one that stands still in each wave */
};

/* A new topic that nobody has used. */
void order_begin(struct order *o, struct helper *h, unsigned partitions);
/* The helper was started again: what was not answered is unknown. */
void order_reopen(struct order *o);
/* As fast as the helper takes them. */
void order_send(struct order *o, unsigned n);
/* Waits until all is answered. */
void order_take(struct order *o);
/* And until Kafka or a dead letter has it. */
void order_settle(struct order *o);

/* How often the broker is still to answer PRODUCE with an error. */
size_t order_left(unsigned broker);
/* Nothing when those before were not met yet. */
void order_push(struct order *o, unsigned broker, rd_kafka_resp_err_t code, unsigned times);
/* Brokers take their time, so that a second request is ready while the first one is on
 * its way; or they do not. */
void order_slow(bool slow);

/* Brokers are well again; all errors are met and all messages are settled. */
void order_finish(struct order *o);
/*
 * Prints the account, and fails unless first copies are in the order of their key, each
 * message that was answered 200 is in Kafka or else a dead letter, and only refusals made
 * dead letters. `once`: and nothing is there twice.
 */
void order_check(struct order *o, const char *what, bool once);

/* All of it. Unless the plan is `fresh`, the first message of each key is settled before
 * the brokers become slow. */
void order_run(struct order *o, struct helper *h, const struct order_plan *p);

#endif
