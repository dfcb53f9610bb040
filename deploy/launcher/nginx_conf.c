/*
 * The text of nginx.conf. Paths are quoted for nginx, numbers are computed here,
 * all else is fixed; deploy/nginx.conf is the same for a server that is there.
 */
#include "deploy/launcher/nginx_conf.h"

#include "deploy/launcher/rundir.h"

#define CONNECTIONS_MAX 4096
#define KEEPALIVE_MAX 64

/* What nginx answers on its own, in the words and the form of the responder. */
static const struct {
	const char *codes;
	int status;
	const char *text;
} errors[] = {
	{ "400 494", 400, "Bad request: the web server could not read it" },
	{ "403 404", 404, "Not found" },
	{ "405", 405, "Method not allowed" },
	{ "411", 411, "Length required" },
	{ "413", 413, "Message is too large" },
	{ "414", 414, "The path or the query is too long; a form can carry a long key" },
	{ "421", 421, "Misdirected request" },
	{ "500", 500, "The web server failed; see its log" },
	{ "501", 501, "This Transfer-Encoding is not implemented" },
	{ "502", 502, "The responder is being restarted; try again" },
	{ "503", 503, "The web server is busy; try again" },
	{ "504", 504, "The responder did not answer in time" },
	{ "505", 505, "HTTP version not supported" },
};
#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

/*
 * Request headers are not passed on: the responder has no use for them, and all
 * parameters of a request must fit into one FastCGI record of 65,535 bytes.
 */
static const char http_text[] =
	"\taccess_log off;\n"
	"\tserver_tokens off;\n"
	"\ttypes { }\n"
	"\tdefault_type application/json;\n"
	"\tkeepalive_timeout 65;\n"
	"\tkeepalive_requests 100000;\n"
	"\tclient_header_timeout 10s;\n"
	"\tclient_body_timeout 10s;\n"
	"\tsend_timeout 30s;\n"
	"\treset_timedout_connection on;\n"
	"\tclient_body_buffer_size 64k;\n"
	"\tlarge_client_header_buffers 4 24k;\n"
	"\tmerge_slashes off;\n"
	"\tfastcgi_keep_conn on;\n"
	"\tfastcgi_pass_request_headers off;\n"
	"\tfastcgi_request_buffering on;\n"
	"\tfastcgi_next_upstream off;\n"
	"\tfastcgi_ignore_client_abort on;\n"
	"\tfastcgi_connect_timeout 5s;\n"
	"\tfastcgi_send_timeout 30s;\n"
	"\tfastcgi_read_timeout 320s;\n"
	"\tfastcgi_buffer_size 16k;\n"
	"\tfastcgi_buffers 16 64k;\n"
	"\tfastcgi_busy_buffers_size 128k;\n"
	"\tfastcgi_max_temp_file_size 0;\n";

/*
 * Requests that are counted: of an unknown length, or of one that goes to a file. nginx
 * keeps what is up to a quarter longer than its buffer in memory, so all that is spooled
 * is among them.
 */
static const char spooled_text[] =
	"\tmap \"$http_transfer_encoding:$http_content_length\" $spooled {\n"
	"\t\tdefault \"\";\n"
	"\t\t\"~^[^:]\" all;\n"
	"\t\t\"~:0*[6-9][0-9]{4}$\" all;\n"
	"\t\t\"~:0*[1-9][0-9]{5}\" all;\n"
	"\t}\n"
	"\tlimit_conn_zone $spooled zone=spooled:64k;\n";

/*
 * A client that has only closed its sending side looks like one that has gone, and is
 * answered all the same, but for a long poll: an answer to who has gone would cost the
 * group its message.
 */
static const char poll_text[] =
	"\tmap \"$request_method:$uri\" $poll {\n"
	"\t\tdefault 0;\n"
	"\t\t\"~^GET:.*/messages$\" 1;\n"
	"\t}\n";

static const char location_text[] =
	"\t\tfastcgi_param REQUEST_METHOD $request_method;\n"
	"\t\tfastcgi_param REQUEST_URI $request_uri;\n"
	"\t\tfastcgi_param QUERY_STRING $query_string;\n"
	"\t\tfastcgi_param CONTENT_TYPE $content_type;\n"
	"\t\tfastcgi_param CONTENT_LENGTH $content_length;\n"
	"\t\tfastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;\n"
	"\t\tfastcgi_param SERVER_PROTOCOL $server_protocol;\n"
	"\t\tfastcgi_param REMOTE_ADDR $remote_addr;\n"
	"\t\tif ($poll) {\n"
	"\t\t\trewrite ^ /_nginx/poll last;\n"
	"\t\t}\n"
	"\t\tlocation / {\n"
	"\t\t\tfastcgi_pass responders;\n"
	"\t\t}\n"
	"\t\tlocation = /_nginx/poll {\n"
	"\t\t\tinternal;\n"
	"\t\t\tfastcgi_ignore_client_abort off;\n"
	"\t\t\tfastcgi_pass responders;\n"
	"\t\t}\n";

