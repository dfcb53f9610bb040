/*
 * UTF-8, one character at a time.
 */
#ifndef KP_UTF8_H
#define KP_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the sequence at p, which has n > 0 bytes; 0 when it is not a valid one
 * (overlong, a surrogate, past U+10FFFF, cut short). Nothing is read past a byte
 * that cannot belong to it, so a string that ends with NUL may have any n. */
size_t utf8_length(const uint8_t *p, size_t n);
/* The same, but 0 for a control character too: C0, DEL, and C1, on which some
 * terminals act. */
size_t utf8_printable(const uint8_t *p, size_t n);
/* The bytes of the mark that some editors put at the beginning of a text; 0: none. */
size_t utf8_bom(const uint8_t *p, size_t n);

#endif
