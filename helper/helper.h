/*
 * The helper's parts, as main.c puts them together. Each part owns its own
 * state; this struct only says where they are.
 */
#ifndef KP_HELPER_H
#define KP_HELPER_H

#include <stdbool.h>

#include "common/conf.h"

struct helper {
	struct conf conf;
	struct loop *loop;
	struct ipc *ipc;
	struct kafka *kafka;		/* settings for every librdkafka handle */
	struct kafka_reach *reach;
	struct kafka_admin *admin;
	struct topics *topics;
	struct producer *sync;
	struct sender *sender;
	struct lookout *lookout;
	struct groups *groups;
	struct zk *zk;			/* NULL unless --coordination zookeeper */
	struct health *health;
	struct tidy *tidy;
	int64_t started_ms;		/* loop_now_ms() */
	int64_t wall_started_ms;	/* the same to be shown; 0: not yet */
	bool stopping;			/* new requests get 503 */
};

#endif
