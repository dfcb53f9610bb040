/* Dead letters that go to Kafka once more. */
#include <stdlib.h>

#include "common/log.h"
#include "helper/produce/lane.h"
#include "helper/produce/sender.h"

struct retry {
	struct store_cmd cmd;		/* first */
	struct lane *lane;
	void (*done)(void *arg, enum kp_err err);
	void *arg;
};

static void
revived(struct store_cmd *cmd, enum kp_err err)
{
	struct retry *r = (struct retry *)cmd;
	struct lane *lane = r->lane;

	lane_count_appending(lane, false);
	if (err == KP_OK)
		log_info("sender retry id=%lld topic=%s",
		    (long long)ids_told(sender_ids(lane->sender), cmd->row.was),
		    lane->by_name.name);
	r->done(r->arg, err);
	free(r);
	lane_load(lane);
}

/* Its topic sends from the disk until it has come to it. */
void
sender_retry(struct sender *s, const struct store_loaded *dead,
    void (*done)(void *arg, enum kp_err err), void *arg)
{
	struct lane *lane = lane_find(s, dead->row.topic);
	struct retry *r = lane ? calloc(1, sizeof(*r)) : NULL;
	int64_t id = r ? store_next_id(sender_store(s)) : 0;

	if (id == 0) {
		free(r);
		done(arg, KP_EUNAVAIL);
		return;
	}
	*r = (struct retry){ .lane = lane, .done = done, .arg = arg,
	    .cmd = { .verb = STORE_REVIVE, .row.id = id, .row.was = dead->row.id,
	    .done = revived } };
	lane_to_disk(lane, NULL);
	lane_count_appending(lane, true);
	store_submit(sender_store(s), &r->cmd);
}
