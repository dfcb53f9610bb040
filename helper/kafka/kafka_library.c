/* Releases that have to be avoided. Faults that a distribution's version has, and that
 * the rest of the helper copes with, are not among them. */
#include "helper/kafka/kafka_library.h"

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "common/log.h"

/* As librdkafka numbers it; the last byte counts candidates, and is 255 for the release. */
#define V(major, minor, patch) ((major) << 24 | (minor) << 16 | (patch) << 8)

static const struct {
	int from;
	int before;			/* the first version without it */
	const char *say;
} faults[] = {
	{ V(2, 1, 0), V(2, 3, 0), "a consumer may stop reading a partition for good after its "
	    "leader changed; take 2.3.0 or later" },
	{ V(2, 5, 0), V(2, 5, 3), "it ends the helper when a broker asks for metrics; take 2.5.3 "
	    "or later, or set -X enable.metrics.push=false" },
	{ V(2, 6, 0), V(2, 6, 1), "it reads nothing from Kafka before 2.7; take 2.6.1 or later" },
	{ V(2, 10, 0), V(2, 10, 1), "once all brokers were away it may not come back to them, or "
	    "crash; take 2.10.1 or later" },
};

const char *
kafka_library_version(void)
{
	return rd_kafka_version_str();
}

const char *
kafka_library_fault(int version)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (version >= faults[i].from && version < faults[i].before)
			return faults[i].say;
	return NULL;
}

void
kafka_library_warn(void)
{
	const char *fault = kafka_library_fault(rd_kafka_version());

	if (fault)
		log_warn("librdkafka version=%s: %s", kafka_library_version(), fault);
}
