/* Names and texts of the errors, generated from the one list in err.h. */
#include "common/err.h"

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
