/* Whether a topic that Kafka says is not there, or not for us, is so for good. */
#include "helper/produce/doubt.h"

#include "common/fault.h"
#include "helper/kafka/kafka_list.h"
#include "helper/kafka/producer.h"

#define DOUBT_MS (60 * 1000)
/* Nobody has tried for so long: what was said before says nothing any more. */
#define DOUBT_GAP_MS (30 * 1000)

static int64_t
doubt_ms(void)
{
	return fault_number("KP_DOUBT_MS", DOUBT_MS);
}

bool
doubt_failed(struct doubt *doubt, const struct delivery *d, int64_t now_ms)
{
	if (!d->of_topic)
		return d->permanent;
	if (doubt->since_ms == 0 || now_ms - doubt->last_ms > DOUBT_GAP_MS)
		*doubt = (struct doubt){ .since_ms = now_ms };
	doubt->last_ms = now_ms;
	doubt->err = d->err;
	/* Who leads a partition and refuses us is one broker, and no list shows it. */
	if (d->err != KP_ENOTFOUND && now_ms - doubt->since_ms >= doubt_ms())
		doubt->over = true;
	return doubt->over;
}

void
doubt_end(struct doubt *doubt)
{
	*doubt = (struct doubt){ 0 };
}

bool
doubt_any(const struct doubt *doubt)
{
	return doubt->since_ms != 0 && doubt->err == KP_ENOTFOUND && !doubt->over;
}

void
doubt_judge(struct doubt *doubt, const char *topic, bool late, const struct kafka_list *list,
    int64_t now_ms)
{
	static const struct delivery silence = { .err = KP_ENOTFOUND, .of_topic = true };

	/* A partition that was once held keeps what it has when its topic is gone. */
	if (late && !kafka_list_has(list, topic))
		doubt_failed(doubt, &silence, now_ms);
	if (doubt->since_ms == 0 || doubt->err != KP_ENOTFOUND)
		return;
	if (kafka_list_has(list, topic)) {
		doubt_end(doubt);
		return;
	}
	if (kafka_list_broker(list) < 0)
		return;
	if (!doubt->missed)
		doubt->broker = kafka_list_broker(list);
	doubt->by_several |= doubt->broker != kafka_list_broker(list);
	doubt->missed = true;
	doubt->over |= (doubt->by_several || kafka_list_brokers(list) < 2) &&
	    now_ms - doubt->since_ms >= doubt_ms();
}
