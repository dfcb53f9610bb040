/*
 * Long polls may hold only a part of the threads, so that any number of idle
 * consumers leaves room for a produce.
 */
#ifndef KP_FCGI_CONSUME_H
#define KP_FCGI_CONSUME_H

/* Of all threads together; 0, as at the start, is no limit. Before the first
 * request. */
void consume_set_limit(unsigned polls);

#endif
