/*
 * --zookeeperPeers as people write it: host[:port],[IPv6][:port],...[/chroot].
 */
#ifndef KP_ZK_SERVERS_H
#define KP_ZK_SERVERS_H

#include "common/err.h"

/*
 * *hosts: each with its port, 2181 where none is given, IPv6 in brackets. *chroot: "" or a
 * path without a slash at its end. Both are the caller's to free, and NULL on an error.
 * KP_EBADREQ: no host in it, an IPv6 address without brackets, a port that is none, or a
 * chroot that is no path. KP_ENOMEM.
 */
enum kp_err zk_servers_parse(const char *text, char **hosts, char **chroot);

/* Such hosts as libzookeeper takes them: what stands before the last colon is the name, so
 * without brackets. To be freed; NULL without memory. */
char *zk_servers_bare(const char *hosts);

#endif
