# Build, test and install. `make help` lists what there is to make.
B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=

CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wwrite-strings -Wformat=2 -Wundef $(if $(CI),-Werror)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
# _FORTIFY_SOURCE hides errors from the sanitizers, so it is one or the other.
HARDEN  := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection \
           $(if $(SAN),,-D_FORTIFY_SOURCE=2)
LINK    := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) $(LDFLAGS)
BASE    := -std=c11 -D_GNU_SOURCE -DTHREADED -I. -MMD -MP

# Library, its pkg-config name (or header), and the Debian package that has it.
PKGS    := rdkafka:librdkafka-dev fcgi:libfcgi-dev jansson:libjansson-dev \
           sqlite3:libsqlite3-dev libuv:libuv1-dev
PC       = $(shell pkg-config $(1) 2>/dev/null)

COMMON  := $(wildcard common/*.c)
FCGI    := $(wildcard fcgi/*.c)
HELPER  := $(wildcard helper/*.c helper/*/*.c)
LAUNCH  := $(wildcard deploy/launcher/*.c)
UNIT    := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
IT      := $(patsubst tests/it/test_%.c,%,$(wildcard tests/it/test_*.c))

obj      = $(patsubst %.c,$(B)/%.o,$(1))
BINS    := $(B)/kafka-pixy $(B)/kafka-pixy.fcgi $(B)/kafka-pixy-helper

FCGI_LIBS   := -lfcgi -ljansson -lpthread
HELPER_LIBS := -lrdkafka -lsqlite3 -lzookeeper_mt -luv -ljansson -lpthread

all: deps $(BINS)

$(B)/kafka-pixy: $(call obj,$(LAUNCH) $(COMMON))
	$(CC) $(LINK) -o $@ $^
$(B)/kafka-pixy.fcgi: $(call obj,$(FCGI) $(COMMON))
	$(CC) $(LINK) -o $@ $^ $(FCGI_LIBS)
$(B)/kafka-pixy-helper: $(call obj,$(HELPER) $(COMMON))
	$(CC) $(LINK) -o $@ $^ $(HELPER_LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(WARN) $(HARDEN) $(SANFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# A missing library is named with its Debian package, before the compiler runs.
.PHONY: deps
deps:
	@deploy/deps.sh check

# Unit tests link one side's objects without its main.
FCGI_T   = $(call obj,$(filter-out fcgi/main.c,$(FCGI)) $(COMMON))
HELPER_T = $(call obj,$(filter-out helper/main.c,$(HELPER)) $(COMMON))
$(B)/test_fcgi_%: $(B)/tests/unit/test_fcgi_%.o $(FCGI_T)
	$(CC) $(LINK) -o $@ $^ $(FCGI_LIBS) -lcmocka
$(B)/test_helper_%: $(B)/tests/unit/test_helper_%.o $(HELPER_T)
	$(CC) $(LINK) -o $@ $^ $(HELPER_LIBS) -lcmocka
$(B)/test_common_%: $(B)/tests/unit/test_common_%.o $(call obj,$(COMMON))
	$(CC) $(LINK) -o $@ $^ -lcmocka
$(B)/it_%: $(B)/tests/it/test_%.o $(call obj,tests/it/peer.c) $(call obj,$(COMMON))
	$(CC) $(LINK) -o $@ $^ -lrdkafka -lcmocka -lpthread

.PHONY: check-unit check-it check-layers
check-unit: $(UNIT:%=$(B)/test_%)
	@tests/run.sh unit $^
check-it: $(B)/kafka-pixy-helper $(IT:%=$(B)/it_%)
	@KP_BUILD=$(B) tests/run.sh integration $(IT:%=$(B)/it_%)
check-layers:
	@tests/lint.sh

clean:
	rm -rf $(B)

.PRECIOUS: $(B)/%.o
.PHONY: all clean
-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)
