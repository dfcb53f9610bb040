/*
 * All threads wait in one epoll set, which holds the listening socket, the kept
 * connections that are idle, and an event that never ends once we stop:
 *
 *	       +-- accept --+
 *	wait --+            +-- serve one request -- kept? --> back into the set
 *	       +-- readable-+                         no  --> closed
 *
 * Everything is registered for one shot, so that an event wakes one thread, and
 * the kernel wakes the thread that waited least: idle threads stay idle.
 */
#include "fcgi/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sock.h"
#include "fcgi/serve.h"

#define STACK_BYTES (256u * 1024)
/* Idle threads that stay; the others end after a while without work. */
#define SPARE_THREADS 8
#define IDLE_MS 10000
/* libfcgi uses select(2): no descriptor may reach FD_SETSIZE. */
#define DESCRIPTORS_MAX 1000
/* A web server that stops in the middle of a request. */
#define IO_TIMEOUT_S 30
#define PAUSE_MS 100

struct pool {
	const struct conf *conf;
	int listen_fd;
	int epoll_fd;
	int stop_fd;

	pthread_mutex_t lock;
	pthread_cond_t ended;		/* a thread has */
	bool stopping;
	size_t threads;
	size_t idle;			/* of them, waiting */
	size_t conns;			/* in the set, or being served */
	size_t conns_kept_max;
	struct log_rate rate;		/* of threads that cannot be had */
};

/* Puts a descriptor back into the set, for its next event. */
static bool
watch(struct pool *p, int fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.fd = fd };

	return epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, fd, &e) == 0 ||
	    (errno == ENOENT && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0);
}

/* FastCGI's own list of the web servers that may connect over TCP. */
static bool
peer_allowed(const struct sockaddr_storage *sa)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const char *list = getenv("FCGI_WEB_SERVER_ADDRS");
	char addr[INET_ADDRSTRLEN];
	size_t n;

	if (list == NULL || list[0] == '\0' || sa->ss_family == AF_UNIX)
		return true;
	if (sa->ss_family != AF_INET ||
	    inet_ntop(AF_INET, &in->sin_addr, addr, sizeof(addr)) == NULL)
		return false;
	for (; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == strlen(addr) && memcmp(list, addr, n) == 0)
			return true;
	}
	return false;
}

static void
tune(int fd, int family)
{
	const struct timeval timeout = { .tv_sec = IO_TIMEOUT_S };
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* A new connection, or -1: another process was faster, or there is no room. */
static int
accept_one(struct pool *p)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t n = sizeof(sa);
	int fd = accept4(p->listen_fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC);
	int cause = errno;

	/* Out of descriptors or memory: the queue can wait better than we can spin. */
	if (fd < 0 && (cause == EMFILE || cause == ENFILE || cause == ENOMEM ||
	    cause == ENOBUFS)) {
		log_warn("pool event=accept: %s", strerror(cause));
		usleep(PAUSE_MS * 1000);
	}
	watch(p, p->listen_fd);
	if (fd < 0)
		return -1;
	if (fd >= FD_SETSIZE || !peer_allowed(&sa)) {
		close(fd);
		return -1;
	}
	tune(fd, sa.ss_family);
	return fd;
}

static void *worker(void *arg);

/* The caller has counted the thread. */
static bool
spawn(struct pool *p)
{
	pthread_attr_t attr;
	unsigned dropped;
	pthread_t t;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&t, &attr, worker, p);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return true;
	pthread_mutex_lock(&p->lock);
	p->threads--;
	if (log_rate_ok(&p->rate, &dropped))
		log_warn("pool event=thread dropped_lines=%u: %s", dropped, strerror(rc));
	pthread_mutex_unlock(&p->lock);
	return false;
}

/* Waits for a while. False when the thread is to end; else *fd is the descriptor
 * that has work, -1 for none. */
static bool
wait_for_event(struct pool *p, int *fd)
{
	struct epoll_event e = { .data.fd = -1 };
	bool grow, end;
	int n;

	pthread_mutex_lock(&p->lock);
	p->idle++;
	pthread_mutex_unlock(&p->lock);
	n = epoll_wait(p->epoll_fd, &e, 1, IDLE_MS);
	pthread_mutex_lock(&p->lock);
	p->idle--;
	end = p->stopping || (n == 0 && p->idle >= SPARE_THREADS);
	grow = n > 0 && !end && p->idle == 0 && p->threads < p->conf->threads;
	p->threads += grow;
	pthread_mutex_unlock(&p->lock);
	if (grow)
		spawn(p);
	*fd = n > 0 ? e.data.fd : -1;
	return !end;
}

