/* What --kafkaVersion means, what is made of librdkafka's lines about connections, and
 * which versions of it are to be avoided. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>

#include "helper/kafka/kafka_library.h"
#include "helper/kafka/kafka_trouble.h"
#include "helper/kafka/kafka_version.h"
#include "tests/unit/unit.h"

static void
test_version(void **state)
{
	static const struct {
		const char *given, *old;
	} good[] = {
		{ "", NULL }, { "0.8.2", "0.8.2" }, { "0.8.2.2", "0.8.2" }, { "0.9", "0.9.0" },
		{ "0.9.0.1", "0.9.0" }, { "0.10", NULL }, { "0.10.2.1", NULL }, { "0.11.0", NULL },
		{ "1.0", NULL }, { "3.9.1", NULL }, { "4.1.0", NULL }, { "10.9", NULL },
	};
	static const char *const bad[] = {
		"0.8", "0.8.1", "0.8.0.1", "0.8.20", "0.7.2", "0.1", "9", "x", "0.9x", "0.9.", ".9",
		"0..9", "0.9.0.1.2", "v0.9", " 0.9", "0.9 ", "-0.9", "0,9", "latest",
	};
	const char *old;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_err(kafka_version(good[i].given, &old), KP_OK);
		if (good[i].old)
			assert_string_equal(old, good[i].old);
		else
			assert_null(old);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_err(kafka_version(bad[i], &old), KP_EBADREQ);
}

#define THREAD "[thrd:x:1/bootstrap]: "
#define OURS "; the broker does not accept our certificate, or expects one: see " \
    "ssl.certificate.location"

static void
test_cause(void **state)
{
	static const struct {
		const char *line, *cause;
	} cases[] = {
		{ THREAD "k1:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused "
		    "(after 0ms in state CONNECT, 14 identical error(s) suppressed)",
		    "k1:9092: Connect to ipv4#10.0.0.1:9092 failed: Connection refused" },
		{ THREAD "sasl_ssl://k1:9092/bootstrap: SASL authentication error: no (after 3ms "
		    "in state AUTH_REQ)", "k1:9092: SASL authentication error: no" },
		{ "k1:9092/1: Disconnected", "k1:9092: Disconnected" },
		{ "GroupCoordinator: k1:9092: Disconnected (after 1ms in state UP)",
		    "GroupCoordinator: k1:9092: Disconnected" },
		{ THREAD "k1:9092/bootstrap: Disconnected while requesting ApiVersion: might be "
		    "caused by incorrect security.protocol (after 1ms in state APIVERSION_QUERY)",
		    "k1:9092: the broker hung up when it was asked for its version: one before "
		    "0.10 needs --kafkaVersion, one that expects TLS or SASL -X "
		    "security.protocol" },
		{ THREAD "k1:9092/bootstrap: ApiVersionRequest failed: Local: Timed out: probably "
		    "due to old broker version (after 1ms in state APIVERSION_QUERY)",
		    "k1:9092: the broker does not answer when it is asked for its version: one "
		    "before 0.10 needs --kafkaVersion" },
		{ THREAD "ssl://k1:9092/bootstrap: SSL handshake failed: error:0A000086:SSL "
		    "routines::certificate verify failed: broker certificate could not be "
		    "verified (after 1ms in state SSL_HANDSHAKE)",
		    "k1:9092: SSL handshake failed: certificate verify failed: see "
		    "ssl.ca.location" },
		{ THREAD "ssl://k1:9092/1: Receive failed: sslv3 alert bad certificate (after 1ms)",
		    "k1:9092: Receive failed: sslv3 alert bad certificate" OURS },
		{ "no colon", "no colon" },
		{ "", "" },
		{ "[", "[" },
		{ ": ", ": " },
	};
	struct kafka_trouble *t = kafka_trouble_new();
	char cause[400], own[400];

	(void)state;
	assert_non_null(t);
	assert_false(kafka_trouble_cause(t, cause, sizeof(cause)));
	assert_string_equal(cause, "");
	for (size_t i = 0; i < COUNT(cases); i++) {
		kafka_trouble_note(t, cases[i].line);
		assert_true(kafka_trouble_cause(t, cause, sizeof(cause)));
		assert_string_equal(cause, cases[i].cause);
	}
	snprintf(own, sizeof(own), THREAD "h:9/1: SASL authentication error: "
	    "SaslAuthenticateRequest failed: %s (after 1ms)",
	    rd_kafka_err2str(RD_KAFKA_RESP_ERR__DESTROY));
	kafka_trouble_note(t, own);
	assert_true(kafka_trouble_cause(t, cause, sizeof(cause)));
	assert_string_equal(cause, cases[COUNT(cases) - 1].cause);
	kafka_trouble_free(t);
}

static void
test_reason_of_a_certificate(void **state)
{
	static const char line[] = "ssl://k1:9092/1: SSL handshake failed: x::certificate verify "
	    "failed: y";
	struct kafka_trouble *t = kafka_trouble_new();
	char cause[400];

	(void)state;
	assert_non_null(t);
	assert_string_equal(kafka_trouble_certificate(t, 10), "it has expired");
	kafka_trouble_note(t, line);
	kafka_trouble_cause(t, cause, sizeof(cause));
	assert_string_equal(cause, "k1:9092: SSL handshake failed: certificate verify failed: it "
	    "has expired");
	assert_string_equal(kafka_trouble_certificate(t, 9999), "OpenSSL does not accept it");
	kafka_trouble_free(t);
}

/* Where each range of faults begins, and where it ends. */
static void
test_bad_releases(void **state)
{
	static const struct {
		int version;
		const char *says;		/* NULL: nothing is known */
	} rows[] = {
		{ 0x020002ff, NULL }, { 0x020100ff, "stop reading a partition" },
		{ 0x020101ff, "take 2.3.0" }, { 0x020200ff, "take 2.3.0" }, { 0x020300ff, NULL },
		{ 0x020400ff, NULL }, { 0x020500ff, "enable.metrics.push=false" },
		{ 0x020503ff, NULL }, { 0x020600ff, "Kafka before 2.7" }, { 0x020601ff, NULL },
		{ 0x020800ff, NULL }, { 0x020a00ff, "take 2.10.1" }, { 0x020a01ff, NULL },
		{ 0x021000ff, NULL }, { 0x7fffffff, NULL }, { 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *said = kafka_library_fault(rows[i].version);

		assert_int_equal(said != NULL, rows[i].says != NULL);
		if (said)
			assert_non_null(strstr(said, rows[i].says));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_cause),
		cmocka_unit_test(test_reason_of_a_certificate),
		cmocka_unit_test(test_bad_releases),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
