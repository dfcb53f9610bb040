/*
 * What a member of a group writes below /consumers/<group>/ids: which topics it takes
 * part in. Others write it too, in other versions and languages, and anybody may write
 * anything: what cannot be read is a member that is subscribed to nothing.
 *
 * Pure functions, any thread.
 */
#ifndef KP_REGISTRATION_H
#define KP_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

/* More threads than this of one member for one topic are not believed. */
#define REGISTRATION_COUNT_MAX 1000

struct registration_topic {
	char *name;
	int32_t count;
};

struct registration {
	/* Its timestamp is a string: a Java consumer, whose rule is ASSIGN_THREADS. */
	bool java;
	/* Its subscription is one pattern; which topics that means is not worked out
	 * here, it counts as subscribed to each. */
	bool wildcard;
	struct registration_topic *v;
	size_t n;
};

/*
 * Whatever it returns, *out can be asked and is ended with registration_free().
 * KP_EBADMSG: not a JSON object; *out is subscribed to nothing. KP_ENOMEM.
 */
enum kp_err registration_parse(struct kp_slice in, struct registration *out);
void registration_free(struct registration *r);

/* The number of threads for the topic, 0 when not subscribed. */
int32_t registration_count(const struct registration *r, const char *topic);

/*
 * Ours, as Kafka-Pixy 0.11 writes it, with the time in seconds: Go members cannot read
 * a string there, Java members no number above 2^31.
 */
enum kp_err registration_print(const char *const *topics, size_t n, int64_t wall_s,
    struct kp_buf *out);

#endif
