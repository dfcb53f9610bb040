/* Settings shared by all librdkafka handles, and the embedded broker. */
#include "helper/kafka/kafka.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/secret.h"
#include "helper/kafka/kafka_file.h"
#include "helper/kafka/kafka_threads.h"
#include "helper/kafka/kafka_trouble.h"
#include "helper/kafka/kafka_version.h"

struct kafka {
	const struct conf *conf;
	char client_id[256];
	char *secrets[CONF_X_MAX];		/* of conf->x; NULL: that is no secret */
	struct kafka_file files[CONF_X_MAX];	/* likewise */
	const char *old_version;		/* NULL: brokers can be asked */
	struct kafka_trouble *trouble;
	struct kafka_threads *threads;
	struct kafka_peers *peers;
	rd_kafka_t *mock_handle;		/* NULL unless embedded */
	rd_kafka_mock_cluster_t *mock;
};

/* From librdkafka's threads. Its levels are syslog's. Every handle tells the same of
 * every broker, again and again: an operator reads the error events instead. */
static void
log_cb(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
	struct kafka *k = rk ? rd_kafka_opaque(rk) : NULL;

	/* With debug=conf it lists its properties, and does not know that this is a secret. */
	if (strcmp(fac, "CONF") == 0 && strstr(text, "client.secret"))
		return;
	if (k && strcmp(fac, "FAIL") == 0)
		kafka_trouble_note(k->trouble, text);
	log_line(level <= 2 ? LOG_ERROR : LOG_DEBUG, "kafka handle=%s %s: %s",
	    rk ? rd_kafka_name(rk) : "", fac, text);
}

/* Takes what OpenSSL takes and nothing else: librdkafka itself does not tell why not. */
static int
verify_cb(rd_kafka_t *rk, const char *name, int32_t id, int *error, int depth, const char *der,
    size_t n, char *why, size_t cap, void *opaque)
{
	struct kafka *k = opaque;

	(void)rk, (void)name, (void)id, (void)depth, (void)der, (void)n;
	if (*error == 0)
		return 1;
	snprintf(why, cap, "%s", kafka_trouble_certificate(k->trouble, *error));
	return 0;
}

/* Files are read once: what works now works until the helper ends. */
static enum kp_err
load_file(struct kafka *k, size_t i)
{
	const char *x = k->conf->x[i], *eq = strchr(x, '=');
	enum kp_err err = KP_OK;
	char name[256], why[512];

	snprintf(name, sizeof(name), "%.*s", (int)(eq - x), x);
	if (secret_is(x, (size_t)(eq - x)))
		err = secret_load(name, eq + 1, &k->secrets[i], why, sizeof(why));
	else if (kafka_file_is(x, (size_t)(eq - x)) && eq[1])
		err = kafka_file_load(&k->files[i], eq + 1, why, sizeof(why));
	if (err == KP_EBADREQ)
		log_error("-X %s: %s", name, why);
	return err;
}

static enum kp_err
load_files(struct kafka *k)
{
	enum kp_err err = KP_OK;

	for (size_t i = 0; i < k->conf->n_x && err == KP_OK; i++)
		err = load_file(k, i);
	return err;
}

/* What was read from a file stands in for the value. */
static const char *
loaded(const struct kafka *k, size_t i)
{
	return k->files[i].path[0] ? k->files[i].path : k->secrets[i];
}

/* Sets one -X property. The value never reaches the log: it may be a secret. */
static bool
set_x(rd_kafka_conf_t *rc, rd_kafka_type_t type, const char *x, const char *in_place)
{
	char name[256], why[512];
	const char *eq = strchr(x, '='), *key = name;
	rd_kafka_conf_res_t res;

	snprintf(name, sizeof(name), "%.*s", (int)(eq - x), x);
	if (strncmp(name, "producer.", 9) == 0 || strncmp(name, "consumer.", 9) == 0) {
		if ((name[0] == 'p') != (type == RD_KAFKA_PRODUCER))
			return true;
		key += 9;
	}
	res = rd_kafka_conf_set(rc, key, in_place ? in_place : eq + 1, why, sizeof(why));
	if (res != RD_KAFKA_CONF_OK)
		log_error("-X %s: librdkafka %s", name, res == RD_KAFKA_CONF_UNKNOWN ?
		    "does not know this property" : "does not take this value");
	return res == RD_KAFKA_CONF_OK;
}

/* They hang up when they are asked for their version. */
static const struct kafka_property *
old_broker_properties(const char *version)
{
	static struct kafka_property props[] = {
		{ "api.version.request", "false" },
		{ "broker.version.fallback", NULL },
		{ NULL, NULL },
	};

	props[1].value = version;
	return props;
}

