/* The directory of topics, with a Kafka of the test's own below it. */
#define kafka_admin_look fake_look
#define kafka_admin_why fake_why
#define topics_new fake_topics_new
#define topics_stop fake_topics_stop
#define topics_free fake_topics_free
#define topics_ask fake_topics_ask
#define topics_forget fake_topics_forget
#define topics_answered fake_topics_answered
#include "helper/kafka/topics.c"

#include <stdio.h>

#include "tests/unit/unit.h"

#define WAIT_MS 10000
#define MANY 3000
#define IDLE_MAX 1024			/* of those that do not exist */

static struct {
	uv_mutex_t lock;		/* of what follows: looks run on workers */
	const char *exists;		/* names that begin with it do */
	enum kp_err err;		/* of all */
	unsigned looked, created;	/* names */
	unsigned rounds;
} kafka;

void
fake_look(struct kafka_admin *a, struct topic_look **v, size_t n, bool create, int timeout_ms)
{
	(void)a, (void)timeout_ms;
	uv_mutex_lock(&kafka.lock);
	kafka.rounds++;
	*(create ? &kafka.created : &kafka.looked) += (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		v[i]->err = kafka.err ? kafka.err : kafka.exists && strncmp(v[i]->topic,
		    kafka.exists, strlen(kafka.exists)) == 0 ? KP_OK : KP_ENOTFOUND;
		v[i]->code = (int)v[i]->err;
		v[i]->partitions = 3;
	}
	uv_mutex_unlock(&kafka.lock);
}

enum kp_err
fake_why(struct kafka_admin *a, int code, char *why)
{
	(void)a;
	snprintf(why, WHY_MAX, "%s", kp_err_name((enum kp_err)code));
	return (enum kp_err)code;
}

/* ---- */

struct asked {
	struct topics_ask ask;		/* first */
	bool done;
	enum kp_err err;
	int32_t partitions;
	unsigned turn;			/* of all answers */
};

static struct loop *loop;
static struct topics *topics;
static struct loop_timer deadline, poll;
static unsigned answers, awaited;
static bool late;

static int
setup(void **state)
{
	(void)state;
	memset(&kafka, 0, sizeof(kafka));
	uv_mutex_init(&kafka.lock);
	loop = loop_new();
	topics = topics_new(loop, NULL);
	assert_non_null(topics);
	answers = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	topics_stop(topics);
	loop_free(loop);
	topics_free(topics);
	uv_mutex_destroy(&kafka.lock);
	return 0;
}

static void
ask_done(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct asked *a = (struct asked *)ask;

	assert_false(a->done);
	assert_non_null(why);
	*a = (struct asked){ .done = true, .err = err, .partitions = partitions,
	    .turn = ++answers };
}

static void
ask(struct asked *a, const char *name, bool only_look)
{
	*a = (struct asked){ .ask = { .done = ask_done, .only_look = only_look } };
	topics_ask(topics, kp_slice_str(name), &a->ask);
}

static void
is_late(void *arg)
{
	(void)arg;
	late = true;
	loop_stop(loop);
}

static void
is_there(void *arg)
{
	(void)arg;
	if (answers >= awaited)
		loop_stop(loop);
}

/* Until there were so many answers since the beginning. */
static void
await(unsigned n)
{
	awaited = n;
	late = false;
	loop_timer_set(loop, &deadline, WAIT_MS, 0, is_late, NULL);
	loop_timer_set(loop, &poll, 0, 1, is_there, NULL);
	loop_run(loop);
	loop_timer_end(&deadline);
	loop_timer_end(&poll);
	assert_false(late);
}

/* A moment of the loop. */
static void
turn(void)
{
	awaited = 0;
	loop_timer_set(loop, &poll, 1, 0, is_there, NULL);
	loop_run(loop);
}

static unsigned
read_counter(const unsigned *counter)
{
	unsigned n;

	uv_mutex_lock(&kafka.lock);
	n = *counter;
	uv_mutex_unlock(&kafka.lock);
	return n;
}

static enum kp_err
answer_of(const char *name, bool only_look)
{
	struct asked a;

	ask(&a, name, only_look);
	await(a.done ? answers : answers + 1);
	assert_true(a.done);
	return a.err;
}

/* ---- */

static void
test_one_question_for_all_who_ask(void **state)
{
	struct asked a[5];

	(void)state;
	kafka.exists = "there";
	for (size_t i = 0; i < COUNT(a); i++)
		ask(&a[i], "there", i % 2 == 0);
	await(COUNT(a));
	for (size_t i = 0; i < COUNT(a); i++) {
		assert_err(a[i].err, KP_OK);
		assert_int_equal(a[i].partitions, 3);
		assert_int_equal(a[i].turn, i + 1);
	}
	assert_int_equal(kafka.looked, 1);
	assert_int_equal(kafka.created, 0);
	/* From now on it is known. */
	ask(&a[0], "there", false);
	assert_true(a[0].done);
}

/* Who only looks does not make it, and does not wait for it. */
static void
test_an_unknown_one_is_made_for_who_wants_it(void **state)
{
	struct asked wants, looks;
	int64_t begin;

	(void)state;
	assert_err(answer_of("new", true), KP_ENOTFOUND);
	assert_int_equal(kafka.created, 0);
	begin = loop_now_ms(loop);
	ask(&wants, "new", false);
	ask(&looks, "new", true);
	await(2);
	assert_true(looks.done);
	assert_false(wants.done);
	await(3);
	assert_err(wants.err, KP_ENOTFOUND);
	assert_int_equal(kafka.created, 1);
	assert_true(loop_now_ms(loop) - begin > TOPIC_CREATE_MS - 2 * AGAIN_MS);
	/* That is remembered for a moment, for both. */
	ask(&wants, "new", false);
	ask(&looks, "new", true);
	assert_true(wants.done && looks.done);
	assert_int_equal(kafka.created, 1);
}

