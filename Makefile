# Shoal. `make` builds build/shoal, `make run` starts the local stack, `make test` runs every check.
#   DEV=1               no optimisation
#   SANITIZE=address,undefined   a sanitized build in its own folder
PREFIX ?= /usr/local
DESTDIR ?=
B := build$(if $(SANITIZE),/san)
V ?= @

CC ?= cc
# rediss:// where hiredis has TLS (1.0 and later)
TLS := $(shell pkg-config --exists hiredis_ssl 2>/dev/null && echo hiredis_ssl libssl)
PKGS := hiredis $(TLS) libpq libcurl libcjson libevent libcrypto
LAYERS := base model bots wire io store worker gateway admin cli sim up
CFLAGS ?= $(if $(DEV),-O0,-O2) -g
CPPFLAGS += -Iinclude -D_GNU_SOURCE $(if $(TLS),-DSHOAL_REDIS_TLS) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
WARN := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
# what this compiler has on this machine of those: landing pads and shadow stacks exist on some processors only
has = $(shell echo | $(CC) -Werror $(1) -x c -c -o /dev/null - 2>/dev/null && echo $(1))
HARDEN := -fno-omit-frame-pointer -fstack-protector-strong -fPIE $(call has,-fstack-clash-protection) \
	$(call has,-fcf-protection=full) $(if $(DEV)$(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
SAN := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) $(if $(FUZZ),-fsanitize=fuzzer-no-link)
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack $(SAN)
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

lib = $(B)/lib$(1).a
objs = $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/$(1)/*.c))
LIBS := $(foreach l,$(LAYERS),$(call lib,$(l)))
PARTS := $(wildcard lua/part/*.lua)
EMBED := $(sort $(wildcard lua/*.lua sql/*/*.sql src/sim/web/* src/admin/web/*))

.PHONY: all
all: $(B)/shoal

# --- the image of k8s/Dockerfile, by buildah, podman or docker
BUILDER ?= buildah
IMAGE ?= localhost/shoal:$(VERSION)
.PHONY: image
image:
	$(V)$(BUILDER) build -f k8s/Dockerfile -t $(IMAGE) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) --build-arg CREATED=$(shell git log -1 --format=%cI 2>/dev/null) .

# its pods, played by podman. By environment: RATE, SECONDS
.PHONY: k8s-play
k8s-play: $(B)/shoal
	@IMAGE=$(IMAGE) /usr/bin/python3 tests/k8s/play.py $(B)/shoal

# --- the binary: one archive a layer, so that a test links only what it may use
define layer
$(call lib,$(1)): $(call objs,$(1)) $(if $(filter base,$(1)),$(B)/obj/embed.o)
	$(V)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

$(B)/shoal: $(B)/obj/main.o $(LIBS)
	@echo "  LD    $@"
	$(V)$(CC) $(LDFLAGS) -o $@ $(B)/obj/main.o -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS)

$(B)/obj/%.o: src/%.c $(B)/flags
	@mkdir -p $(@D); echo "  CC    $<"
	$(V)$(CC) $(CPPFLAGS) $(FLAGS) -MMD -MP -c -o $@ $<

# rebuilt when they change, not at every call
FLAGS := $(WARN) $(HARDEN) $(SAN) $(CFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
$(B)/version: FORCE
	@mkdir -p $(@D); echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(B)/obj/base/version.o: $(B)/version
$(B)/obj/base/version.o: CPPFLAGS += -DSHOAL_VERSION='"$(VERSION)"'
.PHONY: FORCE

# the same for a file that was renamed or has gone
$(B)/embed.list: FORCE
	@mkdir -p $(@D); echo '$(EMBED) $(PARTS)' | cmp -s - $@ || echo '$(EMBED) $(PARTS)' > $@
$(B)/embed.c: src/embed.sh $(B)/embed.list $(EMBED) $(PARTS)
	@mkdir -p $(@D)
	$(V)sh src/embed.sh $(EMBED) > $@.part && mv $@.part $@
$(B)/obj/embed.o: $(B)/embed.c
	@mkdir -p $(@D)
	$(V)$(CC) $(CPPFLAGS) $(WARN) $(HARDEN) $(CFLAGS) -c -o $@ $<

# --- tests in C: tests/unit/NAME.c names the layers it links in its first line, "/* links: base model */"
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
INTEGRATION := $(patsubst tests/integration/%.c,$(B)/tests/integration/%,$(wildcard tests/integration/test_*.c))
BENCH := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(wildcard tests/bench/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
.SECONDEXPANSION:
linked = $(foreach l,$(shell sed -n '1s,^/\* links: \(.*\) \*/,\1,p' $(1)),$(call lib,$(l)))
$(B)/tests/%: tests/%.c tests/check.h $$(call linked,tests/%.c)
	@mkdir -p $(@D); echo "  CC    $<"
	$(V)$(CC) $(CPPFLAGS) -Itests $(FLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< \
		-Wl,--start-group $(call linked,tests/$*.c) -Wl,--end-group $(LDLIBS)

# libFuzzer's own main instead of the targets'
$(FUZZERS): LDFLAGS += $(if $(FUZZ),-fsanitize=fuzzer -DLIBFUZZER)

# libraries that let operations of a program fail, and shift its clock; never sanitized, as they stand before the sanitizer
FAULT := $(B)/tests/torture/fault.so
CLOCK := $(B)/tests/outside/clock.so
$(FAULT) $(CLOCK): $(B)/%.so: %.c
	@mkdir -p $(@D); echo "  CC    $<"
	$(V)$(CC) $(CPPFLAGS) $(WARN) -O2 -g -fPIC -shared -o $@ $<

# the queue's script against a model: one program of several files
TURN := $(B)/tests/model/test_turn
$(TURN): $(wildcard tests/model/*.[ch]) tests/servers.h tests/port.h
	@mkdir -p $(@D); echo "  CC    tests/model"
	$(V)$(CC) $(CPPFLAGS) -Itests $(FLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(LDLIBS)

# the load of `make bench`
SEND := $(B)/tests/bench/send
$(SEND): $(wildcard tests/bench/send/*.[ch]) $(call lib,base)
	@mkdir -p $(@D); echo "  CC    tests/bench/send"
	$(V)$(CC) $(CPPFLAGS) $(WARN) $(HARDEN) $(SAN) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.a,$^) $(LDLIBS)

# who looks up and who changes in the caches' torture
CACHE_ACTOR := $(B)/tests/torture/cache_actor

.PHONY: clean install uninstall test-programs
test-programs: $(UNIT) $(INTEGRATION) $(BENCH) $(FAULT) $(CLOCK) $(TURN) $(SEND) $(CACHE_ACTOR) $(FUZZERS)
clean:
	rm -rf build
install: $(B)/shoal
	install -D -m 755 $(B)/shoal $(DESTDIR)$(PREFIX)/bin/shoal
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/shoal

.PHONY: deps run test torture torture-cache model layers format monitoring outages plans plans-admin bank chaos bench bench-cache bench-changes bench-press bench-leaderboard bench-interactions chaos-discord crowd failover rolling upgrade pgbouncer
deps:
	@sh src/up/deps.sh
run: deps
	@$(MAKE) --no-print-directory all
	@build/shoal up $(if $(WORKERS),--workers $(WORKERS))
layers:
	@sh tests/layers.sh
format:
	@sh tests/format.sh
# the alert rules as the Prometheus operator wants them
monitoring:
	@sh k8s/monitoring/prometheusrule.sh > k8s/monitoring/prometheusrule.yaml
test:
	@sh src/up/deps.sh test
	@sh tests/run.sh
torture: $(B)/shoal $(FAULT)
	@/usr/bin/python3 tests/torture/torture.py --whole $(B)/shoal

# readers, writers and invalidations of the caches under chaos; then the mistakes that their judge must find
torture-cache: $(B)/shoal $(CACHE_ACTOR)
	@OPS=$(or $(OPS),1000000) /usr/bin/python3 tests/torture/cache_torture.py $(B)/shoal
	@/usr/bin/python3 tests/torture/cache_mutants.py $(B)/shoal

# millions of steps of the queue's script, and every mistake that they must find; then the protocol, searched whole
model: $(TURN)
	@STEPS=$(or $(STEPS),3000000) $(TURN)
	@sh tests/model/spin.sh all

# every outage, held longer than in `make test`
outages: all
	@OUTAGES=all /usr/bin/python3 tests/e2e/test_outages.py build/shoal

# every statement of the escrow bot by index, with a million trades; the ladder's, with a million players; the admin
# API's, with a million people and a hundred million messages
plans: $(B)/tests/integration/test_escrow_sql $(B)/tests/integration/test_ladder_plans plans-admin
	@TRADES=$(or $(TRADES),1000000) $(B)/tests/integration/test_escrow_sql
	@PLAYERS=$(or $(PLAYERS),1000000) $(B)/tests/integration/test_ladder_plans
plans-admin: $(B)/tests/integration/test_admin_sql
	@USERS=$(or $(USERS),1000000) $(B)/tests/integration/test_admin_sql

# faults under load, and a judge. By environment: SECONDS, SEED, WORKERS, CHATS, RATE, FAULTS
chaos: all
	@sh src/up/deps.sh test
	@/usr/bin/python3 tests/chaos/run.py $(B)/shoal

# the reference job, side by side with others. ARGS: options of tests/bench/bench.py, instead of all
bench: all $(SEND) $(B)/tests/bench/standin
	@sh src/up/deps.sh bench || echo "going on with what is there"
	@/usr/bin/python3 tests/bench/bench.py $(if $(ARGS),$(ARGS),--marks --json build/bench/bench.json --chart tests/bench/figures/bench.svg --readme README.md) $(B)/shoal

# what an update costs when there is more of everything. ARGS: options of tests/bench/growth.py, instead of all
.PHONY: bench-growth
bench-growth: all $(SEND) $(B)/tests/bench/standin
	@/usr/bin/python3 tests/bench/growth.py $(if $(ARGS),$(ARGS),--json build/bench/growth.json --chart tests/bench/figures/growth.svg --readme README.md) $(B)/shoal

# every role restarted one after the other under load, and the webhook's secret changed: no webhook fails. By environment:
# WORKERS, CHATS, RATE, PAUSE
rolling: $(B)/shoal
	@/usr/bin/python3 tests/chaos/rolling.py $(B)/shoal

# a fleet of an older version, OLD=REF of the history, rolled to this one under load, back, and forward again
upgrade: $(B)/shoal
	@sh tests/chaos/upgrade.sh $(B)/shoal $(OLD)

# the end-to-end tests, and faults under load, with PgBouncer in transaction mode before Postgres. By environment: TESTS
pgbouncer: $(B)/shoal $(B)/tests/integration/test_pg_pooler
	@sh src/up/deps.sh test
	@sh tests/pgbouncer.sh $(B)/shoal

# how soon a change of a start code reaches all workers, by stage; by environment: CHANGES, LOAD (updates a second)
bench-changes: $(B)/shoal
	@/usr/bin/python3 tests/bench/cache_changes.py $(B)/shoal

# the workers' memory of the caches: hit rates and CPU, then what it throws out beside other ways to choose
bench-cache: $(B)/tests/bench/cache_memory $(B)/tests/bench/cache_policies
	@$(B)/tests/bench/cache_memory
	@$(B)/tests/bench/cache_policies

# people who trade with each other while everything fails, and a judge of the books. By environment: TRADES, PEOPLE,
# WORKERS, SEED, FAULTS
bank: all
	@TRADES=$(or $(TRADES),10000) /usr/bin/python3 tests/bank/run.py $(B)/shoal

# how soon a button is answered and its message edited, at several loads. By environment: RATES, SECONDS, WORKERS, PEOPLE
bench-press: all
	@/usr/bin/python3 tests/bank/press.py $(B)/shoal

# the ladder's commands with a million players, and while its leaderboard is refreshed. ARGS: options of
# tests/bench/leaderboard.py, instead of all
bench-leaderboard: all
	@/usr/bin/python3 tests/bench/leaderboard.py $(if $(ARGS),$(ARGS),--json build/bench/leaderboard.json --readme README.md) $(B)/shoal

# how soon Discord gets its first response under load, by kind of interaction. By environment: RATE, SECONDS, WORKERS, PEOPLE
bench-interactions: all $(B)/tests/bench/interactions
	@/usr/bin/python3 tests/bench/interactions.py $(B)/shoal

# Redis' failovers under load: plain shards, a cluster of six, Sentinels. By environment: SCENES, SECONDS (of each), RATE, CHATS, WORKERS, SEED
failover: all
	@/usr/bin/python3 tests/failover/run.py $(B)/shoal

# interactions while gateways, workers and servers fail, longer than in `make test`. By environment: SECONDS, RATE, SEED
chaos-discord: all
	@SECONDS=$(or $(SECONDS),120) /usr/bin/python3 tests/e2e/test_discord_chaos.py $(B)/shoal

# a crowd that queues at one moment while the workers that pair it are killed, and Redis. By environment: PLAYERS, WORKERS, KILLS, SEED
crowd: all
	@/usr/bin/python3 tests/crowd/run.py $(B)/shoal

.PHONY: fuzz fuzz-programs fuzzers lint soak valgrind
# cppcheck, gcc -fanalyzer, clang-tidy over all of src and the C of tests; by environment: TOOLS
lint:
	@sh tests/lint.sh
# memory, open files and tables over ten million updates; by environment: UPDATES, STEP, WORKERS
soak: all $(B)/tests/bench/standin $(SEND)
	@/usr/bin/python3 tests/bench/soak.py $(B)/shoal

# the end-to-end tests under memcheck; by environment: TESTS
valgrind: $(B)/shoal $(CLOCK)
	@sh src/up/deps.sh test
	@sh tests/valgrind.sh $(B)/shoal

# fuzz targets by coverage, with libFuzzer; FUZZ_CC=afl-clang-fast: the same programs for AFL++. By environment: SECONDS of
# each target (60), TARGET (all). What they find is kept in build/fuzz
fuzz:
	@sh src/up/deps.sh test
	@$(MAKE) --no-print-directory fuzz-programs
	@/usr/bin/python3 tests/fuzz/run.py build/fuzz/tests/fuzz $(or $(SECONDS),60) $(TARGET)
fuzz-programs:
	@$(MAKE) --no-print-directory B=build/fuzz CC='$(or $(FUZZ_CC),clang)' SANITIZE=address,undefined FUZZ=1 fuzzers
fuzzers: $(FUZZERS)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
