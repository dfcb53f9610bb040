/*
 * The librdkafka consumer of one group: each partition can be asked for its next message,
 * of those that were read ahead as far as the budget of the process goes; offsets are
 * committed as explicit lists.
 *
 * Which partitions to read is somebody else's decision: it only subscribes when it
 * is made a member of a group that the brokers manage, see below.
 * Loop thread only, except where said.
 */
#ifndef KP_CONSUMER_H
#define KP_CONSUMER_H

#include "common/msg.h"
#include "helper/kafka/budget.h"
#include "helper/kafka/kafka.h"

struct consumer;
struct consumer_part;

struct consumer_events {
	/* That partition has something for consumer_next(); nothing is to be asked for here. */
	void (*arrived)(void *owner);
	/* That partition has lost what was read ahead, as memory is short and nobody asked for
	 * it: consumer_want() before it has something again. Likewise. */
	void (*slept)(void *owner);
	/* After all that came at once. */
	void (*ready)(void *arg);
	/* No broker can be reached any more. Comes again and again. */
	void (*down)(void *arg);
};

/* `member`: it may become one. NULL on error; a line has been logged. The budget outlives
 * it and its messages. */
struct consumer *consumer_new(struct loop *l, struct kafka *k, const char *group,
    bool member, struct budget *budget, const struct consumer_events *events, void *arg);
/* After all parts have been removed; not from inside a callback of this consumer.
 * Ends in a worker; nothing is called any more, not for commits either. */
void consumer_free(struct consumer *c);

/* Asks whether a broker answers this consumer, which others may reach when it cannot:
 * probed(arg of the events, err) once, KP_EUNAVAIL when none does; never after
 * consumer_free(). While one is on its way, or without a free worker, it does nothing. */
void consumer_probe(struct consumer *c, void (*probed)(void *arg, enum kp_err err));

/* For some time now brokers that it needs could not be reached, or some other one since. */
bool consumer_is_refused(const struct consumer *c);

/* For how many ms more a broker lets us wait, because of a quota, and for some time after that:
 * it gives nothing, whatever there is. 0: it does not. */
int64_t consumer_throttled_ms(const struct consumer *c);

/* Starts to read at `offset`. `owner` is for the events. NULL on error. */
struct consumer_part *consumer_add(struct consumer *c, const char *topic, int32_t partition,
    int64_t offset, void *owner);
void consumer_remove(struct consumer_part *p);		/* NULL is allowed */

/* The next message, the caller's until consumer_message_free(), which takes NULL. */
struct consumer_message;
enum consumer_next { CONSUMER_MESSAGE, CONSUMER_EMPTY, CONSUMER_OUT_OF_RANGE };
enum consumer_next consumer_next(struct consumer_part *p, struct consumer_message **message);
/* It is not CONSUMER_EMPTY. */
bool consumer_has(const struct consumer_part *p);
/* Somebody waits for it: what it lost is read again. */
void consumer_want(struct consumer_part *p);
/* It has nothing, as memory is short: others have all of it. */
bool consumer_waits_for_room(const struct consumer_part *p);
/* Why the message at consumer_position() cannot be handed out, static; NULL: it can, so far.
 * Nothing behind it comes, until the part is removed and added behind it. */
const char *consumer_unfit(const struct consumer_part *p);
/* Now and then: looks once more at what could not be handed out. */
void consumer_look_again(struct consumer_part *p, int64_t now_ms);
/* Borrowed from the message; .offer is left 0. */
struct msg_message consumer_message_view(const struct consumer_message *message);
/* Whether it counts as one that waits to be acknowledged. */
void consumer_message_pend(struct consumer_message *message, bool pending);
void consumer_message_free(struct consumer_message *message);
/* Now and then: when somebody waits for room, what was read ahead for nobody is given up. */
void consumer_squeeze(struct budget *b, int64_t now_ms);
/* Reads once more from there, after CONSUMER_OUT_OF_RANGE. */
void consumer_rewind(struct consumer_part *p);
/* The next offset to be read: behind the last message, or behind all that Kafka had when
 * the end was reached, as not every offset has a message. */
int64_t consumer_position(const struct consumer_part *p);
/* Changes as long as Kafka gives anything: also at the end of each transaction that was
 * aborted, of which nothing comes here. */
int64_t consumer_progress(const struct consumer_part *p);

/*
 * One commit of many partitions: begin (NULL without memory), add (offset = next to read), send.
 * done(arg, err, x) once; KP_ECONFLICT: the group is managed by the brokers; KP_ETOOBIG:
 * they do not take metadata of that length.
 */
struct consumer_commit;
typedef void consumer_committed_fn(void *arg, enum kp_err err, const struct consumer_commit *x);
struct consumer_commit *consumer_commit_begin(struct consumer *c, consumer_committed_fn *done,
    void *arg);
void consumer_commit_add(struct consumer_commit *x, const char *topic, int32_t partition,
    int64_t offset, struct kp_slice metadata);
void consumer_commit_send(struct consumer_commit *x);
/* Those that are under way fail now, with KP_EUNAVAIL; what becomes of them nobody is told. */
void consumer_give_up_commits(struct consumer *c);
/* Inside done(): what became of one of its partitions, when not all went well. */
enum kp_err consumer_commit_err(const struct consumer_commit *x, enum kp_err err,
    const char *topic, int32_t partition);

/*
 * A member of a group that the brokers manage. What it commits carries its member
 * id and generation, so brokers refuse it (KP_ECONFLICT) once the group went on
 * without it. All partitions are given at once and taken back at once:
 *
 *	subscribe -> assigned() -> consumer_add() …, in any order, of what was assigned
 *	revoked() -> consumer_remove() of all, consumer_give_up() -> assigned() …
 *
 * An assignment may come before the answer to revoked(), and takes its place: librdkafka
 * joins again by itself when metadata shows a new topic. So may a second one without any
 * revoked(): what is in it counts.
 *
 * The group stays joined however long nobody asks for messages.
 */
struct consumer_slot {
	char topic[TOPIC_MAX + 1];
	int32_t partition;
};

struct consumer_member_events {
	/* `v` is borrowed, and may be empty. */
	void (*assigned)(void *arg, const struct consumer_slot *v, size_t n);
	/* lost: somebody else may have them already, so nothing may be committed. */
	void (*revoked)(void *arg, bool lost);
	/* Something went wrong, in Kafka's words; it is tried again. */
	void (*error)(void *arg, const char *text);
	void (*left)(void *arg);
};

/* For one made with `member`, before anything else of these. KP_ENOMEM. */
enum kp_err consumer_join(struct consumer *c, const struct consumer_member_events *events,
    void *arg);
/* Takes the place of the topics before; none: leaves. Whatever is assigned is revoked
 * first. Not while revoked() is not answered. */
enum kp_err consumer_subscribe(struct consumer *c, const char *const *topics, size_t n);
/* The answer to revoked(). */
void consumer_give_up(struct consumer *c);
/* True from when it is known that the assignment is gone, which revoked() tells next. */
bool consumer_lost(const struct consumer *c);
/* How long the brokers wait for a sign of life. */
int64_t consumer_session_ms(const struct consumer *c);
/* Leaves the group for good: left() comes once the brokers know. Nothing is held. */
void consumer_leave(struct consumer *c);

#endif
