/*
 * A TCP port of 127.0.0.1 that leads to another one, which may change: what --kafkaPeers
 * names, while the brokers behind it move.
 *
 * Whatever fails here fails the running test.
 */
#ifndef KP_IT_DOOR_H
#define KP_IT_DOOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct door {
	char address[32];		/* host:port, for --kafkaPeers */
	int listener, wake[2];
	pthread_t thread;
	atomic_int port;		/* where it leads to */
	atomic_bool ending;
};

/* `brokers`: host:port, of which only the port counts. */
void door_open(struct door *d, const char *brokers);
/* Who is connected is cut off. */
void door_lead_to(struct door *d, const char *brokers);
void door_close(struct door *d);

#endif
