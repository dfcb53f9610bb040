/*
 * Text for people. What comes from the helper may be anything, so that nothing of
 * it reaches the terminal but characters.
 */
#ifndef KP_ADMIN_PRINT_H
#define KP_ADMIN_PRINT_H

#include "common/buf.h"

#define PRINT_MAX 40

/* Control characters and what is not UTF-8 as \xNN. */
void print_text(struct kp_buf *out, struct kp_slice s);
/* How many columns that takes. */
size_t print_width(struct kp_slice s);
/* 1,234,567 */
const char *print_count(int64_t n, char text[PRINT_MAX]);
/* 512 B, 1.5 MiB */
const char *print_bytes(int64_t n, char text[PRINT_MAX]);
/* Seconds as 5 s, 1 min 1 s, 3 h 4 min, 5 d 6 h */
const char *print_span(int64_t s, char text[PRINT_MAX]);

/* Gives standard output all that is in *out, and empties it. False when it does not
 * take it: the reason has been printed, unless it is that nobody reads any more. */
bool print_out(struct kp_buf *out);

#endif
