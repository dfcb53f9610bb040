/*
 * The names of --kafkaPeers, and which of them are no brokers. A controller of a cluster without
 * ZooKeeper takes connections and says what it can do, which is not what a client needs: one
 * that happens to ask it first has a connection, and looks for no other.
 *
 * Any thread.
 */
#ifndef KP_KAFKA_PEERS_H
#define KP_KAFKA_PEERS_H

#include <stdbool.h>
#include <stddef.h>

struct kafka_peers;

/* Of host:port,… NULL without memory. */
struct kafka_peers *kafka_peers_new(const char *list);
void kafka_peers_free(struct kafka_peers *p);

size_t kafka_peers_count(const struct kafka_peers *p);
/* Lives as long as `p`. */
const char *kafka_peers_name(const struct kafka_peers *p, size_t i);
/* It is no broker, or is one again. True when that is news. */
bool kafka_peers_leave_out(struct kafka_peers *p, size_t i, bool out);
/* Changes with each of those. */
unsigned kafka_peers_generation(struct kafka_peers *p);

/* Those that are not left out, for who asks for the first time: host:port,…; all, when none
 * would be left. To be freed; NULL without memory. */
char *kafka_peers_list(struct kafka_peers *p);
/* All of them are no brokers. */
bool kafka_peers_none(struct kafka_peers *p);
/* Which are left out, in words for the user. False, and an empty text: none. */
bool kafka_peers_trouble(struct kafka_peers *p, char *out, size_t cap);

#endif
