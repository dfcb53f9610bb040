/*
 * What our parsers make of a text, for tests/fuzz/differential.py. A line in, a line out;
 * bytes are hexadecimal:
 *
 *	q TEXT		a query: name=value&name=value&
 *	p TEXT		a segment of a path: +bytes, or - for a broken escape
 *	j TEXT		the body of POST offsets: +partition,offset,metadata;... or - why;
 *			a time has an @ before its milliseconds
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/json.h"
#include "fcgi/json_in.h"
#include "fcgi/url.h"

static int
hex(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void
put(struct kp_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		printf("%02x", s.p[i]);
}

static void
query(struct kp_slice text)
{
	struct url_pairs p;

	if (url_pairs_parse(&p, text) != KP_OK)
		exit(1);
	for (size_t i = 0; i < p.n; i++) {
		put(p.v[i].name);
		putchar('=');
		put(p.v[i].value);
		putchar('&');
	}
	url_pairs_free(&p);
}

static void
path(struct kp_slice text)
{
	uint8_t *out = malloc(text.n + 1);
	size_t n;

	if (out == NULL)
		exit(1);
	if (url_decode(text, false, out, &n)) {
		putchar('+');
		put((struct kp_slice){ out, n });
	} else {
		putchar('-');
	}
	free(out);
}

static void
offsets(struct kp_slice text)
{
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	char why[512] = "";

	if (json_parse_offsets(text, &doc, &m, why, sizeof(why)) == KP_OK) {
		putchar('+');
		for (size_t i = 0; i < m.n; i++) {
			printf("%" PRId32 ",%s%" PRId64 ",", m.v[i].partition,
			    m.v[i].by_time ? "@" : "", m.v[i].offset);
			put(m.v[i].metadata);
			putchar(';');
		}
	} else {
		putchar('-');
		put(kp_slice_str(why));
	}
	json_doc_free(&doc);
}

int
main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, stdin)) > 2) {
		size_t bytes = (size_t)(n - 2) / 2;
		uint8_t *text = malloc(bytes ? bytes : 1);

		if (text == NULL)
			return 1;
		for (size_t i = 0; i < bytes; i++)
			text[i] = (uint8_t)(hex(line[2 + 2 * i]) << 4 | hex(line[3 + 2 * i]));
		(line[0] == 'q' ? query : line[0] == 'p' ? path : offsets)(
		    (struct kp_slice){ text, bytes });
		putchar('\n');
		free(text);
	}
	free(line);
	return 0;
}