static bool
set_all(rd_kafka_conf_t *rc, const struct kafka_property *p, bool only_fixed)
{
	char why[512];

	for (; p && p->name; p++) {
		bool fixed = p->name[0] == '!', newer = p->name[0] == '?';
		const char *name = p->name + (fixed || newer);
		rd_kafka_conf_res_t res;

		if (only_fixed && !fixed)
			continue;
		res = rd_kafka_conf_set(rc, name, p->value, why, sizeof(why));
		if (res == RD_KAFKA_CONF_OK || (newer && res == RD_KAFKA_CONF_UNKNOWN))
			continue;
		log_error("kafka property %s: %s", name, why);
		return false;
	}
	return true;
}

static rd_kafka_conf_t *
make_conf(struct kafka *k, rd_kafka_type_t type, const struct kafka_property *props)
{
	char *peers = kafka_peers_list(k->peers);
	const struct kafka_property common[] = {
		{ "bootstrap.servers", k->mock ? rd_kafka_mock_cluster_bootstraps(k->mock) :
		    peers && *peers ? peers : k->conf->kafka_peers },
		{ "client.id", k->client_id },
		{ "socket.nagle.disable", "true" },
		{ "reconnect.backoff.max.ms", "2000" },
		/* A broker that stands still, or has just started, may leave a question unanswered.
		 * Who leads is asked of the one that was asked last, so again and again of that
		 * one, as long as it counts as connected. */
		{ "socket.timeout.ms", "10000" },
		/* A name may stand for several addresses, one after another of which is tried. */
		{ "socket.connection.setup.timeout.ms", "10000" },
		/* From 2.10 on a handle that finds all its brokers away forgets them and begins
		 * anew; one that is only asked now and then, as for offsets, then connects to
		 * nobody any more. */
		{ "?metadata.recovery.strategy", "none" },
		/* From here on for consumers only. */
		{ type == RD_KAFKA_CONSUMER ? "isolation.level" : NULL,
		    k->conf->isolation_level == READ_COMMITTED ? "read_committed" :
		    "read_uncommitted" },
		{ NULL, NULL },
	};
	rd_kafka_conf_t *rc = rd_kafka_conf_new();
	bool ok = set_all(rc, common, false);

	free(peers);
	if (ok && k->old_version)
		ok = set_all(rc, old_broker_properties(k->old_version), false);
	ok = ok && set_all(rc, props, false);
	for (size_t i = 0; ok && i < k->conf->n_x; i++)
		ok = set_x(rc, type, k->conf->x[i], loaded(k, i));
	ok = ok && set_all(rc, props, true);
	rd_kafka_conf_set_opaque(rc, k);
	rd_kafka_conf_set_log_cb(rc, log_cb);
	rd_kafka_conf_set_ssl_cert_verify_cb(rc, verify_cb);
	if (ok)
		return rc;
	rd_kafka_conf_destroy(rc);
	return NULL;
}

struct kafka_peers *
kafka_peers(struct kafka *k)
{
	return k->peers;
}

bool
kafka_is_old(const struct kafka *k)
{
	return k->old_version != NULL;
}

/* True when all -X properties are known to librdkafka; else a line was logged. */
static bool
is_known_to_it(struct kafka *k)
{
	static const rd_kafka_type_t types[] = { RD_KAFKA_PRODUCER, RD_KAFKA_CONSUMER };

	for (size_t i = 0; i < 2; i++) {
		rd_kafka_conf_t *rc = make_conf(k, types[i], NULL);

		if (rc == NULL)
			return false;
		rd_kafka_conf_destroy(rc);
	}
	return true;
}

/* Takes the conf, which may be NULL. librdkafka waits for a thread that cannot be started, or
 * ends the process: so there are enough before it is asked. */
static rd_kafka_t *
new_handle(struct kafka *k, rd_kafka_type_t type, rd_kafka_conf_t *rc, int events, bool many)
{
	rd_kafka_t *rk = NULL;
	char why[512];

	if (rc == NULL)
		return NULL;
	rd_kafka_conf_set_events(rc, events);
	if (kafka_threads_begin(k->threads, many)) {
		rk = rd_kafka_new(type, rc, why, sizeof(why));
		kafka_threads_end(k->threads);
		if (rk == NULL)
			log_error("kafka client: %s", why);
	}
	if (rk == NULL)
		rd_kafka_conf_destroy(rc);
	return rk;
}

rd_kafka_t *
kafka_new(struct kafka *k, rd_kafka_type_t type, const struct kafka_property *props, int events)
{
	return new_handle(k, type, make_conf(k, type, props), events, false);
}

