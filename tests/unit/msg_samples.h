/* One full sample of each message. */
#ifndef KP_MSG_SAMPLES_H
#define KP_MSG_SAMPLES_H

#include "common/err.h"
#include "common/msg.h"
#include "tests/unit/unit.h"

static int32_t some_partitions[] = { 0, 7, INT32_MAX };
static struct msg_offset some_offsets[] = {
	{ 0, 1, 2, 3, LIT("meta"), false },
	{ INT32_MAX, INT64_MIN, INT64_MAX, -1, LIT(""), true },
};
static struct msg_consumer some_consumers[] = {
	{ LIT("g1"), LIT("pixy_host_1"), some_partitions, 3 },
	{ LIT("g2"), LIT("m"), some_partitions, 0 },
};

/* One sample and one decoder a message, all of one shape: put_NAME(out), get_NAME(in). */

#define ENCODER(name, ...)							\
	static inline enum kp_err						\
	put_##name(struct kp_buf *out)						\
	{									\
		const struct msg_##name m = __VA_ARGS__;			\
										\
		return msg_##name##_encode(out, &m);				\
	}
#define DECODER(name)								\
	static inline enum kp_err						\
	get_##name(struct kp_slice in)						\
	{									\
		struct msg_##name m;						\
										\
		return msg_##name##_decode(in, &m);				\
	}
#define FREEING_DECODER(name)							\
	static inline enum kp_err						\
	get_##name(struct kp_slice in)						\
	{									\
		struct msg_##name m;						\
		enum kp_err err = msg_##name##_decode(in, &m);			\
										\
		msg_##name##_free(&m);						\
		return err;							\
	}

ENCODER(error, { KP_EBUSY, 3, LIT("busy") })
DECODER(error)
ENCODER(produce, { LIT("topic"), LIT("key"), LIT("value"), true })
DECODER(produce)
ENCODER(produced, { 3, INT64_MAX, 9 })
DECODER(produced)
ENCODER(consume, { LIT("topic"), LIT("group"), true, true, 3, INT64_MAX })
DECODER(consume)
ENCODER(ack, { LIT("topic"), LIT("group"), INT32_MAX, 9 })
DECODER(ack)
ENCODER(message, { UINT64_MAX, 3, 4, LIT("key"), LIT("value") })
DECODER(message)
ENCODER(confirm, { 77, true })
DECODER(confirm)
ENCODER(topic_group, { LIT("topic"), LIT("group") })
DECODER(topic_group)
ENCODER(offsets, { LIT("topic"), LIT("group"), some_offsets, 2 })
FREEING_DECODER(offsets)
ENCODER(consumers, { some_consumers, 2 })
FREEING_DECODER(consumers)

#undef ENCODER
#undef DECODER
#undef FREEING_DECODER

#endif
