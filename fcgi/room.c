/* One quota for the process. */
#include "fcgi/room.h"

#define ROOM_MIN (256u * 1024 * 1024)
/* One in a form takes four times its bytes: three to arrive in, one to be sent. */
#define MESSAGES 8

static struct kp_quota quota = { .max = ROOM_MIN };

void
room_set(size_t message_max)
{
	quota.max = message_max > ROOM_MIN / MESSAGES ? message_max * MESSAGES : ROOM_MIN;
}

struct kp_quota *
room(void)
{
	return &quota;
}