rd_kafka_t *
kafka_new_producer(struct kafka *k, const struct kafka_property *props, int events,
    kafka_partitioner *choose, void *opaque)
{
	rd_kafka_conf_t *rc = make_conf(k, RD_KAFKA_PRODUCER, props);
	/* There is one as soon as a property of topics has been set. */
	rd_kafka_topic_conf_t *tc = rc ? rd_kafka_conf_get_default_topic_conf(rc) : NULL;

	if (tc) {
		rd_kafka_topic_conf_set_partitioner_cb(tc, choose);
		rd_kafka_topic_conf_set_opaque(tc, opaque);
	}
	return new_handle(k, RD_KAFKA_PRODUCER, rc, events, false);
}

rd_kafka_t *
kafka_new_consumer(struct kafka *k, const struct kafka_property *props, int events,
    kafka_throttled *throttled)
{
	rd_kafka_conf_t *rc = make_conf(k, RD_KAFKA_CONSUMER, props);

	if (rc)
		rd_kafka_conf_set_throttle_cb(rc, throttled);
	return new_handle(k, RD_KAFKA_CONSUMER, rc, events, true);
}

/* The broker lives in a handle of its own, which talks to nobody. */
static enum kp_err
start_mock(struct kafka *k)
{
	rd_kafka_conf_t *rc = rd_kafka_conf_new();
	char why[512];

	rd_kafka_conf_set_log_cb(rc, log_cb);
	k->mock_handle = rd_kafka_new(RD_KAFKA_PRODUCER, rc, why, sizeof(why));
	if (k->mock_handle == NULL) {
		log_error("embedded broker: %s", why);
		rd_kafka_conf_destroy(rc);
		return KP_ENOMEM;
	}
	k->mock = rd_kafka_mock_cluster_new(k->mock_handle, 1);
	if (k->mock == NULL) {
		log_error("embedded broker: cannot be started");
		return KP_EIO;
	}
	log_warn("kafka embedded broker at=%s: its messages live in memory only, "
	    "and end with this process", rd_kafka_mock_cluster_bootstraps(k->mock));
	return KP_OK;
}

enum kp_err
kafka_open(const struct conf *conf, const char *client_id, struct kafka **out)
{
	struct kafka *k = calloc(1, sizeof(*k));
	enum kp_err err;

	*out = NULL;
	if (k == NULL)
		return KP_ENOMEM;
	k->conf = conf;
	snprintf(k->client_id, sizeof(k->client_id), "%s", client_id);
	k->trouble = kafka_trouble_new();
	k->threads = kafka_threads_new(conf->kafka_peers);
	k->peers = kafka_peers_new(conf->kafka_peers);
	err = !k->trouble || !k->threads || !k->peers ? KP_ENOMEM :
	    kafka_version(conf->kafka_version, &k->old_version);
	if (err == KP_EBADREQ)
		log_error("--kafkaVersion takes a version from 0.8.2 on, such as 0.9.0.1, not "
		    "\"%s\"", conf->kafka_version);
	if (err == KP_OK)
		err = load_files(k);
	if (err == KP_OK && conf_embedded(conf))
		err = start_mock(k);
	if (err == KP_OK && !is_known_to_it(k))
		err = KP_EBADREQ;
	if (err) {
		kafka_close(k);
		return err;
	}
	*out = k;
	return KP_OK;
}

void
kafka_close(struct kafka *k)
{
	if (k == NULL)
		return;
	if (k->mock)
		rd_kafka_mock_cluster_destroy(k->mock);
	if (k->mock_handle)
		rd_kafka_destroy(k->mock_handle);
	for (size_t i = 0; i < CONF_X_MAX; i++) {
		secret_free(k->secrets[i]);
		kafka_file_close(&k->files[i]);
	}
	kafka_trouble_free(k->trouble);
	kafka_threads_free(k->threads);
	kafka_peers_free(k->peers);
	free(k);
}

/* Of the one that is embedded the address is not in --kafkaPeers. */
void
kafka_note_brokers(struct kafka *k, const struct rd_kafka_metadata *md)
{
	if (k->mock == NULL)
		kafka_threads_brokers(k->threads, md);
}

bool
kafka_is_full(struct kafka *k, char *out, size_t cap)
{
	return kafka_threads_are_used_up(k->threads, out, cap);
}

bool
kafka_cause(struct kafka *k, char *out, size_t cap)
{
	return (kafka_peers_none(k->peers) && kafka_peers_trouble(k->peers, out, cap)) ||
	    kafka_trouble_cause(k->trouble, out, cap);
}

void
kafka_unreachable(struct kafka *k, char *out, size_t cap)
{
	char cause[KAFKA_CAUSE_MAX];
	bool known = kafka_cause(k, cause, sizeof(cause));

	snprintf(out, cap, "Kafka cannot be reached%s%s", known ? ": " : "", cause);
}

/* Key and value: both names, partition and offset, two times, and what frames them. */
size_t
kafka_commit_bytes(const char *topic, size_t metadata_bytes)
{
	return GROUP_MAX + strlen(topic) + metadata_bytes + 64;
}
