/* GET_CONSUMERS: which member of which group owns which partitions of a topic. */
#include <stdio.h>

#include "common/msg.h"
#include "helper/consume/group.h"
#include "helper/ops.h"

#define TIMEOUT_MS 3000

static void
answer(void *arg, enum kp_err err, const char *text, const struct msg_consumers *found)
{
	struct op *op = arg;

	if (err == KP_ENOTFOUND) {
		op_fail(op, KP_EBADREQ, 0, "%s", text);
	} else if (err) {
		op_fail(op, err, err == KP_ENOTSUP ? 0 : 1, "%s", text);
	} else {
		msg_consumers_encode(op_reply_begin(op, MSG_CONSUMERS), found);
		op_reply_send(op);
	}
}

void
op_get_consumers(struct helper *h, struct op *op)
{
	char topic[TOPIC_MAX + 1], group[GROUP_MAX + 1];
	struct msg_topic_group m;

	if (msg_topic_group_decode(op_body(op), &m) != KP_OK) {
		op_fail(op, KP_EBADMSG, 0, "malformed GET_CONSUMERS");
		return;
	}
	if (!op_names_ok(op, m.topic, m.group.n ? &m.group : NULL))
		return;
	snprintf(topic, sizeof(topic), "%.*s", (int)m.topic.n, (const char *)m.topic.p);
	snprintf(group, sizeof(group), "%.*s", (int)m.group.n, (const char *)m.group.p);
	groups_consumers(h->groups, topic, group[0] ? group : NULL, TIMEOUT_MS, answer, op);
}