static void
test_one_that_comes_is_found(void **state)
{
	struct asked wants;

	(void)state;
	ask(&wants, "coming", false);
	while (read_counter(&kafka.created) == 0)
		turn();
	uv_mutex_lock(&kafka.lock);
	kafka.exists = "coming";
	uv_mutex_unlock(&kafka.lock);
	await(1);
	assert_err(wants.err, KP_OK);
}

/* A broker that has just started says so of topics that there are. */
static void
test_one_that_was_known_is_doubted_first(void **state)
{
	int64_t begin;
	struct topic *e;

	(void)state;
	kafka.exists = "there";
	assert_err(answer_of("there", false), KP_OK);
	e = topics_dir_find(&topics->dir, LIT("there"));
	kafka.exists = NULL;
	e->good_until_ms = 0;
	begin = loop_now_ms(loop);
	while (answer_of("there", true) == KP_OK) {
		turn();
		assert_true(loop_now_ms(loop) - begin < WAIT_MS);
	}
	assert_true(loop_now_ms(loop) - begin > TOPIC_CREATE_MS - 2 * AGAIN_MS);
	assert_int_equal(kafka.created, 0);
}

/* Many new ones are asked for together, and more than are looked for at a time are told to
 * come again: they are neither unknown nor unreachable. */
static void
test_many_at_once(void **state)
{
	unsigned unknown = 0, busy = 0;
	struct asked *a = calloc(MANY, sizeof(*a));
	char name[32];

	(void)state;
	assert_non_null(a);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ask(&a[i], name, false);
	}
	await(MANY);
	for (unsigned i = 0; i < MANY; i++) {
		unknown += a[i].err == KP_ENOTFOUND;
		busy += a[i].err == KP_EBUSY;
	}
	assert_int_equal(unknown + busy, MANY);
	assert_true(unknown >= 1000);
	assert_true(busy > 0);
	assert_true(kafka.rounds < 100);
	assert_true(topics->dir.n[TOPIC_OTHER] <= IDLE_MAX);
	free(a);
}

/* What is known stays, whatever else is asked for. */
static void
test_it_has_an_end_and_keeps_what_is_used(void **state)
{
	struct asked *a = calloc(MANY, sizeof(*a)), known;
	char name[32];

	(void)state;
	assert_non_null(a);
	kafka.exists = "there";
	assert_err(answer_of("there", false), KP_OK);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		ask(&a[i], name, true);
	}
	await(MANY + 1);
	for (unsigned i = 0; i < MANY; i++)
		assert_err(a[i].err, KP_ENOTFOUND);
	assert_int_equal(topics->dir.n[TOPIC_OTHER], IDLE_MAX);
	ask(&known, "there", false);
	assert_true(known.done);
	assert_err(known.err, KP_OK);
	/* The last ones are those that are still there. */
	assert_null(topics_dir_find(&topics->dir, LIT("x0")));
	assert_non_null(topics_dir_find(&topics->dir, LIT("x2999")));
	free(a);
}

static void
test_kafka_away(void **state)
{
	(void)state;
	kafka.err = KP_EUNAVAIL;
	assert_err(answer_of("any", false), KP_EUNAVAIL);
	assert_false(topics_answered(topics));
	kafka.err = KP_OK;
	assert_err(answer_of("other", true), KP_ENOTFOUND);
	assert_true(topics_answered(topics));
	/* What was known is known. */
	kafka.exists = "there";
	assert_err(answer_of("there", false), KP_OK);
	kafka.err = KP_EUNAVAIL;
	topics_dir_find(&topics->dir, LIT("there"))->good_until_ms = 0;
	assert_err(answer_of("there", false), KP_OK);
}

/* A connection that has ended is not yet a Kafka that cannot be reached. */
static void
test_a_passing_failure_is_no_answer(void **state)
{
	struct asked wants;

	(void)state;
	kafka.err = KP_EUNAVAIL;
	ask(&wants, "there", false);
	while (read_counter(&kafka.rounds) == 0)
		turn();
	uv_mutex_lock(&kafka.lock);
	kafka.err = KP_OK;
	kafka.exists = "there";
	uv_mutex_unlock(&kafka.lock);
	await(1);
	assert_err(wants.err, KP_OK);
}

static void
test_forgotten_ones_are_asked_for_again(void **state)
{
	(void)state;
	kafka.exists = "there";
	assert_err(answer_of("there", false), KP_OK);
	kafka.exists = NULL;
	topics_forget(topics, LIT("there"));
	assert_err(answer_of("there", true), KP_ENOTFOUND);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_question_for_all_who_ask),
		TEST(test_an_unknown_one_is_made_for_who_wants_it),
		TEST(test_one_that_comes_is_found),
		TEST(test_one_that_was_known_is_doubted_first),
		TEST(test_many_at_once),
		TEST(test_it_has_an_end_and_keeps_what_is_used),
		TEST(test_kafka_away),
		TEST(test_a_passing_failure_is_no_answer),
		TEST(test_forgotten_ones_are_asked_for_again),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
