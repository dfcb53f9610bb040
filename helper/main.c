/*
 * The helper daemon: boot order, signals, shutdown order.
 *
 * Boot: options, loop, Kafka handles, store, ZooKeeper, groups; the socket last,
 * so that whoever can connect is served. None of it waits for Kafka or ZooKeeper.
 * Shutdown: no new requests; groups commit and leave, Kafka takes what it takes,
 * requests in flight are answered; then the parts end in reverse order. What
 * stays in the store is sent after the next start.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/nohup.h"
#include "common/privacy.h"
#include "common/secret.h"
#include "helper/admin/health.h"
#include "helper/consume/group.h"
#include "helper/zookeeper/zk.h"
#include "helper/dispatch.h"
#include "helper/helper.h"
#include "helper/ipc.h"
#include "helper/produce/lookout.h"
#include "helper/kafka/kafka_library.h"
#include "helper/produce/op_produce.h"
#include "helper/produce/sender.h"
#include "helper/tidy.h"
#include "helper/threads.h"
#include "helper/kafka/topics.h"

#define EXIT_USAGE 2
#define DRAIN_MS 10000
#define STOP_CHECK_MS 20
/* If a library hangs at the end, the process still ends; nothing is lost by it. */
#define STOP_LIMIT_S 14
/* Workers; the store, ZooKeeper and the like; librdkafka's of what is always there, with one
 * broker. */
#define BOOT_THREADS (LOOP_WORKERS + 6 + 16)

struct boot {
	struct helper h;
	char member[256];
	uv_signal_t term, intr, quit, hup;
	struct loop_timer stop;
	int64_t stop_until_ms;
	bool groups_closed, drained, zk_closing, zk_closed;
	bool clean;			/* nothing uses the parts any more */
};

/* pixy_<host>_<pid>_<UTC time>, as Kafka-Pixy names its members. */
static void
make_member(char *out, size_t cap)
{
	char host[128] = "localhost", when[32];
	time_t now = clock_wall_ms() / 1000;
	struct tm tm;

	gethostname(host, sizeof(host) - 1);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	snprintf(out, cap, "pixy_%s_%d_%s", host, (int)getpid(), when);
}

/* Kafka's old client ids may only hold [A-Za-z0-9._-]. */
static void
make_client_id(const char *member, char *out, size_t cap)
{
	size_t n = 0;

	for (; member[n] && n + 1 < cap; n++)
		out[n] = member[n] == ':' ? '.' : member[n];
	out[n] = '\0';
}

static enum kp_err
default_store(struct conf *c)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char path[4096];

	if (c->store[0])
		return KP_OK;
	if (geteuid() == 0)
		snprintf(path, sizeof(path), "/var/lib/kafka-pixy/store.db");
	else if (state && state[0] == '/')
		snprintf(path, sizeof(path), "%s/kafka-pixy/store.db", state);
	else
		snprintf(path, sizeof(path), "%s/.local/state/kafka-pixy/store.db",
		    home ? home : "");
	free(c->store);
	c->store = strdup(path);
	return c->store ? KP_OK : KP_ENOMEM;
}

/* Many peers need many descriptors. */
static void
set_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
}

/* ---- boot ---- */

/* librdkafka's report of a message that timed out comes up to a second later: the
 * sum is what the asker waits for. */
static unsigned
sync_timeout_ms(const struct conf *c)
{
	unsigned ms = (unsigned)c->sync_timeout_ms;

	return ms >= 2000 ? ms - 1000 : ms / 2;
}

static enum kp_err
open_kafka(struct boot *b)
{
	struct helper *h = &b->h;
	char client_id[256];
	enum kp_err err;

	make_client_id(b->member, client_id, sizeof(client_id));
	err = kafka_open(&h->conf, client_id, &h->kafka);
	if (err)
		return err;
	h->sync = producer_new(h->loop, h->kafka, &(struct producer_conf){
	    .timeout_ms = sync_timeout_ms(&h->conf), .delivered = op_produce_delivered });
	if (h->sync)
		h->reach = kafka_reach_new(h->loop, h->kafka, conf_embedded(&h->conf));
	if (h->reach)
		h->admin = kafka_admin_new(h->kafka);
	if (h->admin)
		h->topics = topics_new(h->loop, h->admin);
	if (h->topics == NULL)
		return KP_EIO;
	err = sender_open(h->loop, h->kafka, &h->conf, &h->sender);
	if (err == KP_OK)
		h->lookout = lookout_new(h->loop, h->kafka, h->reach, h->sender, h->sync);
	return err == KP_OK && h->lookout == NULL ? KP_ENOMEM : err;
}

