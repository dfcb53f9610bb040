/*
 * Ids: the permutation between what is told and what is stored.
 *
 * It is a Feistel network of two unequal halves, 31 and 30 bits, with SipHash
 * for its rounds: nobody without the key tells it from chance.
 */
#include "helper/store/ids.h"

#include <string.h>
#include <sys/random.h>

#define ROUNDS 8
#define HIGH_BITS 31
#define LOW_BITS 30
#define MASK(bits) ((UINT64_C(1) << (bits)) - 1)

static uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void
sip_rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

/* SipHash-2-4 of one word. */
static uint64_t
sip_word(const struct ids *ids, uint64_t word)
{
	const uint64_t length = UINT64_C(8) << 56;
	uint64_t k[2], v[4];

	memcpy(k, ids->key, sizeof(k));
	v[0] = k[0] ^ UINT64_C(0x736f6d6570736575);
	v[1] = k[1] ^ UINT64_C(0x646f72616e646f6d);
	v[2] = k[0] ^ UINT64_C(0x6c7967656e657261);
	v[3] = k[1] ^ UINT64_C(0x7465646279746573);
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
	v[3] ^= length;
	sip_rounds(v, 2);
	v[0] ^= length;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Each round changes one half by the other, so that the same again undoes it. */
static uint64_t
turn(const struct ids *ids, uint64_t n, unsigned round)
{
	uint64_t high = n >> LOW_BITS, low = n & MASK(LOW_BITS);
	uint64_t tag = (uint64_t)round << 56;

	if (round % 2)
		low ^= sip_word(ids, tag | high) & MASK(LOW_BITS);
	else
		high ^= sip_word(ids, tag | low) & MASK(HIGH_BITS);
	return high << LOW_BITS | low;
}

int64_t
ids_told(const struct ids *ids, int64_t row)
{
	uint64_t n = (uint64_t)(row - IDS_FIRST);

	if (row < IDS_FIRST || row >= IDS_END)
		return row;
	for (unsigned round = 0; round < ROUNDS; round++)
		n = turn(ids, n, round);
	return IDS_FIRST + (int64_t)n;
}

int64_t
ids_row(const struct ids *ids, int64_t told)
{
	uint64_t n = (uint64_t)(told - IDS_FIRST);

	if (told < IDS_FIRST || told >= IDS_END)
		return told;
	for (unsigned round = ROUNDS; round-- > 0; )
		n = turn(ids, n, round);
	return IDS_FIRST + (int64_t)n;
}

enum kp_err
ids_new(struct ids *ids)
{
	ssize_t n = getrandom(ids->key, sizeof(ids->key), 0);

	return n == (ssize_t)sizeof(ids->key) ? KP_OK : KP_EIO;
}
