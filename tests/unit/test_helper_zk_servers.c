/* --zookeeperPeers: what Kafka-Pixy takes, and IPv6. */
#include "helper/zookeeper/zk_servers.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static void
test_what_is_taken(void **state)
{
	static const struct { const char *text, *hosts, *chroot, *bare; } good[] = {
		{ "z", "z:2181", "", "z:2181" },
		{ "z:1", "z:1", "", "z:1" },
		{ "z:65535/", "z:65535", "", "z:65535" },
		{ "z//", "z:2181", "", "z:2181" },
		{ "z:2181/kafka/", "z:2181", "/kafka", "z:2181" },
		{ "z/kafka", "z:2181", "/kafka", "z:2181" },
		{ "a,b:2,c/x/y/", "a:2181,b:2,c:2181", "/x/y", "a:2181,b:2,c:2181" },
		{ "a:1,,b,", "a:1,b:2181", "", "a:1,b:2181" },
		{ "[::1]", "[::1]:2181", "", "::1:2181" },
		{ "[fe80::2]:7,10.0.0.1/k", "[fe80::2]:7,10.0.0.1:2181", "/k",
		    "fe80::2:7,10.0.0.1:2181" },
		{ "z/.k/..k/...", "z:2181", "/.k/..k/...", "z:2181" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char *hosts, *chroot, *bare;

		assert_int_equal(zk_servers_parse(good[i].text, &hosts, &chroot), KP_OK);
		assert_string_equal(hosts, good[i].hosts);
		assert_string_equal(chroot, good[i].chroot);
		bare = zk_servers_bare(hosts);
		assert_string_equal(bare, good[i].bare);
		free(hosts);
		free(chroot);
		free(bare);
	}
}

static void
test_what_is_not(void **state)
{
	static const char *const bad[] = {
		"", "/", "/kafka", ",", ":2181", "z:", "z:0", "z:65536", "z:port", "z:2181x", "::1",
		"::1:2181", "[::1", "[::1]2181", "[::1]:", "[z]:2181", "[]:1", "z/a//b", "z/./a",
		"z/a/..", "z/.", "a:1,b:", "a:1,::1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char *hosts, *chroot;

		print_message("\"%s\"\n", bad[i]);
		assert_int_equal(zk_servers_parse(bad[i], &hosts, &chroot), KP_EBADREQ);
		assert_null(hosts);
		assert_null(chroot);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_taken),
		cmocka_unit_test(test_what_is_not),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
