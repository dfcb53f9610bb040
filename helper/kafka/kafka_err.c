/* What the errors of librdkafka and of brokers mean to us: one table. */
#include "helper/kafka/kafka.h"

/* PASSING: the same message may be taken later. NOBODY: likewise, and no broker was there to
 * say anything. PERMANENT: never. BATCH: a broker says so to a whole batch because of one message
 * in it. TOPIC: of a topic, which may be so for good, or until the broker that says so has learnt
 * what it should know. */
static const struct {
	rd_kafka_resp_err_t kafka;
	enum kp_err err;
	enum { PASSING, NOBODY, PERMANENT, BATCH, TOPIC } kind;
} errors[] = {
	{ RD_KAFKA_RESP_ERR_NO_ERROR, KP_OK, PASSING },
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, KP_ETOOBIG, BATCH },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, KP_ETOOBIG, BATCH },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KP_EDENIED, TOPIC },
	{ RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, KP_EDENIED, PERMANENT },
	{ RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, KP_EDENIED, TOPIC },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, KP_ENOTFOUND, TOPIC },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, KP_ENOTFOUND, TOPIC },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, KP_ENOTFOUND, TOPIC },
	{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, KP_EKAFKA, TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, KP_EKAFKA, TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, KP_EKAFKA, TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_CONFIG, KP_EKAFKA, TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_MSG, KP_EKAFKA, BATCH },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, KP_EKAFKA, BATCH },
	{ RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, KP_EKAFKA, BATCH },
	/* _INVALID_DIFFERENT_RECORD, which 2.0 does not know: another one of the batch is bad. */
	{ (rd_kafka_resp_err_t)-138, KP_EKAFKA, BATCH },
	{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, KP_EKAFKA, PERMANENT },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, KP_EKAFKA, BATCH },
	{ RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, KP_ETIMEDOUT, PASSING },
	{ RD_KAFKA_RESP_ERR__TIMED_OUT, KP_EUNAVAIL, NOBODY },
	{ RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR__TRANSPORT, KP_EUNAVAIL, NOBODY },
	{ RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, KP_EUNAVAIL, NOBODY },
	{ RD_KAFKA_RESP_ERR__RESOLVE, KP_EUNAVAIL, NOBODY },
	{ RD_KAFKA_RESP_ERR__SSL, KP_EUNAVAIL, NOBODY },
	{ RD_KAFKA_RESP_ERR__AUTHENTICATION, KP_EUNAVAIL, NOBODY },
	{ RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, KP_EUNAVAIL, NOBODY },
	{ RD_KAFKA_RESP_ERR__DESTROY, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR__WAIT_COORD, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR_NOT_COORDINATOR, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, KP_EUNAVAIL, PASSING },
	{ RD_KAFKA_RESP_ERR__QUEUE_FULL, KP_EBUSY, PASSING },
};

enum kp_err
kafka_err(rd_kafka_resp_err_t err)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].kafka == err)
			return errors[i].err;
	return KP_EKAFKA;
}

static bool
is_kind(rd_kafka_resp_err_t err, int kind)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].kafka == err)
			return (int)errors[i].kind == kind;
	return false;
}

bool
kafka_err_unreachable(rd_kafka_resp_err_t err)
{
	return is_kind(err, NOBODY);
}

bool
kafka_err_permanent(rd_kafka_resp_err_t err)
{
	return is_kind(err, PERMANENT) || is_kind(err, BATCH);
}

bool
kafka_err_of_batch(rd_kafka_resp_err_t err)
{
	return is_kind(err, BATCH);
}

bool
kafka_err_of_topic(rd_kafka_resp_err_t err)
{
	return is_kind(err, TOPIC);
}
