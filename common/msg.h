/*
 * Every message between responder and helper: its struct, its encoder, its
 * decoder. This list is all that the two sides know of each other.
 *
 * An encoder puts the body only; the frame around it is wire.h's. It returns
 * KP_ETOOBIG when the buffer's limit was passed. A decoder rejects truncation,
 * unknown flags, names over their limit and leftover bytes with KP_EBADMSG.
 * Slices of a decoded message point into the bytes that were decoded; arrays
 * are allocated and freed by the message's own free function, which every
 * decoder's caller calls, also after an error.
 */
#ifndef KP_MSG_H
#define KP_MSG_H

#include "common/wire.h"

#define TOPIC_MAX 249
#define GROUP_MAX 249
#define MEMBER_MAX 1024
#define KEY_MAX (64u * 1024)
#define METADATA_MAX 4096
#define TEXT_MAX 1024
#define PARTITIONS_MAX 10000
#define CONSUMERS_MAX 10000

/* Requests are below 64, replies above. */
enum msg_type {
	MSG_PING = 1,
	MSG_PRODUCE,
	MSG_CONSUME,
	MSG_CONFIRM_OFFER,	/* has no reply; <sys/socket.h> has the short name */
	MSG_ACK,
	MSG_GET_OFFSETS,
	MSG_SET_OFFSETS,
	MSG_GET_CONSUMERS,
	/* Bodies of these and of their replies: msg_admin.h. */
	MSG_GET_STATUS,		/* empty body */
	MSG_FIND_MESSAGE,
	MSG_LIST_ROWS,
	MSG_RETRY_DEAD,
	MSG_DROP_DEAD,

	MSG_DONE = 64,		/* empty body */
	MSG_PRODUCED,
	MSG_MESSAGE,
	MSG_OFFSETS,
	MSG_CONSUMERS,
	MSG_ERROR,
	MSG_STATUS,
	MSG_RECEIPT,
	MSG_ROWS,
	MSG_ACTED,
};

const char *msg_type_name(uint8_t type);

/* [A-Za-z0-9._-]{1,249}, not "." or ".." (Kafka's own rule for topics). */
bool msg_topic_ok(struct kp_slice topic);
/* 1 to 249 printable ASCII characters without '/', not ".", "..", "zookeeper":
 * a group becomes a path in ZooKeeper. */
bool msg_group_ok(struct kp_slice group);

/* An error reply. */
struct msg_error {
	enum kp_err err;
	uint32_t retry_after_s;		/* 0: no advice */
	struct kp_slice text;		/* empty: kp_err_text(err) says it */
};
enum kp_err msg_error_encode(struct kp_buf *out, const struct msg_error *m);
enum kp_err msg_error_decode(struct kp_slice in, struct msg_error *m);

struct msg_produce {
	struct kp_slice topic;
	struct kp_slice key;		/* p == NULL: no key */
	struct kp_slice value;
	bool sync;
};
enum kp_err msg_produce_encode(struct kp_buf *out, const struct msg_produce *m);
enum kp_err msg_produce_decode(struct kp_slice in, struct msg_produce *m);

/* Sync: where Kafka put it. Async: partition -1, and the store's id. */
struct msg_produced {
	int32_t partition;
	int64_t offset;
	int64_t id;
};
enum kp_err msg_produced_encode(struct kp_buf *out, const struct msg_produced *m);
enum kp_err msg_produced_decode(struct kp_slice in, struct msg_produced *m);

/* With `ack`, the message there is acknowledged first. With either, the message in the
 * reply waits for an acknowledgement of its own; else CONFIRM is enough. */
struct msg_consume {
	struct kp_slice topic;
	struct kp_slice group;
	bool no_ack;
	bool ack;
	int32_t ack_partition;		/* both at least 0; 0 without `ack` */
	int64_t ack_offset;
};
enum kp_err msg_consume_encode(struct kp_buf *out, const struct msg_consume *m);
enum kp_err msg_consume_decode(struct kp_slice in, struct msg_consume *m);

/* What key and value of a message may have together, to fit into a frame. */
#define MESSAGE_BYTES_MAX (WIRE_BODY_MAX - 29)

/* The offer of one message: it counts as consumed after CONFIRM of its id, or after that
 * waits to be acknowledged. */
struct msg_message {
	uint64_t offer;
	int32_t partition;
	int64_t offset;
	struct kp_slice key;		/* p == NULL: null */
	struct kp_slice value;		/* p == NULL: null */
};
enum kp_err msg_message_encode(struct kp_buf *out, const struct msg_message *m);
enum kp_err msg_message_decode(struct kp_slice in, struct msg_message *m);

/* The reply is MSG_DONE. */
struct msg_ack {
	struct kp_slice topic;
	struct kp_slice group;
	int32_t partition;		/* both at least 0 */
	int64_t offset;
};
enum kp_err msg_ack_encode(struct kp_buf *out, const struct msg_ack *m);
enum kp_err msg_ack_decode(struct kp_slice in, struct msg_ack *m);

/* What became of the response that carried the offer. */
struct msg_confirm {
	uint64_t offer;
	bool delivered;			/* false: put it back at the front */
};
enum kp_err msg_confirm_encode(struct kp_buf *out, const struct msg_confirm *m);
enum kp_err msg_confirm_decode(struct kp_slice in, struct msg_confirm *m);

/* GET_OFFSETS, and GET_CONSUMERS, where an empty group means all. */
struct msg_topic_group {
	struct kp_slice topic;
	struct kp_slice group;
};
enum kp_err msg_topic_group_encode(struct kp_buf *out, const struct msg_topic_group *m);
enum kp_err msg_topic_group_decode(struct kp_slice in, struct msg_topic_group *m);

struct msg_offset {
	int32_t partition;
	int64_t begin;			/* begin and end: only in MSG_OFFSETS */
	int64_t end;
	int64_t offset;			/* -1: never committed */
	struct kp_slice metadata;
	bool by_time;			/* only in SET_OFFSETS: `offset` is a Unix time in
					 * ms, and the first message at or after it is meant */
};
/* SET_OFFSETS, and the reply to GET_OFFSETS, where topic and group are empty. */
struct msg_offsets {
	struct kp_slice topic;
	struct kp_slice group;
	struct msg_offset *v;
	size_t n;
};
enum kp_err msg_offsets_encode(struct kp_buf *out, const struct msg_offsets *m);
enum kp_err msg_offsets_decode(struct kp_slice in, struct msg_offsets *m);
void msg_offsets_free(struct msg_offsets *m);

/* One row a member that owns partitions of the topic. */
struct msg_consumer {
	struct kp_slice group;
	struct kp_slice member;
	int32_t *partitions;
	size_t n;
};
struct msg_consumers {
	struct msg_consumer *v;
	size_t n;
};
enum kp_err msg_consumers_encode(struct kp_buf *out, const struct msg_consumers *m);
enum kp_err msg_consumers_decode(struct kp_slice in, struct msg_consumers *m);
void msg_consumers_free(struct msg_consumers *m);

/* Part of a status (msg_admin.h): a topic of which a group gets nothing, though that
 * may not be empty. */
#define GROUP_TROUBLES_MAX 16
struct msg_group_trouble {
	struct kp_slice group;
	struct kp_slice topic;
	int64_t since_ms;		/* Unix time */
	struct kp_slice error;		/* why, for users */
};

#endif
