/* The helper's only JSON: {"pattern":"static","subscription":{"foo":1},...} */
#include "helper/zookeeper/registration.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void
registration_free(struct registration *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].name);
	free(r->v);
	*r = (struct registration){ 0 };
}

static bool
count_ok(const json_t *count)
{
	return json_is_integer(count) && json_integer_value(count) >= 1 &&
	    json_integer_value(count) <= REGISTRATION_COUNT_MAX;
}

/* Topics whose count makes no sense are left out, the others stay. */
static enum kp_err
take_topics(json_t *subscription, struct registration *out)
{
	const char *name;
	json_t *count;

	if (json_object_size(subscription) == 0)
		return KP_OK;
	out->v = calloc(json_object_size(subscription), sizeof(*out->v));
	if (out->v == NULL)
		return KP_ENOMEM;
	json_object_foreach(subscription, name, count) {
		if (!count_ok(count))
			continue;
		out->v[out->n].name = strdup(name);
		if (out->v[out->n].name == NULL)
			return KP_ENOMEM;
		out->v[out->n++].count = (int32_t)json_integer_value(count);
	}
	return KP_OK;
}

static bool
is_wildcard(const json_t *pattern)
{
	return json_is_string(pattern) &&
	    (strcmp(json_string_value(pattern), "white_list") == 0 ||
	    strcmp(json_string_value(pattern), "black_list") == 0);
}

enum kp_err
registration_parse(struct kp_slice in, struct registration *out)
{
	enum kp_err err = KP_EBADMSG;
	json_t *root;

	*out = (struct registration){ 0 };
	root = json_loadb((const char *)in.p, in.n, 0, NULL);
	if (json_is_object(root)) {
		out->java = json_is_string(json_object_get(root, "timestamp"));
		out->wildcard = is_wildcard(json_object_get(root, "pattern"));
		err = take_topics(json_object_get(root, "subscription"), out);
	}
	json_decref(root);
	if (err)
		registration_free(out);
	return err;
}

int32_t
registration_count(const struct registration *r, const char *topic)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->wildcard || strcmp(r->v[i].name, topic) == 0)
			return r->v[i].count;
	return 0;
}

static int
put(const char *text, size_t n, void *out)
{
	kp_buf_put(out, text, n);
	return 0;
}

enum kp_err
registration_print(const char *const *topics, size_t n, int64_t wall_s, struct kp_buf *out)
{
	json_t *subscription = json_object(), *root;
	int failed = 0;

	for (size_t i = 0; i < n; i++)
		failed |= json_object_set_new(subscription, topics[i], json_integer(1));
	root = json_pack("{s:i, s:s, s:I, s:o}", "version", 1, "pattern", "static",
	    "timestamp", (json_int_t)wall_s, "subscription", subscription);
	failed |= root == NULL || json_dump_callback(root, put, out, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(root);
	return failed || out->failed ? KP_ENOMEM : KP_OK;
}
