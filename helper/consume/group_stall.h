/*
 * Partitions that give nothing, although they have messages: see group_stall.c. Others only
 * read what is noted of them. Loop thread only.
 */
#ifndef KP_GROUP_STALL_H
#define KP_GROUP_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gpart;
struct gtopic;
struct partition_offsets;

struct gpart_stall {
	int64_t behind_at;		/* how far it was when it was short of the end; -1: not */
	bool stalled;			/* it was so for too long */
};

struct gtopic_stall {
	int64_t asked_ms;		/* when ends were last asked for */
	uint64_t at;			/* says where, when the group last started anew for it */
	bool stuck;			/* which has not helped */
};

/* Nothing is known of it yet, or any more. */
void stall_reset(struct gpart_stall *s);
/* It has given a message. */
void stall_gave(struct gpart_stall *s);

/* Those of the topic that may be asked about now; *n of them. NULL: none, or no memory. */
struct partition_offsets *stall_begin(struct gtopic *t, int64_t now_ms, size_t *n);
/* Their ends are known. The topic may begin to leave; it is not freed. */
void stall_end(struct gtopic *t, const struct partition_offsets *v, size_t n);

#endif
