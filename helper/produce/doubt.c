/* Whether a topic that Kafka says is not there, or not for us, is so for good. */
#include "helper/produce/doubt.h"

#include "common/fault.h"
#include "helper/kafka/kafka_list.h"
#include "helper/produce/sender_state.h"
#include "helper/produce/waves.h"

#define DOUBT_MS (60 * 1000)
/* Nobody has tried for so long: what was said before says nothing any more. */
#define DOUBT_GAP_MS (30 * 1000)

static int64_t
doubt_ms(void)
{
	return fault_number("KP_DOUBT_MS", DOUBT_MS);
}

bool
doubt_failed(struct lane *lane, const struct delivery *d)
{
	struct doubt *doubt = &lane->doubt;
	int64_t now = loop_now_ms(lane->sender->loop);

	if (!d->of_topic)
		return d->permanent;
	if (doubt->since_ms == 0 || now - doubt->last_ms > DOUBT_GAP_MS)
		*doubt = (struct doubt){ .since_ms = now };
	doubt->last_ms = now;
	doubt->err = d->err;
	/* Who leads a partition and refuses us is one broker, and no list shows it. */
	if (d->err != KP_ENOTFOUND && now - doubt->since_ms >= doubt_ms())
		doubt->over = true;
	return doubt->over;
}

void
doubt_end(struct lane *lane)
{
	lane->doubt = (struct doubt){ 0 };
}

bool
doubt_any(const struct lane *lane)
{
	return lane->doubt.since_ms != 0 && lane->doubt.err == KP_ENOTFOUND &&
	    !lane->doubt.over;
}

void
doubt_judge(struct lane *lane, const struct kafka_list *list)
{
	static const struct delivery silence = { .err = KP_ENOTFOUND, .of_topic = true };
	struct doubt *doubt = &lane->doubt;

	/* A partition that was once held keeps what it has when its topic is gone. */
	if (waves_late(lane) && !kafka_list_has(list, lane->name))
		doubt_failed(lane, &silence);
	if (doubt->since_ms == 0 || doubt->err != KP_ENOTFOUND)
		return;
	if (kafka_list_has(list, lane->name)) {
		doubt_end(lane);
		return;
	}
	if (kafka_list_broker(list) < 0)
		return;
	if (!doubt->missed)
		doubt->broker = kafka_list_broker(list);
	doubt->by_several |= doubt->broker != kafka_list_broker(list);
	doubt->missed = true;
	doubt->over |= (doubt->by_several || kafka_list_brokers(list) < 2) &&
	    loop_now_ms(lane->sender->loop) - doubt->since_ms >= doubt_ms();
}
