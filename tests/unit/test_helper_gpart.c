/* The life of a partition of a group: what it waits for before it is given back. */
#include "common/log.h"
#include "tests/unit/unit.h"

/* The module under test; the rest of the group, and the reader, are this file's. */
#define gpart_claimed gpart_claimed_under_test
#define gpart_revoke gpart_revoke_under_test
#define gpart_lost gpart_lost_under_test
#define gpart_start_at gpart_start_at_under_test
#define gpart_restart gpart_restart_under_test
#define gpart_step gpart_step_under_test
#define gpart_give_up gpart_give_up_under_test
#define gpart_hand_over gpart_hand_over_under_test
#define gpart_next gpart_next_under_test
#define gpart_ack gpart_ack_under_test
#define gpart_note_leader gpart_note_leader_under_test
#define gpart_doubt gpart_doubt_under_test
#define gpart_found gpart_found_under_test
#define gpart_disown gpart_disown_under_test
#define gpart_find gpart_find_under_test
#define gpart_ready gpart_ready_under_test
#include "helper/consume/group_range.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_state.h"

#define COMMITTED 7
#define END 20

static int64_t clock_ms, next_offset;
static bool no_memory, out_of_range;
static unsigned wrong_steps, asked, commits, readers, released, ticks;
static char token;

static struct consumer_part *
add_reader(int64_t offset)
{
	if (no_memory)
		return NULL;
	next_offset = offset;
	readers++;
	return (struct consumer_part *)&token;
}

static enum consumer_next
next_message(struct consumer_message **message)
{
	if (out_of_range)
		return CONSUMER_OUT_OF_RANGE;
	if (next_offset == END)
		return CONSUMER_EMPTY;
	*message = (struct consumer_message *)&token;
	next_offset++;
	return CONSUMER_MESSAGE;
}

#define topic_now_ms(t) ((void)(t), clock_ms)
#define consumer_add(c, topic, partition, offset, owner)				\
	((void)(c), (void)(topic), (void)(partition), (void)(owner), add_reader(offset))
#define consumer_remove(r) ((void)(r), readers--)
#define consumer_next(r, message) ((void)(r), next_message(message))
#define consumer_message_view(m)							\
	((void)(m), (struct msg_message){ .offset = next_offset - 1 })
#define consumer_message_free(m) ((void)(m))
#define consumer_message_pend(m, pend) ((void)(m), (void)(pend))
#define consumer_position(r) ((void)(r), next_offset)
#define consumer_rewind(r) ((void)(r))
#define topic_start_parts(t) ((void)(t), asked++)
#define topic_start_is_stale(t) ((void)(t))
#define topic_ask_range(t) ((void)(t))
#define topic_step(t) ((void)(t))
#define group_commit(g) ((void)(g), commits++)
#define group_tick_soon(g) ((void)(g), ticks++)
#define group_release(g, topic, partition)						\
	((void)(g), (void)(topic), (void)(partition), released++)
#undef log_error
#define log_error(...) (wrong_steps++)
#undef log_info
#define log_info(...) ((void)0)
#include "helper/consume/gpart.c"

static struct group g;
static struct gtopic t;

static int
set_up(void **state)
{
	(void)state;
	g = (struct group){ .name = "g", .topics = &t };
	t = (struct gtopic){ .g = &g, .group = g.name, .name = "t", .state = TOPIC_ACTIVE,
	    .n_partitions = 4, .first_new = INT32_MAX };
	budget_link_init(&t.ready);
	clock_ms = 1000000;
	no_memory = out_of_range = false;
	wrong_steps = asked = commits = readers = released = ticks = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	gpart_lost(&g, "t", 2);
	assert_null(t.parts);
	assert_true(budget_link_alone(&t.ready));
	assert_int_equal(readers, 0);
	assert_int_equal(wrong_steps, 0);
	free(t.index);
	return 0;
}

static struct gpart *
claim(void)
{
	gpart_claimed(&g, "t", 2);
	return gpart_find(&t, 2);
}

static struct gpart *
start(const char *metadata)
{
	struct gpart *p = claim();

	gpart_start_at(p, &(struct partition_offsets){ .partition = 2, .committed = COMMITTED,
	    .end = END, .metadata = (char *)metadata });
	return p;
}

