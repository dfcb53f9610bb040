/* Core files and ptrace(2). Both are switched off for good: the limit is a hard one. */
#include "common/privacy.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void
privacy_begin(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}
