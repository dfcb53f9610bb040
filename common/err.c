/* Names and texts of the errors, generated from the one list in err.h. */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *name;
	const char *text;
} errors[] = {
#define X(name, text) [name] = { #name, text },
	KP_ERR_LIST(X)
#undef X
};

const char *
kp_err_text(enum kp_err err)
{
	return (unsigned)err < KP_ERR_COUNT ? errors[err].text : "unknown error";
}

const char *
kp_err_name(enum kp_err err)
{
	return (unsigned)err < KP_ERR_COUNT ? errors[err].name : "KP_UNKNOWN";
}

enum kp_err
kp_err_say(enum kp_err err, char *why, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, cap, fmt, ap);
	va_end(ap);
	return err;
}