static void
revoked(void)
{
	gpart_revoke(&g, "t", 2);
}

static void
commit(struct gpart *p)
{
	committed_send(&p->committed, &p->offers);
	committed_done(&p->committed, &p->offers, true, clock_ms);
}

static void
test_claimed(void **state)
{
	struct gpart *p = claim();

	(void)state;
	assert_non_null(p);
	assert_int_equal(p->state, GPART_STARTING);
	assert_int_equal(asked, 1);
	assert_null(gpart_next(p));
	gpart_claimed(&g, "t", 2);
	assert_ptr_equal(gpart_find(&t, 2), p);
	gpart_claimed(&g, "another", 2);
	t.state = TOPIC_LEAVING;
	gpart_claimed(&g, "t", 1);
	assert_null(gpart_find(&t, 1));
	assert_int_equal(asked, 1);
	t.state = TOPIC_ACTIVE;
	gpart_claimed(&g, "t", 1);
	assert_ptr_equal(t.parts, gpart_find(&t, 1));	/* by partition */
	assert_ptr_equal(t.parts->next, p);
	gpart_lost(&g, "t", 1);
}

/* One that came with a topic that has grown begins with its first message. */
static void
test_claimed_of_a_grown_topic(void **state)
{
	(void)state;
	gpart_claimed(&g, "t", 4);
	assert_int_equal(t.first_new, 4);
	gpart_lost(&g, "t", 4);
}

static void
test_no_memory_to_start(void **state)
{
	struct gpart *p;

	(void)state;
	no_memory = true;
	p = start(NULL);
	assert_int_equal(p->state, GPART_STARTING);
	no_memory = false;
	start(NULL);
	assert_int_equal(p->state, GPART_ACTIVE);
	assert_int_equal(t.known, 2);
}

/* What was acknowledged before is passed over. */
static void
test_hands_out(void **state)
{
	struct gpart *p = start("BC");	/* 8 and 9 are done */
	struct offer *f = gpart_next(p);

	(void)state;
	assert_int_equal(f->offset, 7);
	assert_int_equal(gpart_next(p)->offset, 10);
	assert_int_equal(gpart_ack(p, 9), OFFERS_AGAIN);
	assert_int_equal(gpart_ack(p, END), OFFERS_NEVER);
	offers_return(&p->offers, f);
	assert_ptr_equal(gpart_next(p), f);
}

static void
test_astray(void **state)
{
	struct gpart *p = start(NULL);

	(void)state;
	out_of_range = true;
	assert_null(gpart_next(p));
	assert_true(p->astray);
	out_of_range = false;
	assert_null(gpart_next(p));
	gpart_doubt(p, clock_ms);
	gpart_found(p);
	assert_int_equal(p->doubt_ms, 0);
	assert_non_null(gpart_next(p));
}

/* What was out finds nothing, and a commit that is on its way says nothing. */
static void
test_restarted(void **state)
{
	struct gpart *p = start(NULL);

	(void)state;
	offers_confirm(&p->offers, gpart_next(p));
	committed_send(&p->committed, &p->offers);
	gpart_next(p);
	gpart_restart(p);
	assert_int_equal(p->state, GPART_STARTING);
	assert_int_equal(p->offers.n, 0);
	assert_false(committed_is_sent(&p->committed));
	assert_int_equal(readers, 0);
	assert_int_equal(asked, 2);
	start(NULL);
	assert_int_equal(gpart_next(p)->offset, COMMITTED);
}

static void
test_revoked_with_nothing_to_commit(void **state)
{
	(void)state;
	start(NULL);
	revoked();
	assert_null(t.parts);
	assert_int_equal(commits, 0);
	assert_int_equal(released, 1);
	revoked();			/* ours no more: so it is free */
	assert_int_equal(released, 2);
}

/* Nothing is skipped, and nothing is read by two: confirms, then a commit, then the release. */
static void
test_revoked(void **state)
{
	struct gpart *p = start(NULL);
	struct offer *f = gpart_next(p);

	(void)state;
	revoked();
	assert_int_equal(p->state, GPART_STOPPING);
	assert_null(gpart_next(p));
	gpart_step(p);
	assert_int_equal(commits, 0);
	offers_confirm(&p->offers, f);
	gpart_step(p);
	assert_int_equal(commits, 1);
	committed_send(&p->committed, &p->offers);
	gpart_step(p);
	assert_int_equal(commits, 1);	/* it is on its way */
	assert_int_equal(released, 0);
	committed_done(&p->committed, &p->offers, true, clock_ms);
	gpart_step(p);
	assert_int_equal(released, 1);
}

