/* What most programs here have: a helper on the mock cluster, and one peer of it. */
#ifndef KP_IT_STAND_H
#define KP_IT_STAND_H

#include "tests/it/mock.h"
#include "tests/it/peer.h"

extern struct helper helper;
extern struct peer peer;

/* A test with a new helper on a cluster without faults; `options` as for helper_start(). */
#define STAND_TEST(test, options) \
	cmocka_unit_test_prestate_setup_teardown(test, stand_setup, stand_teardown, \
	    (void *)(uintptr_t)(options))

/* cmocka's; *state: the options. */
int stand_setup(void **state);
/* The helper must end in order. */
int stand_teardown(void **state);
/* The same without the peer, for tests that count connections or start the helper themselves. */
int stand_setup_helper(void **state);
int stand_teardown_helper(void **state);
/* Both, on the store that is there. */
void stand_start(const char *const *options);
/* Both again, after an order to end, or after SIGKILL and with the same options. */
void stand_restart(const char *const *options);
void stand_kill(void);

#endif
