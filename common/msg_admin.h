/*
 * Messages about the helper itself: its state, what became of a message, and
 * what waits in its store. The rules are those of msg.h.
 *
 * GET_STATUS and FIND_MESSAGE are for everybody that the helper serves; the
 * others show or change what was accepted, and are for root and the helper's own
 * user alone.
 */
#ifndef KP_MSG_ADMIN_H
#define KP_MSG_ADMIN_H

#include "common/msg.h"

#define ROWS_MAX 1000			/* in one reply, and ids in one request */
#define ROWS_BYTES_MAX (4u * 1024 * 1024)	/* of bodies in one reply, past the first row */

/* A part of the helper that may work or not. */
enum part_state { PART_UP, PART_DOWN, PART_UNUSED };
struct msg_part {
	uint8_t state;
	int64_t since_ms;		/* Unix time of the last change of state */
	int64_t error_ms;		/* Unix time of the last error, 0: none so far */
	struct kp_slice error;		/* its text, for users */
};

/* The counters obey, whenever nothing is on its way:
 * accepted = delivered + pending + dead + dropped. */
struct msg_status {
	struct kp_slice version;
	struct kp_slice librdkafka;	/* its version */
	int64_t started_ms;		/* Unix time */
	struct kp_slice durability;
	bool embedded;			/* Kafka is the broker in memory */
	int64_t accepted;		/* async, since the store was made */
	int64_t delivered;
	int64_t pending;
	int64_t dead;
	int64_t dropped;		/* dead letters, by the operator */
	int64_t oldest_ms;		/* Unix time of acceptance of the oldest pending, 0: none */
	int64_t delivered_per_s;	/* of late */
	int64_t store_bytes;
	int64_t store_max_bytes;	/* 0: there is no store */
	int64_t store_free_bytes;	/* of its disk; -1: not known */
	struct msg_part kafka;
	struct msg_part zookeeper;
	struct msg_part store;
	int64_t groups_troubled;	/* how many there are */
	struct msg_group_trouble groups[GROUP_TROUBLES_MAX];	/* some of them */
	size_t n_groups;
};
enum kp_err msg_status_encode(struct kp_buf *out, const struct msg_status *m);
enum kp_err msg_status_decode(struct kp_slice in, struct msg_status *m);

/* FIND_MESSAGE: the id that the answer to an async produce had. */
struct msg_find {
	int64_t id;
};
enum kp_err msg_find_encode(struct kp_buf *out, const struct msg_find *m);
enum kp_err msg_find_decode(struct kp_slice in, struct msg_find *m);

enum receipt_state { RECEIPT_PENDING, RECEIPT_DELIVERED, RECEIPT_DEAD };
struct msg_receipt {
	int64_t id;
	uint8_t state;
	int32_t partition;		/* DELIVERED; else -1 */
	int64_t offset;			/* likewise */
	struct kp_slice reason;		/* DEAD; else empty */
};
enum kp_err msg_receipt_encode(struct kp_buf *out, const struct msg_receipt *m);
enum kp_err msg_receipt_decode(struct kp_slice in, struct msg_receipt *m);

/* LIST_ROWS: the next rows of one kind, oldest first. */
struct msg_list {
	bool dead;			/* dead letters; else what is pending */
	bool with_bodies;
	struct kp_slice topic;		/* empty: all */
	int64_t after;			/* 0, then `next` of the reply before */
	uint32_t limit;			/* 1 to ROWS_MAX */
};
enum kp_err msg_list_encode(struct kp_buf *out, const struct msg_list *m);
enum kp_err msg_list_decode(struct kp_slice in, struct msg_list *m);

struct msg_row {
	int64_t id;
	struct kp_slice topic;
	int64_t accepted_ms;		/* Unix time */
	uint32_t attempts;		/* dead: how often Kafka was asked */
	int64_t buried_ms;		/* dead; else 0 */
	struct kp_slice reason;		/* dead; else empty */
	uint32_t value_bytes;
	bool has_key;
	struct kp_slice key;		/* both only with_bodies */
	struct kp_slice value;
};
struct msg_rows {
	struct msg_row *v;
	size_t n;
	int64_t next;			/* 0: these were the last */
};
enum kp_err msg_rows_encode(struct kp_buf *out, const struct msg_rows *m);
enum kp_err msg_rows_decode(struct kp_slice in, struct msg_rows *m);
void msg_rows_free(struct msg_rows *m);

/*
 * RETRY_DEAD: to Kafka once more, behind what is pending. DROP_DEAD: gone for
 * good. Those of the list, or, with `all`, up to ROWS_MAX past `after` (of the
 * topic, if one is given).
 */
struct msg_act {
	bool all;
	struct kp_slice topic;		/* all: empty for every topic */
	int64_t after;			/* all: 0, then `next` of the reply before */
	int64_t *ids;			/* not all */
	size_t n;
};
enum kp_err msg_act_encode(struct kp_buf *out, const struct msg_act *m);
enum kp_err msg_act_decode(struct kp_slice in, struct msg_act *m);
void msg_act_free(struct msg_act *m);

struct msg_acted {
	int64_t done;			/* how many */
	int64_t next;			/* all: 0 when there are no more */
	int64_t *missing;		/* ids that are no dead letters */
	size_t n;
};
enum kp_err msg_acted_encode(struct kp_buf *out, const struct msg_acted *m);
enum kp_err msg_acted_decode(struct kp_slice in, struct msg_acted *m);
void msg_acted_free(struct msg_acted *m);

#endif
