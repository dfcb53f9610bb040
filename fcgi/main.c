/*
 * kafka-pixy.fcgi: serves FastCGI on the listening socket that it finds as its
 * standard input, or, started without one by a web server, a request of plain CGI.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/nohup.h"
#include "common/privacy.h"
#include "common/sock.h"
#include "fcgi/consume.h"
#include "fcgi/http.h"
#include "fcgi/pool.h"
#include "fcgi/room.h"
#include "fcgi/serve.h"

#define EXIT_USAGE 2
#define STOP_MS 10000
/* What long polls leave to the other requests: a fifth, at least this many. */
#define RESERVE_MIN 4

static void
usage(FILE *out)
{
	fprintf(out,
	    "kafka-pixy.fcgi " KP_VERSION ": the part of Kafka-Pixy that a web server starts\n"
	    "\n"
	    "It serves FastCGI on the listening socket that it is given as standard input,\n"
	    "or one request of CGI. To try it by hand, behind a web server's fastcgi_pass:\n"
	    "\n"
	    "  spawn-fcgi -s /run/kafka-pixy/responder.sock -- \\\n"
	    "      /usr/libexec/kafka-pixy/kafka-pixy.fcgi\n"
	    "\n"
	    "Options, also from the environment (--logLevel is KAFKA_PIXY_LOG_LEVEL):\n"
	    "\n");
	conf_help(out, CONF_RESPONDER);
}

/* USR1 is how libfcgi's programs are told to end, and some managers use it. */
static void
block_signals(sigset_t *ends)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGUSR1 };

	sigemptyset(ends);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(ends, signals[i]);
	if (!nohup_given())
		sigaddset(ends, SIGHUP);
	sigprocmask(SIG_BLOCK, ends, NULL);
}

/*
 * A web server that started us and is killed cannot end us: nobody would ever use us
 * again, or the next one takes our socket for its own and cannot restart us. Who lets
 * go of us on purpose (spawn-fcgi, systemd) gives us a session of our own; the launcher
 * has seen to it already. No orderly stop: all whom we could answer have gone.
 */
static void
end_with_web_server(void)
{
	int sig = 0;

	if (getsid(0) != getpid() && prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int
run_fastcgi(const struct conf *conf)
{
	size_t reserve = conf->threads / 5 > RESERVE_MIN ? conf->threads / 5 : RESERVE_MIN;
	struct pool *pool;
	sigset_t ends;
	int sig;

	/* One poll is always allowed, or --threads 4 could not consume at all. */
	consume_set_limit(conf->threads > reserve ? (unsigned)(conf->threads - reserve) : 1);
	block_signals(&ends);
	end_with_web_server();
	pool = pool_start(conf, STDIN_FILENO);
	if (pool == NULL)
		return EXIT_FAILURE;
	log_info("responder event=start version=%s threads=%zu", KP_VERSION,
	    (size_t)conf->threads);
	sigwait(&ends, &sig);
	log_info("responder event=stop signal=%d", sig);
	if (!pool_stop(pool, clock_mono_ms() + STOP_MS)) {
		log_flush(LOG_FLUSH_MS);
		_exit(EXIT_SUCCESS);
	}
	return EXIT_SUCCESS;
}

static int
run_cgi(const struct conf *conf)
{
	struct serve *s = serve_new(conf, true);

	if (s == NULL)
		return EXIT_FAILURE;
	serve_cgi(s);
	serve_free(s);
	return EXIT_SUCCESS;
}

/* What neither a web server nor a manager of processes has started. */
static int
run_by_hand(const struct conf *conf)
{
	if (conf->version)
		puts("kafka-pixy.fcgi " KP_VERSION);
	else
		usage(conf->help ? stdout : stderr);
	return conf->version || conf->help ? EXIT_SUCCESS : EXIT_USAGE;
}

/* Many threads of small needs: few arenas, and large messages given back. */
static void
tune_memory(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

int
main(int argc, char **argv)
{
	bool fastcgi, cgi;
	struct conf conf;
	char why[512];
	int status;

	privacy_begin();
	tune_memory();
	signal(SIGPIPE, SIG_IGN);
	fastcgi = http_is_fastcgi();
	cgi = !fastcgi && getenv("REQUEST_METHOD") != NULL;
	/* A web server may hand a query such as ?sync to a CGI program as its
	 * argument: what a client wrote must never be an option. */
	if (conf_load(&conf, CONF_RESPONDER, cgi ? 1 : argc, argv, why, sizeof(why)) != KP_OK) {
		fprintf(stderr, "kafka-pixy.fcgi: %s\n", why);
		conf_free(&conf);
		return EXIT_USAGE;
	}
	log_init("responder", (enum log_level)conf.log_level);
	room_set(conf.max_message_bytes);
	if (conf.help || conf.version || (!fastcgi && !cgi))
		status = run_by_hand(&conf);
	else
		status = fastcgi ? run_fastcgi(&conf) : run_cgi(&conf);
	conf_free(&conf);
	return status;
}
