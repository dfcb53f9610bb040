/* A request from CGI variables, for tests of the responder. */
#ifndef KP_FCGI_VARS_H
#define KP_FCGI_VARS_H

#include <string.h>

#include "fcgi/req.h"

#define VARS_MAX 8

struct var {
	const char *name, *value;
};

/* Ends with a row without a name, or after VARS_MAX. */
static inline const char *
vars_get(const void *arg, const char *name)
{
	const struct var *vars = arg;

	for (size_t i = 0; i < VARS_MAX && vars[i].name; i++)
		if (strcmp(vars[i].name, name) == 0)
			return vars[i].value;
	return NULL;
}

#endif
