/*
 * The librdkafka consumer of one group: partitions are read into queues of
 * their own, so that each can be asked for its next message; offsets are
 * committed as explicit lists.
 *
 * It never subscribes: which partitions to read is somebody else's decision.
 * Loop thread only, except where said.
 */
#ifndef KP_CONSUMER_H
#define KP_CONSUMER_H

#include "common/msg.h"
#include "helper/kafka.h"

struct consumer;
struct consumer_part;

struct consumer_events {
	/* Some partition may have messages. */
	void (*ready)(void *arg);
	/* Kafka can no longer be reached; `why` is static. Comes again and again. */
	void (*down)(void *arg, const char *why);
};

/* NULL on error; a line has been logged. */
struct consumer *consumer_new(struct loop *l, struct kafka *k, const char *group,
    const struct consumer_events *events, void *arg);
/* All parts have been removed, no commit is on its way. Ends in a worker; nothing
 * is called any more. */
void consumer_free(struct consumer *c);

/* Starts to read at `offset`. NULL on error. */
struct consumer_part *consumer_add(struct consumer *c, const char *topic, int32_t partition,
    int64_t offset);
void consumer_remove(struct consumer_part *p);

/* The next message in `m`, whose bytes live until consumer_message_free(). */
struct consumer_message;
enum consumer_next { CONSUMER_MESSAGE, CONSUMER_EMPTY, CONSUMER_OUT_OF_RANGE };
enum consumer_next consumer_next(struct consumer_part *p, struct consumer_message **message,
    struct msg_message *m);
void consumer_message_free(struct consumer_message *message);

/*
 * One commit of many partitions: begin, add (offset = next to read), send.
 * done(arg, err) once; KP_ECONFLICT: the group is managed by the brokers.
 */
struct consumer_commit;
struct consumer_commit *consumer_commit_begin(struct consumer *c,
    void (*done)(void *arg, enum kp_err err), void *arg);
void consumer_commit_add(struct consumer_commit *x, const char *topic, int32_t partition,
    int64_t offset);
void consumer_commit_send(struct consumer_commit *x);

#endif
