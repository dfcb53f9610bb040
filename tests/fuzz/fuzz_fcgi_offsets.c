/*
 * The JSON body of POST offsets. What is taken is sorted, unique and in range, and is the
 * same when it is written as a reply to GET and posted back.
 */
#include <inttypes.h>
#include <time.h>

#include "fcgi/json.h"
#include "fcgi/json_in.h"
#include "fcgi/rfc3339.h"
#include "tests/fuzz/fuzz.h"

/* A time is one that can be written, and is read back. */
static void
check_time(int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char date[32], text[40];
	int64_t again = -1;
	struct tm tm;
	int n;

	PROMISE(ms >= 0 && ms <= RFC3339_MAX_MS);
	PROMISE(gmtime_r(&s, &tm) != NULL);
	PROMISE(strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 19);
	n = snprintf(text, sizeof(text), "%s.%03" PRId64 "Z", date, ms % 1000);
	PROMISE(rfc3339_parse((struct kp_slice){ (const uint8_t *)text, (size_t)n }, &again));
	PROMISE(again == ms);
}

static void
check_list(struct msg_offsets *m)
{
	PROMISE(m->n <= PARTITIONS_MAX);
	for (size_t i = 0; i < m->n; i++) {
		PROMISE(m->v[i].partition >= 0 && m->v[i].offset >= -2);
		PROMISE(m->v[i].metadata.n <= METADATA_MAX);
		PROMISE(i == 0 || m->v[i].partition > m->v[i - 1].partition);
		if (m->v[i].by_time)
			check_time(m->v[i].offset);
		m->v[i].by_time = false;	/* a reply has offsets only */
	}
}

static void
check_post_back(const struct msg_offsets *m)
{
	struct msg_offsets again = { 0 };
	struct json_doc doc;
	struct kp_buf out;
	char why[512];

	kp_buf_init(&out, SIZE_MAX);
	json_offsets(&out, m);
	PROMISE(json_parse_offsets(kp_buf_slice(&out), &doc, &again, why, sizeof(why)) == KP_OK);
	PROMISE(again.n == m->n);
	for (size_t i = 0; i < m->n; i++) {
		PROMISE(again.v[i].partition == m->v[i].partition);
		PROMISE(again.v[i].offset == m->v[i].offset && !again.v[i].by_time);
		PROMISE(kp_slice_eq(again.v[i].metadata, m->v[i].metadata));
	}
	json_doc_free(&doc);
	kp_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = fuzz_copy(data, size);
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	char why[512] = "";
	enum kp_err err = json_parse_offsets((struct kp_slice){ exact, size }, &doc, &m, why,
	    sizeof(why));

	PROMISE(err == KP_OK || err == KP_EBADREQ);
	if (err == KP_OK) {
		check_list(&m);
		check_post_back(&m);
	} else {
		PROMISE(why[0] && strlen(why) < sizeof(why));
	}
	json_doc_free(&doc);
	free(exact);
	return 0;
}
