/*
 * What anybody may write as a member's registration in ZooKeeper: refused, or a list of
 * topics with believable counts, which ours prints and reads back.
 */
#include "helper/zookeeper/registration.h"
#include "tests/fuzz/fuzz.h"

static void
check_print(const struct registration *r)
{
	const char **names = calloc(r->n + 1, sizeof(*names));
	struct registration again;
	struct kp_buf out;

	for (size_t i = 0; i < r->n; i++)
		names[i] = r->v[i].name;
	kp_buf_init(&out, SIZE_MAX);
	PROMISE(registration_print(names, r->n, 1, &out) == KP_OK);
	PROMISE(registration_parse(kp_buf_slice(&out), &again) == KP_OK);
	PROMISE(again.n == r->n && !again.java && !again.wildcard);
	for (size_t i = 0; i < r->n; i++)
		PROMISE(registration_count(&again, names[i]) == 1);
	registration_free(&again);
	kp_buf_free(&out);
	free(names);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = fuzz_copy(data, size);
	struct registration r;
	enum kp_err err = registration_parse((struct kp_slice){ exact, size }, &r);

	PROMISE(err == KP_OK || err == KP_EBADMSG);
	PROMISE(err == KP_OK || r.n == 0);
	for (size_t i = 0; i < r.n; i++) {
		PROMISE(r.v[i].count >= 1 && r.v[i].count <= REGISTRATION_COUNT_MAX);
		PROMISE(registration_count(&r, r.v[i].name) ==
		    (r.wildcard ? r.v[0].count : r.v[i].count));
	}
	if (err == KP_OK)
		check_print(&r);
	registration_free(&r);
	PROMISE(registration_count(&r, "t") == 0);
	free(exact);
	return 0;
}
