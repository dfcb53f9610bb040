/*
 * The librdkafka that this process runs on: not always the one that it was built
 * with, as a package of the system is upgraded by itself.
 */
#ifndef KP_KAFKA_LIBRARY_H
#define KP_KAFKA_LIBRARY_H

/* "2.0.2", static. */
const char *kafka_library_version(void);

/* What is wrong with a version, numbered as rd_kafka_version() does, and what to do
 * about it, static. NULL: nothing that is known. */
const char *kafka_library_fault(int version);

/* A line in the log when something is wrong with the one that is there. */
void kafka_library_warn(void);

#endif