static enum kp_err
open_groups(struct boot *b)
{
	struct helper *h = &b->h;
	static const struct coordination_ops *const ops[] = {
		[COORD_ZOOKEEPER] = &coordination_zookeeper,
		[COORD_KAFKA] = &coordination_kafka,
		[COORD_LOCAL] = &coordination_local,
	};
	bool zookeeper = h->conf.coordination == COORD_ZOOKEEPER;
	struct groups_env env = {
		.loop = h->loop, .kafka = h->kafka, .reach = h->reach, .admin = h->admin,
		.topics = h->topics, .conf = &h->conf,
		.ops = ops[h->conf.coordination],
		.coordination = { .loop = h->loop, .admin = h->admin, .member = b->member },
	};
	enum kp_err err;

	if (h->conf.coordination == COORD_KAFKA &&
	    strncmp(h->conf.kafka_version, "0.8", 3) == 0) {
		log_error("--coordination kafka: brokers manage groups from Kafka 0.9 on; use "
		    "zookeeper with --kafkaVersion %s", h->conf.kafka_version);
		return KP_EBADREQ;
	}
	if (zookeeper) {
		err = zk_open(h->loop, h->conf.zookeeper_peers, &h->zk);
		if (err) {
			log_error("--zookeeperPeers \"%s\": expected host[:port],...[/chroot], "
			    "and IPv6 in brackets",
			    h->conf.zookeeper_peers);
			return err;
		}
		env.coordination.zk = h->zk;
	}
	h->groups = groups_new(&env);
	h->health = health_new(h->loop, h->admin, h->zk, h->sender);
	return h->groups && h->health ? KP_OK : KP_ENOMEM;
}

/* ---- shutdown ---- */

static void
set_true(void *arg)
{
	*(bool *)arg = true;
}

/* The session ends after the groups have left and every question is answered. */
static void
close_zk(struct boot *b)
{
	b->zk_closing = true;
	if (b->h.zk)
		zk_close(b->h.zk, set_true, &b->zk_closed);
	else
		b->zk_closed = true;
}

static void
check_stopped(void *arg)
{
	struct boot *b = arg;
	bool quiet = b->groups_closed && ipc_in_flight(b->h.ipc) == 0 &&
	    loop_jobs(b->h.loop) == 0;
	bool done;

	if (quiet && !b->zk_closing)
		close_zk(b);
	done = quiet && b->zk_closed && b->drained;

	if (!done && loop_now_ms(b->h.loop) < b->stop_until_ms)
		return;
	if (!done)
		log_warn("stop not everything ended in time groups=%d zookeeper=%d drained=%d "
		    "in_flight=%zu jobs=%u", b->groups_closed, b->zk_closed, b->drained,
		    ipc_in_flight(b->h.ipc), loop_jobs(b->h.loop));
	b->clean = done;
	loop_timer_end(&b->stop);
	loop_stop(b->h.loop);
}

static void
on_alarm(int sig)
{
	(void)sig;
	_exit(0);
}

static void
on_signal(uv_signal_t *s, int sig)
{
	struct boot *b = s->data;

	if (b->h.stopping)
		return;
	log_info("stop signal=%d in_flight=%zu", sig, ipc_in_flight(b->h.ipc));
	b->h.stopping = true;
	tidy_stop(b->h.tidy);
	health_stop(b->h.health);
	lookout_stop(b->h.lookout);
	kafka_reach_stop(b->h.reach);
	signal(SIGALRM, on_alarm);
	alarm(STOP_LIMIT_S);
	ipc_stop_accepting(b->h.ipc);
	b->stop_until_ms = loop_now_ms(b->h.loop) + DRAIN_MS + 500;
	groups_close(b->h.groups, set_true, &b->groups_closed);
	sender_drain(b->h.sender, DRAIN_MS, set_true, &b->drained);
	loop_timer_set(b->h.loop, &b->stop, 0, STOP_CHECK_MS, check_stopped, b);
}

static void
watch_signals(struct boot *b)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
	uv_signal_t *handles[] = { &b->term, &b->intr, &b->quit, &b->hup };
	size_t n = nohup_given() ? 3 : 4;

	for (size_t i = 0; i < n; i++) {
		uv_signal_init(loop_uv(b->h.loop), handles[i]);
		handles[i]->data = b;
		uv_signal_start(handles[i], on_signal, signals[i]);
	}
}