static void
serve_conn(struct pool *p, struct serve *s, int fd, bool is_new)
{
	bool may_keep;

	pthread_mutex_lock(&p->lock);
	p->conns += is_new;
	may_keep = !p->stopping && p->conns <= p->conns_kept_max;
	pthread_mutex_unlock(&p->lock);
	fd = serve_fastcgi(s, fd, may_keep);
	if (fd >= 0 && !watch(p, fd)) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		return;
	pthread_mutex_lock(&p->lock);
	p->conns--;
	pthread_mutex_unlock(&p->lock);
}

static void
work(struct pool *p, struct serve *s)
{
	int fd;

	while (wait_for_event(p, &fd)) {
		bool is_new = fd == p->listen_fd;

		if (is_new)
			fd = accept_one(p);
		if (fd >= 0)
			serve_conn(p, s, fd, is_new);
	}
}

/* The last thread does not give up: nobody could start another. */
static bool
is_needed(struct pool *p)
{
	bool needed;

	pthread_mutex_lock(&p->lock);
	needed = p->threads == 1 && !p->stopping;
	pthread_mutex_unlock(&p->lock);
	return needed;
}

static void *
worker(void *arg)
{
	struct pool *p = arg;
	struct serve *s;

	while ((s = serve_new(p->conf, false)) == NULL && is_needed(p))
		usleep(PAUSE_MS * 1000);
	if (s)
		work(p, s);
	serve_free(s);
	pthread_mutex_lock(&p->lock);
	p->threads--;
	pthread_cond_broadcast(&p->ended);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* A request has two descriptors, and a soft limit may be lower than ours. */
static void
raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= FD_SETSIZE)
		return;
	r.rlim_cur = r.rlim_max < FD_SETSIZE ? r.rlim_max : FD_SETSIZE;
	setrlimit(RLIMIT_NOFILE, &r);
}

static bool
pool_open(struct pool *p)
{
	struct epoll_event stop = { .events = EPOLLIN };
	int flags = fcntl(p->listen_fd, F_GETFL);

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	stop.data.fd = p->stop_fd;
	/* Of several processes on one socket only one gets the connection. */
	return flags >= 0 && fcntl(p->listen_fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
	    p->epoll_fd >= 0 && p->stop_fd >= 0 &&
	    epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->stop_fd, &stop) == 0 &&
	    watch(p, p->listen_fd);
}

static void
pool_free(struct pool *p)
{
	if (p->epoll_fd >= 0)
		close(p->epoll_fd);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

struct pool *
pool_start(const struct conf *conf, int listen_fd)
{
	struct pool *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (p == NULL)
		return NULL;
	*p = (struct pool){ .conf = conf, .listen_fd = listen_fd, .epoll_fd = -1,
	    .stop_fd = -1, .threads = 1 };
	p->conns_kept_max = DESCRIPTORS_MAX - 2 * conf->threads;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->ended, &attr);
	pthread_condattr_destroy(&attr);
	raise_limit();
	if (!pool_open(p)) {
		log_error("pool event=start: %s", strerror(errno));
		pool_free(p);
		return NULL;
	}
	if (!spawn(p)) {
		pool_free(p);
		return NULL;
	}
	return p;
}

bool
pool_stop(struct pool *p, int64_t until_ms)
{
	const struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
	const uint64_t one = 1;
	size_t left;
	int rc = 0;

	epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, p->listen_fd, NULL);
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	if (write(p->stop_fd, &one, sizeof(one)) < 0)
		log_warn("pool event=stop: %s", strerror(errno));
	while (p->threads > 0 && rc == 0)
		rc = pthread_cond_timedwait(&p->ended, &p->lock, &until);
	left = p->threads;
	pthread_mutex_unlock(&p->lock);
	if (left) {
		log_warn("pool event=stop unanswered=%zu", left);
		return false;
	}
	pool_free(p);
	return true;
}
