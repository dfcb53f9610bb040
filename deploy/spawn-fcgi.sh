#!/bin/sh
# Responders on a Unix socket, by spawn-fcgi, for nginx, lighttpd and Apache's mod_proxy_fcgi where there is no systemd.
# Stays in the foreground, so that a supervisor can watch it (runit, s6, daemontools); to start it from an init script,
# take -n away. Run more than one behind a supervisor by giving each a socket of its own.
#
# The helper must admit the user: socketUsers = www-data and socketGroup = www-data in /etc/kafka-pixy.conf. Any option
# of a responder is an environment variable: KAFKA_PIXY_THREADS, KAFKA_PIXY_MAX_MESSAGE_BYTES, KAFKA_PIXY_LOG_LEVEL.
export KAFKA_PIXY_SOCKET=/run/kafka-pixy/helper.sock

# Only root can become another user, and only then must the socket be given to the web server's group.
if [ "$(id -u)" -eq 0 ]; then
	set -- -u www-data -g www-data -U www-data -G www-data
fi
umask 007
exec spawn-fcgi -n -s /run/kafka-pixy/responder.sock -M 0660 -b 1024 "$@" -- /usr/libexec/kafka-pixy/kafka-pixy.fcgi