/* Nobody confirms, Kafka does not answer: others wait for it only so long. */
static void
test_revoked_in_vain(void **state)
{
	struct gpart *p = start(NULL);

	(void)state;
	offers_confirm(&p->offers, gpart_next(p));
	gpart_next(p);
	revoked();
	clock_ms += STOP_CONFIRM_MS - 1;
	gpart_step(p);
	assert_int_equal(commits, 0);
	clock_ms++;
	gpart_step(p);
	assert_int_equal(commits, 1);
	clock_ms += STOP_COMMIT_MS - 1;
	gpart_step(p);
	assert_int_equal(released, 0);
	clock_ms++;
	gpart_step(p);
	assert_int_equal(released, 1);
}

static void
test_revoked_and_given_up(void **state)
{
	struct gpart *p = start(NULL);

	(void)state;
	offers_confirm(&p->offers, gpart_next(p));
	revoked();
	assert_int_equal(released, 0);
	gpart_give_up(p);
	gpart_step(p);
	assert_int_equal(released, 1);
}

/* A probe writes what is committed: it must not come after what the next owner commits. */
static void
test_revoked_while_probing(void **state)
{
	struct gpart *p = start(NULL);

	(void)state;
	g.probe.job = (struct group_look *)&token;
	revoked();
	assert_int_equal(released, 0);
	g.probe.job = NULL;
	gpart_step(p);
	assert_int_equal(released, 1);
}

/* An offset that is being stored or set must have landed. */
static void
test_revoked_while_starting(void **state)
{
	struct gpart *p = claim();

	(void)state;
	t.start = (struct group_start *)&token;
	revoked();
	assert_int_equal(p->state, GPART_STOPPING);
	t.start = NULL;
	t.holds = 1;
	gpart_step(p);
	assert_int_equal(released, 0);
	t.holds = 0;
	gpart_step(p);
	assert_int_equal(released, 1);
}

/* Others have it already: nothing is committed, and there is no claim to be given back. */
static void
test_lost(void **state)
{
	struct gpart *p = start(NULL);

	(void)state;
	offers_confirm(&p->offers, gpart_next(p));
	gpart_lost(&g, "t", 2);
	p = start(NULL);
	offers_confirm(&p->offers, gpart_next(p));
	revoked();
	gpart_lost(&g, "t", 2);
	assert_null(t.parts);
	assert_int_equal(released, 0);
}

/* By another consumer it is read on; without one it starts again. */
static void
test_handed_over(void **state)
{
	struct gpart *p = start(NULL);
	struct offer *f = gpart_next(p);

	(void)state;
	gpart_hand_over(p, NULL);
	assert_int_equal(p->state, GPART_ACTIVE);
	assert_int_equal(readers, 1);
	assert_int_equal(gpart_next(p)->offset, COMMITTED + 1);
	offers_confirm(&p->offers, f);
	commit(p);
	assert_int_equal(p->committed.offset, COMMITTED + 1);
	no_memory = true;
	gpart_hand_over(p, NULL);
	assert_int_equal(p->state, GPART_STARTING);
}

/* A step that is not drawn is told. */
static void
test_wrong_steps(void **state)
{
	static const struct {
		enum gpart_state from, to;
	} wrong[] = {
		{ GPART_STARTING, GPART_STARTING }, { GPART_ACTIVE, GPART_ACTIVE },
		{ GPART_STOPPING, GPART_STOPPING }, { GPART_STOPPING, GPART_STARTING },
		{ GPART_STOPPING, GPART_ACTIVE },
	};
	struct gpart p = { .t = &t };

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		p.state = wrong[i].from;
		gpart_enter(&p, wrong[i].to);
		assert_int_equal(wrong_steps, i + 1);
	}
	wrong_steps = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_claimed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_claimed_of_a_grown_topic, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_memory_to_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hands_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_astray, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restarted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked_with_nothing_to_commit, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_revoked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked_in_vain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked_and_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked_while_probing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked_while_starting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_handed_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_steps, set_up, tear_down),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
