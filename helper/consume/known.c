/* A table of hashes: a name that is taken for another one costs that messages come twice. */
#include "helper/consume/known.h"

#include "common/buf.h"

#define KEEP_MS (24 * 60 * 60 * 1000)
/* So many places next to each other are looked at. */
#define PLACES 8

static uint64_t
make_key(const char *group, const char *topic)
{
	return (uint64_t)kp_slice_hash(kp_slice_str(group)) << 32 |
	    kp_slice_hash(kp_slice_str(topic));
}

static uint64_t
place(uint64_t key, unsigned i)
{
	return ((key >> 32) * 31 + key + i) % KNOWN_SLOTS;
}

void
known_note(struct known *k, const char *group, const char *topic, int32_t partition,
    int64_t now_ms)
{
	uint64_t key = make_key(group, topic);
	struct known_slot *slot = &k->slots[place(key, 0)];

	for (unsigned i = 0; i < PLACES; i++) {
		struct known_slot *s = &k->slots[place(key, i)];

		if (s->key == key) {
			slot = s;
			break;
		}
		if (s->until_ms < slot->until_ms)
			slot = s;
	}
	*slot = (struct known_slot){ key, now_ms + KEEP_MS, partition };
}

int32_t
known_find(const struct known *k, const char *group, const char *topic, int64_t now_ms)
{
	uint64_t key = make_key(group, topic);

	for (unsigned i = 0; i < PLACES; i++) {
		const struct known_slot *s = &k->slots[place(key, i)];

		if (s->key == key && now_ms < s->until_ms)
			return s->partition;
	}
	return -1;
}
