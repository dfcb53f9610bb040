/* Preloaded: librdkafka says that it is a release that has to be avoided. */
#include <librdkafka/rdkafka.h>

int
rd_kafka_version(void)
{
	return 0x020500ff;
}

const char *
rd_kafka_version_str(void)
{
	return "2.5.0";
}
