/*
 * Messages that cannot be handed out: too large for a frame, or of a batch that librdkafka
 * cannot read. It passes over some of these by itself, and asks for others again and again;
 * so the partition rests before such a one, and nothing is skipped that nobody chose to skip.
 *
 * After a while it is looked at once more: a disk was mended, or Kafka has deleted it.
 */
#include "common/fault.h"
#include "common/log.h"
#include "helper/kafka/consumer_private.h"

/* A large one comes again as a whole, and is what it was, unless it is gone. */
#define AGAIN_MS 10000
#define AGAIN_LARGE_MS (10 * 60 * 1000)

static const struct {
	rd_kafka_resp_err_t err;
	const char *why;
} of_a_batch[] = {
	{ RD_KAFKA_RESP_ERR__BAD_MSG, "its checksum is wrong" },
	{ RD_KAFKA_RESP_ERR__BAD_COMPRESSION, "it cannot be decompressed" },
	{ RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED, "librdkafka does not know its codec or format" },
	{ RD_KAFKA_RESP_ERR_INVALID_MSG, "the broker says that it is damaged" },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE,
	    "the broker does not give its codec to this librdkafka" },
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "librdkafka takes none that is so large" },
};

static void
be_unfit(struct consumer_part *p, int64_t offset, const char *why, int64_t again_ms)
{
	ahead_rest(p);
	p->read_offset = offset;
	p->unfit = why;
	p->unfit_until_ms = loop_now_ms(p->c->loop) + again_ms;
}

/* Says so once. */
static bool
is_news(const struct consumer_part *p, int64_t offset)
{
	return p->unfit == NULL || p->read_offset != offset;
}

bool
unfit_by_size(struct consumer_part *p, const rd_kafka_message_t *rm)
{
	size_t bytes = rm->key_len + rm->len;

	if (bytes <= MESSAGE_BYTES_MAX)
		return false;
	if (is_news(p, rm->offset))
		log_error("message is too large topic=%s partition=%d offset=%lld bytes=%zu "
		    "limit=%u", p->topic, p->partition, (long long)rm->offset, bytes,
		    MESSAGE_BYTES_MAX);
	be_unfit(p, rm->offset, "the message is larger than 65 MiB", AGAIN_LARGE_MS);
	return true;
}

bool
unfit_by_error(struct consumer_part *p, const rd_kafka_topic_partition_t *at, const char *text)
{
	/* The batch may have begun before what is to be read of it. */
	int64_t offset = at->offset > p->read_offset ? at->offset : p->read_offset;
	size_t i = 0, n = sizeof(of_a_batch) / sizeof(of_a_batch[0]);

	while (i < n && of_a_batch[i].err != at->err)
		i++;
	if (i == n)
		return false;
	if (p->resting)
		return true;
	if (is_news(p, offset))
		log_error("message cannot be read topic=%s partition=%d offset=%lld: %s", p->topic,
		    p->partition, (long long)offset, text);
	be_unfit(p, offset, of_a_batch[i].why, fault_number("KP_UNFIT_MS", AGAIN_MS));
	return true;
}

void
unfit_forget(struct consumer_part *p)
{
	p->unfit = NULL;
}

const char *
consumer_unfit(const struct consumer_part *p)
{
	return p->first ? NULL : p->unfit;
}

void
consumer_look_again(struct consumer_part *p, int64_t now_ms)
{
	if (p->unfit && now_ms >= p->unfit_until_ms)
		ahead_read_on(p);
}
