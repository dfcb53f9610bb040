/* How much room the store has, for all and for each topic, and its numbers. Loop thread only. */
#include "common/clock.h"
#include "helper/store/store_thread.h"

/* Past this much that waits to be written, the disk is too slow. */
#define WAITING_BYTES_MAX (64u * 1024 * 1024)
#define HUNG_MS 5000
#define FULL_SHOWN_MS 2000
#define FAILED "the store has failed: restart the helper to check it; until then an async " \
	"message is only accepted once Kafka has it"

/* No topic may keep out the others. */
#define SHARE_PART 2

const char store_too_many_topics[] = "the topic is new, and too many others have messages in the "
	"store: Kafka has not taken them yet, or they are dead letters";

uint64_t
store_bytes(const struct store *s)
{
	return atomic_load(&s->bytes) + atomic_load(&s->waiting_bytes);
}

void
store_set_limits(struct store *s, uint64_t max_bytes, uint64_t min_free_bytes)
{
	if (!s->backend->keeps)
		return;
	s->max_bytes = max_bytes;
	s->min_free_bytes = min_free_bytes;
}

uint64_t
store_max_bytes(const struct store *s)
{
	return s->max_bytes;
}

/* The disk that is nearly full, or slower than what comes in. */
static const char *
disk_refuses(struct store *s)
{
	int64_t free_bytes = atomic_load(&s->free_bytes);

	if (atomic_load(&s->waiting_bytes) > WAITING_BYTES_MAX)
		return "the disk of the store is slower than what comes in";
	if (free_bytes < 0 || (uint64_t)free_bytes >= s->min_free_bytes)
		return NULL;
	store_wake(s);
	return "the disk of the store is nearly full: make room, or see --storeMinFreeBytes";
}

static const char *
size_refuses(const struct store *s, uint64_t bytes)
{
	if (s->max_bytes == 0 || store_bytes(s) + bytes <= s->max_bytes)
		return NULL;
	return "the store is full: Kafka has not taken what was accepted before; see "
	    "--storeMaxBytes";
}

uint64_t
store_topic_bytes(const struct store *s, struct kp_slice topic)
{
	int64_t bytes;

	return shares_find(s->shares, topic, &bytes) && bytes > 0 ? (uint64_t)bytes : 0;
}

static const char *
topic_refuses(const struct store *s, struct kp_slice topic, uint64_t bytes)
{
	int64_t has;

	if (shares_topics(s->shares) >= STORE_TOPICS_MAX && !shares_find(s->shares, topic, &has))
		return store_too_many_topics;
	if (s->max_bytes == 0 || store_topic_bytes(s, topic) + bytes <= s->max_bytes / SHARE_PART)
		return NULL;
	return "the topic has its share of the store, a half: Kafka has not taken what was "
	    "accepted before, or it is dead letters; see --storeMaxBytes";
}

const char *
store_refuses(struct store *s, struct kp_slice topic, uint64_t bytes)
{
	const char *why = size_refuses(s, bytes);

	if (why == NULL)
		why = disk_refuses(s);
	return why ? why : topic_refuses(s, topic, bytes);
}

void
store_stats(struct store *s, struct store_stats *out)
{
	int64_t now = clock_mono_ms(), direct = atomic_load(&s->direct);
	const char *disk;
	bool hung, full;

	uv_mutex_lock(&s->lock);
	out->counts = s->counts;
	hung = s->busy_since_ms && now - s->busy_since_ms > HUNG_MS;
	full = s->full_ms && now - s->full_ms < FULL_SHOWN_MS;
	uv_mutex_unlock(&s->lock);
	out->counts.accepted += direct;
	out->counts.delivered += direct;
	out->free_bytes = atomic_load(&s->free_bytes);
	disk = atomic_load(&s->failed) ? FAILED :
	    hung ? "the disk of the store does not answer" :
	    full ? "the disk of the store is full" : disk_refuses(s);
	out->trouble = disk ? disk : size_refuses(s, 1);
}
