/* A consumer with an account. */
#include "tests/it/reader.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

#define READ_ALL_MS 20000

void
reader_begin(struct reader *r, struct helper *h, const char *topic, const char *group)
{
	r->helper = h;
	snprintf(r->topic, sizeof(r->topic), "%s", topic);
	snprintf(r->group, sizeof(r->group), "%s", group);
	memset(r->seen, 0, sizeof(r->seen));
	memset(r->next, 0, sizeof(r->next));
}

void
reader_open(struct reader *r)
{
	peer_open(&r->peer, r->helper);
	r->asked = false;
}

void
reader_close(struct reader *r)
{
	peer_close(&r->peer);
}

static void
saw(struct reader *r, const struct msg_message *m)
{
	assert_in_range(m->partition, 0, READER_PARTITIONS - 1);
	assert_in_range(m->offset, 0, READER_OFFSETS - 2);
	r->again += r->seen[m->partition][m->offset];
	r->seen[m->partition][m->offset] = true;
	while (r->seen[m->partition][r->next[m->partition]])
		r->next[m->partition]++;
	r->consumed++;
}

/* One in eight answers fails to be written, and comes back. */
void
reader_turn(struct reader *r, int64_t wait_ms)
{
	struct wire_frame f;
	struct msg_message m;

	for (;;) {
		if (!r->asked)
			peer_ask_consume(&r->peer, r->topic, r->group, 1000);
		r->asked = true;
		if (!peer_recv(&r->peer, &f, wait_ms))
			return;
		r->asked = false;
		if (f.type != MSG_MESSAGE)
			return;
		assert_err(msg_message_decode(f.body, &m), KP_OK);
		if (rand() % 8 == 0) {
			peer_confirm(&r->peer, m.offer, false);
			continue;
		}
		/* seen first: once told, it may be committed */
		saw(r, &m);
		peer_confirm(&r->peer, m.offer, true);
	}
}

void
reader_check(struct reader *r)
{
	int64_t until = clock_mono_ms() + READ_ALL_MS, end[READER_PARTITIONS];
	struct msg_offsets o;
	struct peer p;

	peer_open(&p, r->helper);
	assert_err(peer_get_offsets(&p, r->topic, r->group, &o), KP_OK);
	assert_int_equal(o.n, READER_PARTITIONS);
	for (size_t i = 0; i < o.n; i++) {
		end[o.v[i].partition] = o.v[i].end;
		if (o.v[i].offset > r->next[o.v[i].partition])
			fail_msg("%s: %lld is committed, %lld was never consumed", r->topic,
			    (long long)o.v[i].offset, (long long)r->next[o.v[i].partition]);
	}
	msg_offsets_free(&o);
	peer_close(&p);
	for (int i = 0; i < READER_PARTITIONS; i++)
		while (r->next[i] < end[i]) {
			if (clock_mono_ms() > until)
				fail_msg("%s partition %d: %lld of %lld do not come", r->topic, i,
				    (long long)r->next[i], (long long)end[i]);
			reader_turn(r, 100);
		}
}
