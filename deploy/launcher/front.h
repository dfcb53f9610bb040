/*
 * The gateway's own front door: GET /_ping, as a client asks it, and without waiting.
 */
#ifndef KP_LAUNCHER_FRONT_H
#define KP_LAUNCHER_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum front_step {
	FRONT_WAITS,			/* ask again in a while */
	FRONT_SERVES,			/* 200 */
	FRONT_FAILS,			/* another answer, or none; the next call tries anew */
};

struct front {
	struct sockaddr_storage to;
	socklen_t to_n;
	int fd;				/* -1: no question is under way */
	bool asked;
	char head[16];			/* of the answer: "HTTP/1.1 200" */
	size_t n;
	int status;			/* of the last answer; 0: there was none */
	int error;			/* then its errno; 0: none so far */
};

/* The door of an address that is served; for all addresses of a family the loopback's. */
void front_tcp(struct front *f, const struct sockaddr_storage *served);
/* `path` fits into a sockaddr_un. */
void front_unix(struct front *f, const char *path);

/* One step of a question; never waits. */
enum front_step front_ask(struct front *f);
/* Drops a question that is under way. */
void front_close(struct front *f);

#endif
