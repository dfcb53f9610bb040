/*
 * Why a topic of a group gives nothing, in words for the user: see group_trouble.c, which alone
 * knows what is kept of it. Loop thread only.
 */
#ifndef KP_GROUP_TROUBLE_H
#define KP_GROUP_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#define TROUBLE_MAX 1000

struct gtopic;
struct msg_group_trouble;

struct gtopic_trouble {
	int64_t wall_since_ms;		/* since when it gives nothing, to be shown; 0: it works */
	int64_t since_ms;		/* the same by the loop's clock */
	char text[TROUBLE_MAX];
};

/* Why the topic gives nothing, apart from being empty, and since when; NULL: it works. The
 * text is valid until the next call for this topic. *retry_s is set with it. */
const char *topic_trouble(struct gtopic *t, uint32_t *retry_s);
/* It is so for a while, and worth to be shown; *m is valid as long. */
bool topic_shows_trouble(struct gtopic *t, struct msg_group_trouble *m);

#endif
