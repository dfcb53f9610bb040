# Build, test and install. `make help` lists what there is to make.
B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=

CFLAGS  ?= -O2 -g
# `make V=1` shows whole commands.
Q        = $(if $(V),,@echo "  $@";)
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wwrite-strings -Wformat=2 -Wundef $(if $(CI),-Werror)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
# _FORTIFY_SOURCE hides errors from the sanitizers, so it is one or the other.
HARDEN  := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection \
           $(if $(SAN),,-D_FORTIFY_SOURCE=2)
LINK    := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) $(LDFLAGS)
# FAULTS=1: the places of common/fault.h are real. For tests only.
BASE    := -std=c11 -D_GNU_SOURCE -DTHREADED $(if $(FAULTS),-DKP_FAULTS) -I. -MMD -MP

COMMON  := $(wildcard common/*.c)
FCGI    := $(wildcard fcgi/*.c)
# librdkafka's threads, made known to ThreadSanitizer.
THREADS := $(if $(filter thread,$(SAN)),tests/tsan_threads.c)
HELPER  := $(wildcard helper/*.c helper/*/*.c) $(THREADS)
LAUNCH  := $(wildcard deploy/launcher/*.c deploy/admin/*.c)
UNIT    := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
IT      := $(patsubst tests/it/test_%.c,%,$(wildcard tests/it/test_*.c))
DISK    := $(patsubst tests/faults/test_%.c,%,$(wildcard tests/faults/test_*.c))
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
IT_LIB  := $(filter-out tests/it/test_%,$(wildcard tests/it/*.c)) $(THREADS)

obj      = $(patsubst %.c,$(B)/%.o,$(1))
BINS    := $(B)/kafka-pixy $(B)/kafka-pixy.fcgi $(B)/kafka-pixy-helper

# libfcgi and the ZooKeeper client have no pkg-config file on Debian.
PC           = $(shell pkg-config $(1) rdkafka sqlite3 libuv jansson zlib 2>/dev/null)
BASE        += $(call PC,--cflags)
FCGI_LIBS   := -lfcgi $(shell pkg-config --libs jansson 2>/dev/null) -lpthread
HELPER_LIBS := $(call PC,--libs) -lzookeeper_mt -lpthread

all: deps $(BINS)

$(B)/kafka-pixy: $(call obj,$(LAUNCH) $(COMMON))
	$(Q)$(CC) $(LINK) -o $@ $^
$(B)/kafka-pixy.fcgi: $(call obj,$(FCGI) $(COMMON))
	$(Q)$(CC) $(LINK) -o $@ $^ $(FCGI_LIBS)
$(B)/kafka-pixy-helper: $(call obj,$(HELPER) $(COMMON))
	$(Q)$(CC) $(LINK) -o $@ $^ $(HELPER_LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(WARN) $(HARDEN) $(SANFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# A missing library is named with its Debian package, before the compiler runs.
.PHONY: deps
deps:
	@deploy/deps.sh check

# Unit tests link one side's objects without its main.
FCGI_T   = $(call obj,$(filter-out fcgi/main.c,$(FCGI)) $(COMMON))
HELPER_T = $(call obj,$(filter-out helper/main.c,$(HELPER)) $(COMMON))
$(B)/test_fcgi_%: $(B)/tests/unit/test_fcgi_%.o $(FCGI_T)
	$(Q)$(CC) $(LINK) -o $@ $^ $(FCGI_LIBS) -lcmocka
$(B)/test_helper_%: $(B)/tests/unit/test_helper_%.o $(HELPER_T)
	$(Q)$(CC) $(LINK) -o $@ $^ $(HELPER_LIBS) -lcmocka
LAUNCH_T = $(call obj,$(filter-out deploy/launcher/main.c,$(LAUNCH)) $(COMMON))
$(B)/test_launcher_%: $(B)/tests/unit/test_launcher_%.o $(LAUNCH_T)
	$(Q)$(CC) $(LINK) -o $@ $^ -lcmocka
$(B)/test_admin_%: $(B)/tests/unit/test_admin_%.o $(LAUNCH_T)
	$(Q)$(CC) $(LINK) -o $@ $^ -lcmocka -lpthread
$(B)/test_common_%: $(B)/tests/unit/test_common_%.o $(call obj,$(COMMON))
	$(Q)$(CC) $(LINK) -o $@ $^ -lcmocka
$(B)/it_%: $(B)/tests/it/test_%.o $(call obj,$(IT_LIB) $(COMMON))
	$(Q)$(CC) $(LINK) -o $@ $^ -lrdkafka -lcmocka -lpthread

# Fuzz targets, by libFuzzer (LIBFUZZER=1, with clang) or by a driver of our own.
FUZZ_BY = $(if $(LIBFUZZER),-fsanitize=fuzzer,$(call obj,tests/fuzz/driver.c))
$(B)/fuzz_fcgi_%: $(B)/tests/fuzz/fuzz_fcgi_%.o $(FCGI_T) $(filter %.o,$(FUZZ_BY))
	$(Q)$(CC) $(LINK) -o $@ $(filter %.o,$^) $(filter -%,$(FUZZ_BY)) $(FCGI_LIBS)
$(B)/fuzz_helper_%: $(B)/tests/fuzz/fuzz_helper_%.o $(HELPER_T) $(filter %.o,$(FUZZ_BY))
	$(Q)$(CC) $(LINK) -o $@ $(filter %.o,$^) $(filter -%,$(FUZZ_BY)) $(HELPER_LIBS)
$(B)/fuzz_common_%: $(B)/tests/fuzz/fuzz_common_%.o $(call obj,$(COMMON)) $(filter %.o,$(FUZZ_BY))
	$(Q)$(CC) $(LINK) -o $@ $(filter %.o,$^) $(filter -%,$(FUZZ_BY))
# Our parsers as a filter, to be compared with Python's.
$(B)/parsefilter: $(B)/tests/fuzz/filter.o $(FCGI_T)
	$(Q)$(CC) $(LINK) -o $@ $^ $(FCGI_LIBS)
.PHONY: fuzz-targets check-fuzz fuzz
fuzz-targets: $(FUZZ:%=$(B)/fuzz_%) $(B)/parsefilter
# A quick look in the gate, in the build with sanitizers; and `make fuzz` for as long as
# one likes, with libFuzzer where clang is.
check-fuzz:
	@$(MAKE) --no-print-directory $(ASAN) fuzz-targets
	@tests/fuzz/run.sh $${KP_FUZZ_SECONDS:-7} $(FUZZ:%=$(B)/asan/fuzz_%)
	@python3 tests/fuzz/differential.py $(B)/asan/parsefilter $(if $(KP_LONG),1000000,100000)
CLANG := $(firstword $(shell command -v clang clang-14))
LIBFUZZER_BUILD = B=$(B)/libfuzzer LIBFUZZER=1 CC=$(CLANG) SAN=address,undefined,fuzzer-no-link \
                  CFLAGS='-O1 -g'
fuzz:
	@$(MAKE) --no-print-directory $(if $(CLANG),$(LIBFUZZER_BUILD),$(ASAN)) fuzz-targets
	@tests/fuzz/run.sh $${KP_FUZZ_SECONDS:-600} \
	    $(FUZZ:%=$(B)/$(if $(CLANG),libfuzzer,asan)/fuzz_%)

# The same programs with the places of common/fault.h: tests choose where they die.
.PHONY: faults
faults:
	@$(MAKE) --no-print-directory B=$(B)/faults FAULTS=1 $(BINS:$(B)/%=$(B)/faults/%) \
	    $(B)/faults/store_driver

# The store between a process that is killed and a disk that fails: a library to be
# preloaded, a driver, and the tests. The driver exists as a build that breaks
# promises, too.
STORE_T   = $(call obj,$(wildcard helper/store/*.c) helper/loop.c helper/loop_lanes.c $(COMMON) $(THREADS))
FAULT_LIB = $(addprefix tests/faults/,check.c image.c run.c smalldisk.c trace.c workload.c)
DRIVER    = store_driver workload
$(B)/%.so: tests/faults/%.c tests/faults/shim.h
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -I. $(WARN) $(CPPFLAGS) -O2 -g -fPIC -shared -o $@ $<
$(B)/store_driver: $(DRIVER:%=$(B)/tests/faults/%.o) $(STORE_T)
	$(Q)$(CC) $(LINK) -Wl,--wrap=sqlite3_wal_hook -o $@ $^ $(HELPER_LIBS)
$(B)/faults_%: $(B)/tests/faults/test_%.o $(call obj,$(FAULT_LIB)) $(STORE_T) \
    $(call obj,$(filter-out tests/it/test_%,$(wildcard tests/it/*.c)))
	$(Q)$(CC) $(LINK) -o $@ $^ $(HELPER_LIBS) -lcmocka
FAULT_BINS = $(B)/shim.so $(B)/shim_malloc.so $(B)/bad_librdkafka.so $(B)/store_driver $(DISK:%=$(B)/faults_%)

.PHONY: check-faults
check-faults: $(B)/kafka-pixy-helper $(FAULT_BINS) faults
	@KP_BUILD=$(B) tests/run.sh faults $(DISK:%=$(B)/faults_%)

.PHONY: check-unit check-it check-layers check-e2e
check-unit: $(UNIT:%=$(B)/test_%)
	@tests/run.sh unit $^
check-it: $(B)/kafka-pixy-helper $(IT:%=$(B)/it_%) faults
	@KP_BUILD=$(B) KP_TEST_JOBS=3 tests/run.sh integration $(IT:%=$(B)/it_%)
check-layers:
	@tests/lint.sh
check-e2e: $(BINS) $(B)/zkdrive $(B)/load $(B)/soak faults
	@KP_BUILD=$(B) tests/e2e/run $(KP_E2E)

# On other librdkafkas than the system's: that of the other Debian with all that depends
# on it, and the newest with what depends on it most.
UNIT_K   := $(filter helper_%,$(UNIT))
IT_K     := $(filter-out ceilings hostile store_limits,$(IT))
NEWEST_K := consume lifecycle member offsets order produce stall
.PHONY: check-librdkafka
check-librdkafka: export KP_BUILD = $(B)
check-librdkafka: export KP_TEST_JOBS = 3
check-librdkafka: $(B)/kafka-pixy-helper $(UNIT_K:%=$(B)/test_%) $(IT_K:%=$(B)/it_%) faults
	@tests/librdkafka.sh debian $(UNIT_K:%=$(B)/test_%) $(IT_K:%=$(B)/it_%)
	@tests/librdkafka.sh newest $(UNIT_K:%=$(B)/test_%) $(NEWEST_K:%=$(B)/it_%)

# Our side of the coordination alone, for tests on a real ZooKeeper.
$(B)/zkdrive: $(B)/tests/e2e/lib/zkdrive.o $(HELPER_T)
	$(Q)$(CC) $(LINK) -o $@ $^ $(HELPER_LIBS)

# Produces over HTTP and keeps the books of it.
$(B)/load: $(B)/tests/e2e/lib/load.o
	$(Q)$(CC) $(LINK) -o $@ $^ -lpthread

# Asks for everything at a pace, for long.
$(B)/soak: $(call obj,$(wildcard tests/e2e/lib/soak*.c))
	$(Q)$(CC) $(LINK) -o $@ $^

.PHONY: tests
tests: $(UNIT:%=$(B)/test_%) $(IT:%=$(B)/it_%) $(B)/zkdrive $(B)/load $(B)/soak \
    $(if $(filter thread,$(SAN)),,$(FAULT_BINS))

# Everything, on everything: installs what is missing, then the plain build with all
# tests, and all of them again under the sanitizers. Both kinds of tests on Kafka
# mostly wait, so they run beside each other; the last lines are those of the longer.
JOBS   := $(shell nproc 2>/dev/null || echo 2)
BESIDE := -j2 --output-sync=target
.PHONY: check asan tsan
check:
	tests/setup.sh
	$(MAKE) -j$(JOBS) all tests
	$(MAKE) check-layers check-unit
	$(MAKE) $(BESIDE) check-it check-e2e check-faults check-librdkafka
	$(MAKE) asan
	$(MAKE) check-fuzz

# The same random tests with large numbers, and those that take long: 2 h at most. The
# last one measures a speed, so it runs alone. And then the soak.
LONG_E2E := $(filter-out test_long.py test_soak.py,$(notdir $(shell grep -lE 'import.*rounds|mark\.long' tests/e2e/test_*.py)))
.PHONY: check-long check-long-steps
check-long: export KP_LONG = 1
check-long: export KP_TEST_TIMEOUT = 3600
check-long: export PYTEST_TIMEOUT = 3600
check-long:
	tests/setup.sh
	$(MAKE) -j$(JOBS) all tests faults
	timeout -k 60 7200 $(MAKE) check-long-steps
	$(MAKE) check-soak
check-long-steps:
	$(MAKE) tsan
	KP_JOBS=3 $(MAKE) $(BESIDE) check-it check-e2e check-faults KP_E2E='$(LONG_E2E)'
	KP_BUILD=$(B) tests/e2e/run test_long.py -n 0

# Two hours of mixed load, and what it has left behind: it measures, so it runs alone.
.PHONY: check-soak
check-soak: $(BINS) $(B)/soak
	KP_LONG=1 KP_BUILD=$(B) tests/e2e/run test_soak.py -n 0

# The sanitizers' own builds, beside the plain one. Tests that kill at random are about
# promises, not about memory: they are not repeated.
ASAN_E2E := test_contract.py test_bad_input.py test_longpoll.py test_operator.py test_launcher.py \
            test_groups.py test_coordination.py test_coordination_others.py test_coordination_sessions.py \
            test_acks.py test_kafka_groups.py
ASAN := B=$(B)/asan SAN=address,undefined CFLAGS='-O1 -g'
TSAN := B=$(B)/tsan SAN=thread CFLAGS='-O1 -g'
asan:
	$(MAKE) -j$(JOBS) $(ASAN) all tests
	$(MAKE) $(ASAN) check-unit
	$(MAKE) $(BESIDE) $(ASAN) check-it check-e2e check-faults KP_E2E='$(ASAN_E2E)'
tsan: export TSAN_OPTIONS = suppressions=$(CURDIR)/tests/tsan.supp die_after_fork=0
tsan:
	$(MAKE) -j$(JOBS) $(TSAN) all tests
	$(MAKE) $(TSAN) check-unit check-it

# The quick start for real, with a broker in memory.
.PHONY: demo
demo:
	@B=$(B) MAKE='$(MAKE)' deploy/demo.sh

# Paths in the installed files are those of PREFIX. A file of options that is there stays.
SYSCONFDIR ?= /etc
LIBEXEC    := $(PREFIX)/libexec/kafka-pixy
SAMPLES    := nginx.conf lighttpd.conf apache-proxy_fcgi.conf apache-fcgid.conf apache-cgi.conf \
              spawn-fcgi.sh
ERRORS     := $(notdir $(wildcard deploy/lighttpd-errors/*.html))
UNITS      := $(notdir $(wildcard deploy/systemd/*.service deploy/systemd/*.socket))
PLACES     := sed -e 's|/usr/libexec/kafka-pixy|$(LIBEXEC)|g' -e 's|/etc/kafka-pixy|$(SYSCONFDIR)/kafka-pixy|g' \
              -e 's|/usr/share/kafka-pixy|$(PREFIX)/share/kafka-pixy|g'
D          := $(DESTDIR)$(PREFIX)
EXAMPLES   := $(D)/share/doc/kafka-pixy/examples

.PHONY: install
install: all
	install -d $(D)/bin $(DESTDIR)$(LIBEXEC) $(D)/lib/systemd/system $(D)/lib/sysusers.d \
	    $(D)/lib/tmpfiles.d $(D)/share/kafka-pixy/lighttpd-errors $(EXAMPLES) $(DESTDIR)$(SYSCONFDIR)
	install -m 755 $(B)/kafka-pixy $(D)/bin
	install -m 755 $(B)/kafka-pixy.fcgi $(B)/kafka-pixy-helper $(DESTDIR)$(LIBEXEC)
	@set -e; put() { $(PLACES) deploy/$$1 >"$$2"; chmod $$3 "$$2"; echo "install $$2"; }; \
	for f in $(UNITS); do put systemd/$$f $(D)/lib/systemd/system/$$f 644; done; \
	put systemd/kafka-pixy.sysusers $(D)/lib/sysusers.d/kafka-pixy.conf 644; \
	put systemd/kafka-pixy.tmpfiles $(D)/lib/tmpfiles.d/kafka-pixy.conf 644; \
	for f in $(SAMPLES); do put $$f $(EXAMPLES)/$$f 644; done; \
	for f in $(ERRORS); do put lighttpd-errors/$$f $(D)/share/kafka-pixy/lighttpd-errors/$$f 644; done; \
	put kafka-pixy.conf $(D)/share/kafka-pixy/kafka-pixy.conf 644; \
	[ -e $(DESTDIR)$(SYSCONFDIR)/kafka-pixy.conf ] || \
	    put kafka-pixy.conf $(DESTDIR)$(SYSCONFDIR)/kafka-pixy.conf 644

help:
	@echo "make               the three programs, into $(B)/"
	@echo "make demo          the quick start, with a broker in memory"
	@echo "make check         installs what the tests need and runs all of them"
	@echo "make check-long    the random ones with large numbers, and the long ones: up to 2 h, and check-soak"
	@echo "make check-soak    two hours of mixed load: nothing grows"
	@echo "make check-layers check-unit check-it check-librdkafka check-faults check-e2e    some of them"
	@echo "make fuzz          looks for bytes that break a parser, for KP_FUZZ_SECONDS a target"
	@echo "make asan tsan     builds and tests under the sanitizers"
	@echo "make install       PREFIX=$(PREFIX) DESTDIR= SYSCONFDIR=$(SYSCONFDIR)"
	@echo "make clean"

clean:
	rm -rf $(B)

.PRECIOUS: $(B)/%.o
.PHONY: all clean help
-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d $(B)/*/*/*/*.d)
