/* librdkafka knows brokers before 0.10 by the beginning of their version, 0.8.2 or 0.9.0;
 * any other text it takes for a newer one. */
#include "helper/kafka/kafka_version.h"

#include <stddef.h>
#include <stdlib.h>

#define PARTS_MAX 4

/* How many numbers there are, 0 when it is something else. */
static size_t
parse(const char *s, long parts[PARTS_MAX])
{
	size_t n = 0;

	for (;;) {
		char *end;

		if (n == PARTS_MAX || *s < '0' || *s > '9')
			return 0;
		parts[n++] = strtol(s, &end, 10);
		if (*end == '\0')
			return n;
		if (*end != '.')
			return 0;
		s = end + 1;
	}
}

enum kp_err
kafka_version(const char *given, const char **old)
{
	long v[PARTS_MAX] = { 0 };

	*old = NULL;
	if (given[0] == '\0')
		return KP_OK;
	if (parse(given, v) < 2)
		return KP_EBADREQ;
	if (v[0] > 0 || v[1] >= 10)
		return KP_OK;
	if (v[1] == 9)
		*old = "0.9.0";
	else if (v[1] == 8 && v[2] == 2)
		*old = "0.8.2";
	return *old ? KP_OK : KP_EBADREQ;
}
