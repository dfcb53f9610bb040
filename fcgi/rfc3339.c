/* A cursor over the text; whatever does not fit stops it. */
#include "fcgi/rfc3339.h"

#define DAY_S (24 * 60 * 60)

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static bool
skip(struct cursor *c, char upper)
{
	if (c->p == c->end || (*c->p & ~0x20) != (upper & ~0x20))
		return false;
	c->p++;
	return true;
}

static void
expect(struct cursor *c, char mark)
{
	if (c->p == c->end || *c->p != (uint8_t)mark)
		c->bad = true;
	else
		c->p++;
}

/* Exactly `digits` of them, min to max. */
static int
number(struct cursor *c, int digits, int min, int max)
{
	int n = 0;

	for (; digits > 0; digits--) {
		if (c->p == c->end || *c->p < '0' || *c->p > '9') {
			c->bad = true;
			return min;
		}
		n = 10 * n + (*c->p++ - '0');
	}
	if (n < min || n > max)
		c->bad = true;
	return n;
}

/* The digits behind the point, rounded up to milliseconds: 0 to 1000. */
static int
fraction_ms(struct cursor *c)
{
	const uint8_t *first;
	int ms = 0, scale = 100;
	bool rest = false;

	if (c->p == c->end || *c->p != '.')
		return 0;
	for (first = ++c->p; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
		ms += (*c->p - '0') * scale;
		rest |= scale == 0 && *c->p != '0';
		scale /= 10;
	}
	c->bad |= c->p == first;
	return ms + rest;
}

/* Seconds east of UTC. */
static int
zone_s(struct cursor *c)
{
	int sign, hours;

	if (skip(c, 'Z'))
		return 0;
	if (c->p == c->end || (*c->p != '+' && *c->p != '-')) {
		c->bad = true;
		return 0;
	}
	sign = *c->p++ == '+' ? 1 : -1;
	hours = number(c, 2, 0, 23);
	expect(c, ':');
	return sign * 60 * (60 * hours + number(c, 2, 0, 59));
}

static int
days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01: years are counted from March, so that the leap day comes last. */
static int64_t
days_before(int year, int month, int day)
{
	int64_t y = year - (month <= 2), m = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

bool
rfc3339_parse(struct kp_slice text, int64_t *ms)
{
	struct cursor c = { text.p, text.p + text.n, false };
	int year, month, day, hour, minute, second, fraction;
	int64_t s;

	year = number(&c, 4, 1, 9999);
	expect(&c, '-');
	month = number(&c, 2, 1, 12);
	expect(&c, '-');
	day = number(&c, 2, 1, c.bad ? 31 : days_in(year, month));
	c.bad |= !skip(&c, 'T');
	hour = number(&c, 2, 0, 23);
	expect(&c, ':');
	minute = number(&c, 2, 0, 59);
	expect(&c, ':');
	second = number(&c, 2, 0, 60);
	fraction = fraction_ms(&c);
	s = days_before(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - zone_s(&c);
	/* A leap second is the first of the next day here, and comes at no other time. */
	if (c.bad || c.p != c.end || (second == 60 && s % DAY_S != 0))
		return false;
	*ms = s * 1000 + fraction;
	return *ms >= 0 && *ms <= RFC3339_MAX_MS;
}