/* Takes what boot has made so far. */
static void
close_all(struct boot *b)
{
	struct helper *h = &b->h;

	if (h->ipc)
		ipc_close(h->ipc);
	tidy_stop(h->tidy);
	health_stop(h->health);
	lookout_stop(h->lookout);
	kafka_reach_stop(h->reach);
	groups_free(h->groups);
	if (h->sender)
		sender_close(h->sender);
	topics_stop(h->topics);
	kafka_admin_free(h->admin);
	producer_free(h->sync);
	if (h->loop)
		loop_free(h->loop);	/* waits for workers */
	if (h->ipc)
		ipc_free(h->ipc);
	tidy_free(h->tidy);
	health_free(h->health);
	topics_free(h->topics);
	lookout_free(h->lookout);
	kafka_reach_free(h->reach);
	kafka_close(h->kafka);
	conf_free(&h->conf);
}

/* Without them libraries would end the process, now or later. */
static bool
has_threads(void)
{
	char why[THREADS_WHY_MAX];

	if (threads_fit(BOOT_THREADS))
		return true;
	threads_limit(BOOT_THREADS, why, sizeof(why));
	log_error("the helper needs %d threads, and some more for each consumer group: %s",
	    BOOT_THREADS, why);
	return false;
}

static enum kp_err
boot(struct boot *b)
{
	struct helper *h = &b->h;
	char workers[16];
	enum kp_err err;

	/* Workers mostly wait for brokers: libuv's four would be too few. */
	snprintf(workers, sizeof(workers), "%d", LOOP_WORKERS);
	setenv("UV_THREADPOOL_SIZE", workers, 1);
	if (!has_threads())
		return KP_EIO;
	h->loop = loop_new();
	if (h->loop == NULL)
		return KP_ENOMEM;
	h->started_ms = loop_now_ms(h->loop);
	h->tidy = tidy_start(h->loop);
	err = h->tidy ? open_kafka(b) : KP_ENOMEM;
	if (err == KP_OK)
		err = open_groups(b);
	if (err == KP_OK)
		err = ipc_open(h->loop, &h->conf, dispatch, h, &h->ipc);
	return err;
}

static void
stop_loop(void *arg)
{
	loop_stop(arg);
}

/* Takes what boot has made, when it failed. ZooKeeper's threads post to the loop until its
 * session has ended; the other threads end with what they belong to. */
static void
boot_undo(struct boot *b)
{
	struct helper *h = &b->h;

	tidy_stop(h->tidy);
	health_stop(h->health);		/* nothing more is asked */
	if (h->zk) {
		zk_close(h->zk, stop_loop, h->loop);
		loop_run(h->loop);
	}
	if (h->zk && loop_jobs(h->loop) > 0) {
		log_flush(LOG_FLUSH_MS);
		_exit(EXIT_FAILURE);	/* it hangs, in one of its own threads */
	}
	close_all(b);
}

int
main(int argc, char **argv)
{
	static struct boot b;
	char why[512];

	privacy_begin();
	if (conf_load(&b.h.conf, CONF_HELPER, argc, argv, why, sizeof(why)) != KP_OK) {
		fprintf(stderr, "kafka-pixy-helper: %s\n", why);
		return EXIT_USAGE;
	}
	if (b.h.conf.help || b.h.conf.version) {
		printf("kafka-pixy-helper %s, librdkafka %s\n", KP_VERSION,
		    kafka_library_version());
		if (b.h.conf.help)
			conf_help(stdout, CONF_HELPER);
		return EXIT_SUCCESS;
	}
	log_init("helper", (enum log_level)b.h.conf.log_level);
	if (secret_hide_args(argc, argv))
		log_warn("-X: " SECRET_SHOWN);
	kafka_library_warn();
	set_limits();
	make_member(b.member, sizeof(b.member));
	if (conf_embedded(&b.h.conf) && b.h.conf.store[0] == '\0')
		b.h.conf.durability = DURABLE_MEMORY;
	if (default_store(&b.h.conf) != KP_OK || boot(&b) != KP_OK) {
		boot_undo(&b);
		return EXIT_FAILURE;
	}
	watch_signals(&b);
	log_info("ready version=%s librdkafka=%s member=%s socket=%s kafka=%s durability=%s",
	    KP_VERSION, kafka_library_version(), b.member, b.h.conf.socket,
	    b.h.conf.kafka_peers, conf_durabilities[b.h.conf.durability]);
	loop_run(b.h.loop);
	if (!b.clean) {
		sender_close(b.h.sender);
		log_flush(LOG_FLUSH_MS);
		_exit(EXIT_SUCCESS);	/* the rest is still in use somewhere */
	}
	close_all(&b);
	log_info("stopped");
	return EXIT_SUCCESS;
}
