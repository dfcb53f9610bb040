/* A table by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/names.h"
#include "tests/unit/unit.h"

#define MANY 1000

struct object {
	struct names_entry by_name;
	char name[16];
	bool there, seen;
};

static struct object objects[MANY];

static struct kp_slice
name_of(size_t i)
{
	return kp_slice_str(objects[i].name);
}

/* Each object is seen once, if it is there. */
static void
expect_all(const struct names *t)
{
	size_t n = 0;

	for (size_t i = 0; i < MANY; i++)
		objects[i].seen = false;
	for (struct names_entry *e = names_next(t, NULL); e; e = names_next(t, e)) {
		struct object *o = (struct object *)e;

		assert_true(o->there && !o->seen);
		o->seen = true;
		n++;
	}
	assert_int_equal(n, t->n);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(objects[i].seen, objects[i].there);
		assert_ptr_equal(names_find(t, name_of(i)),
		    objects[i].there ? &objects[i].by_name : NULL);
	}
}

static void
test_an_empty_one_has_nothing(void **state)
{
	struct names t = { 0 };

	(void)state;
	assert_null(names_find(&t, LIT("a")));
	assert_null(names_next(&t, NULL));
	assert_null(names_take(&t));
	names_clear(&t);
}

static void
add_all(struct names *t)
{
	for (size_t i = 0; i < MANY; i++) {
		snprintf(objects[i].name, sizeof(objects[i].name), "n%zu", i);
		assert_true(names_add(t, &objects[i].by_name, objects[i].name));
		objects[i].there = true;
	}
}

static void
test_what_is_there_is_found(void **state)
{
	struct names t = { 0 };
	struct names_entry *e, *next;

	(void)state;
	add_all(&t);
	expect_all(&t);
	assert_true(t.n_buckets >= MANY / 2);
	for (size_t i = 0; i < MANY; i += 3) {
		names_remove(&t, &objects[i].by_name);
		objects[i].there = false;
	}
	expect_all(&t);
	for (e = names_next(&t, NULL); e; e = next) {
		next = names_next(&t, e);
		names_remove(&t, e);
		((struct object *)e)->there = false;
	}
	expect_all(&t);
	names_clear(&t);
	assert_int_equal(t.n_buckets, 0);
}

static void
test_a_new_one_has_its_name(void **state)
{
	struct bigger {
		struct names_entry by_name;
		int64_t zero[3];
	} *one, *none;
	struct names t = { 0 };
	char name[] = "one, and more";

	(void)state;
	one = names_new(&t, sizeof(*one), (struct kp_slice){ (uint8_t *)name, 3 });
	none = names_new(&t, sizeof(*none), (struct kp_slice){ NULL, 0 });
	assert_non_null(one);
	assert_non_null(none);
	name[0] = 'n';
	assert_string_equal(one->by_name.name, "one");
	assert_true(one->zero[0] == 0 && one->zero[2] == 0);
	assert_ptr_equal(names_find(&t, LIT("one")), one);
	assert_ptr_equal(names_find(&t, LIT("")), none);
	names_remove(&t, &one->by_name);
	free(one);
	assert_null(names_find(&t, LIT("one")));
	free(names_take(&t));
	assert_null(names_take(&t));
}

/* Each once, whose memory may be used for something else at once; then it serves anew. */
static void
test_all_are_taken(void **state)
{
	struct names t = { 0 };
	struct names_entry *e;
	size_t n = 0;

	(void)state;
	add_all(&t);
	while ((e = names_take(&t)) != NULL) {
		struct object *o = (struct object *)e;

		assert_true(o->there);
		*o = (struct object){ .there = false };
		n++;
		assert_int_equal(t.n, MANY - n);
	}
	assert_int_equal(n, MANY);
	assert_null(t.buckets);
	assert_int_equal(t.n_buckets, 0);
	assert_null(names_take(&t));
	add_all(&t);
	expect_all(&t);
	names_clear(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_one_has_nothing),
		cmocka_unit_test(test_what_is_there_is_found),
		cmocka_unit_test(test_a_new_one_has_its_name),
		cmocka_unit_test(test_all_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