/* nginx's client_body and the like would otherwise be where Debian's are. */
static const char *const temp_dirs[] = { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" };

uint64_t
nginx_conf_keepalive(const struct nginx_conf *n)
{
	uint64_t half = n->responders * n->threads / 2;
	uint64_t each = half ? (half - 1) / n->workers : 0;

	return each < KEEPALIVE_MAX ? each : KEEPALIVE_MAX;
}

uint64_t
nginx_conf_body_max(const struct nginx_conf *n)
{
	const uint64_t offsets_max = 1 << 20;
	uint64_t form = n->max_message_bytes * 3 + 256 * 1024;

	return form > offsets_max ? form : offsets_max;
}

uint64_t
nginx_conf_spooled_max(const struct nginx_conf *n)
{
	uint64_t max = NGINX_SPOOL_BYTES / nginx_conf_body_max(n);

	return max ? max : 1;
}

/* A path as a quoted word of the configuration; `b` is marked when that cannot be done. */
static void
put_path(struct kp_buf *b, const char *before, const char *s, const char *after)
{
	kp_buf_printf(b, "\"%s", before);
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			b->failed = true;
		if (*s == '"' || *s == '\\')
			kp_buf_putc(b, '\\');
		kp_buf_putc(b, *s);
	}
	kp_buf_printf(b, "%s\"", after);
}

static void
put_main(struct kp_buf *b, const struct nginx_conf *n)
{
	uint64_t connections = n->files_max / 2;

	if (connections > CONNECTIONS_MAX)
		connections = CONNECTIONS_MAX;
	/* Its lesser errors quote the request line, and a key of a message is in there. That
	 * a responder is not there is known without them. */
	kp_buf_puts(b, "# Written by kafka-pixy at each start.\n"
	    "daemon off;\nerror_log stderr alert;\npid ");
	put_path(b, "", n->run_dir, "/" RUNDIR_NGINX_PID);
	kp_buf_printf(b, ";\nworker_processes %llu;\nworker_rlimit_nofile %llu;\n",
	    (unsigned long long)n->workers, (unsigned long long)n->files_max);
	if (n->user[0])
		kp_buf_printf(b, "user %s;\n", n->user);
	kp_buf_printf(b, "events {\n\tworker_connections %llu;\n}\n",
	    (unsigned long long)connections);
}

static void
put_upstream(struct kp_buf *b, const struct nginx_conf *n)
{
	uint64_t keepalive = nginx_conf_keepalive(n);

	kp_buf_puts(b, "\tupstream responders {\n\t\tserver ");
	put_path(b, "unix:", n->run_dir, "/" RUNDIR_RESPONDERS);
	/* There is but one: it must never count as down. */
	kp_buf_puts(b, " max_fails=0;\n");
	if (keepalive)
		kp_buf_printf(b, "\t\tkeepalive %llu;\n\t\tkeepalive_timeout 15s;\n"
		    "\t\tkeepalive_requests 100000;\n", (unsigned long long)keepalive);
	kp_buf_puts(b, "\t}\n");
}

static void
put_errors(struct kp_buf *b)
{
	for (size_t i = 0; i < N_ERRORS; i++)
		kp_buf_printf(b, "\t\terror_page %s /_nginx/%d;\n"
		    "\t\tlocation = /_nginx/%d {\n\t\t\tinternal;\n%s"
		    "\t\t\treturn %d \"{\\n  \\\"error\\\": \\\"%s\\\"\\n}\";\n\t\t}\n",
		    errors[i].codes, errors[i].status, errors[i].status,
		    errors[i].status == 502 || errors[i].status == 503 ?
		    "\t\t\tadd_header Retry-After 1 always;\n" : "",
		    errors[i].status, errors[i].text);
}

enum kp_err
nginx_conf_put(const struct nginx_conf *n, struct kp_buf *b)
{
	put_main(b, n);
	kp_buf_puts(b, "http {\n");
	kp_buf_puts(b, http_text);
	for (size_t i = 0; i < sizeof(temp_dirs) / sizeof(temp_dirs[0]); i++) {
		kp_buf_printf(b, "\t%s_temp_path ", temp_dirs[i]);
		put_path(b, "", n->spool_dir, "/" RUNDIR_TEMP);
		kp_buf_puts(b, ";\n");
	}
	kp_buf_puts(b, spooled_text);
	kp_buf_puts(b, poll_text);
	put_upstream(b, n);
	kp_buf_printf(b, "\tserver {\n\t\tlisten %s backlog=1024;\n", n->listen);
	if (n->unix_addr[0]) {
		kp_buf_puts(b, "\t\tlisten ");
		put_path(b, "unix:", n->unix_addr, "");
		kp_buf_puts(b, " backlog=1024;\n");
	}
	kp_buf_printf(b, "\t\tclient_max_body_size %llu;\n\t\tlimit_conn spooled %llu;\n",
	    (unsigned long long)nginx_conf_body_max(n),
	    (unsigned long long)nginx_conf_spooled_max(n));
	kp_buf_puts(b, location_text);
	put_errors(b);
	kp_buf_puts(b, "\t}\n}\n");
	return b->failed ? KP_EBADREQ : KP_OK;
}
