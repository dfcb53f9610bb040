/* The clock on the wall, for what people read: it may be set at any time. */
#ifndef KP_WALL_H
#define KP_WALL_H

#include <stdint.h>

/* Unix time in milliseconds. */
int64_t wall_time_ms(void);

#endif
