/* See stand.h. */
#include "tests/it/stand.h"

#include "tests/unit/unit.h"

struct helper helper;
struct peer peer;
static const char *const *last_options;

void
stand_start(const char *const *options)
{
	last_options = options;
	helper_start(&helper, mock.brokers, options);
	peer_open(&peer, &helper);
}

int
stand_setup(void **state)
{
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_PRODUCE);
	rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
	mock_up(&mock);
	helper_init(&helper);
	stand_start(*state);
	return 0;
}

int
stand_teardown(void **state)
{
	(void)state;
	peer_close(&peer);
	helper_stop(&helper, STOP_MS);
	return 0;
}

int
stand_setup_helper(void **state)
{
	helper_init(&helper);
	helper_start(&helper, mock.brokers, *state);
	return 0;
}

int
stand_teardown_helper(void **state)
{
	(void)state;
	helper_stop(&helper, STOP_MS);
	return 0;
}

void
stand_restart(const char *const *options)
{
	peer_close(&peer);
	helper_stop(&helper, STOP_MS);
	stand_start(options);
}

void
stand_kill(void)
{
	peer_close(&peer);
	helper_kill(&helper);
	stand_start(last_options);
}
