/* One PING frame, one DONE frame: the smallest client of the helper. */
#include "deploy/launcher/ping.h"

#include <unistd.h>

#include "common/msg.h"
#include "common/sock.h"
#include "common/wire.h"

/* True when a whole reply came that is no error. */
static bool
read_reply(int fd, int64_t until_ms)
{
	uint8_t bytes[WIRE_HEADER];
	size_t have = 0, n, used, want;
	struct wire_frame f;
	bool hungup;

	while (have < sizeof(bytes)) {
		if (sock_read(fd, bytes + have, sizeof(bytes) - have, until_ms, -1, &n, &hungup))
			return false;
		have += n;
	}
	return wire_decode((struct kp_slice){ bytes, have }, 0, &f, &used, &want) == KP_OK &&
	    used == have && f.type == MSG_DONE;
}

bool
ping_helper(const char *socket, int timeout_ms)
{
	int64_t until_ms = sock_now_ms() + timeout_ms;
	struct kp_buf b;
	bool ok = false;
	int fd;

	kp_buf_init(&b, WIRE_HEADER);
	if (wire_end(&b, wire_begin(&b, MSG_PING, 1, (uint32_t)timeout_ms)) == KP_OK &&
	    sock_connect(socket, 0, &fd) == KP_OK) {
		ok = sock_write(fd, b.p, b.len, until_ms, NULL) == KP_OK &&
		    read_reply(fd, until_ms);
		close(fd);
	}
	kp_buf_free(&b);
	return ok;
}
