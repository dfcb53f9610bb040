/* A store's place in a folder of its own, which goes with the test. */
#ifndef KP_STORE_FIXTURE_H
#define KP_STORE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "helper/store/store.h"
#include "tests/unit/unit.h"

static struct fixture {
	char dir[64];
	char path[128];
	struct loop *loop;
	struct store *s;		/* NULL: closed */
	/* what answers have left here */
	int done;
	enum kp_err err;
	struct store_ask *asked;
	struct store_loaded *rows;
	bool loaded;
} fx;

static inline void
close_store(void)
{
	if (fx.s) {
		store_finish(fx.s);
		store_close(fx.s);
	}
	fx.s = NULL;
}

/* A command's `done`. */
static inline void
note_done(struct store_cmd *cmd, enum kp_err err)
{
	(void)cmd;
	fx.done++;
	fx.err = err;
}

/* cmocka's. The store is not open yet. */
static inline int
setup(void **state)
{
	(void)state;
	fx = (struct fixture){ .dir = "store-XXXXXX" };
	if (mkdtemp(fx.dir) == NULL)
		return -1;
	snprintf(fx.path, sizeof(fx.path), "%s/s.db", fx.dir);
	fx.loop = loop_new();
	return fx.loop ? 0 : -1;
}

static inline int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	close_store();
	loop_free(fx.loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", fx.dir);
	return system(cmd);
}

#endif
