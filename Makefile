# SPDX-License-Identifier: Apache-2.0
# Builds every component, its tests and its tools. `make help` lists the goals.
#
# BUILD chooses the variant and its folder: release (default), asan (address and undefined-behaviour sanitizers), tsan.

BUILD ?= release
OUT := build/$(BUILD)
CC := $(if $(filter fuzz,$(BUILD)),clang,gcc)
# To build for another architecture: CC, AR and PKG_CONFIG are the tools for that one, CC_FOR_BUILD compiles what runs here.
CC_FOR_BUILD ?= $(CC)
PKG_CONFIG ?= pkg-config
MAKEFLAGS += --no-builtin-rules
Q := $(if $(V),,@)
.SUFFIXES:

# Our own build of libcurl, where scripts/curl has made it.
CURL := $(wildcard build/curl/lib/libcurl.a)
PACKAGES := $(if $(CURL),,libcurl) libnghttp2 libmicrohttpd gnutls jansson yaml-0.1 libprotobuf-c openssl libarchive zlib libzstd libwslay libldns libsodium
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(filter-out libwslay libldns,$(PACKAGES)) 2>/dev/null)

WARNINGS := -Wall -Wextra -Wno-missing-field-initializers -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wwrite-strings -Wvla
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -Wno-error -Wno-unknown-warning-option \
	-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
CFLAGS_tsan := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
CFLAGS := -std=gnu17 $(WARNINGS) $(CFLAGS_$(BUILD)) -fstack-protector-strong -fPIE -ffunction-sections -fdata-sections \
	-D_GNU_SOURCE -pthread $(PKG_CFLAGS)
CPPFLAGS := -I. -I$(OUT)/gen $(if $(CURL),-isystem build/curl/include -DCURL_STATICLIB) -include libcommon/base/banned.h
LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now -Wl,--gc-sections -Wl,--as-needed $(filter -fsanitize%,$(CFLAGS_$(BUILD)))

# Sanitizers stand in for crypt_r and look for the real one at run time: the library has to be there, though nobody else needs it.
LIBCRYPT := $(if $(filter release,$(BUILD)),-lcrypt,-Wl,--push-state,--no-as-needed -lcrypt -Wl,--pop-state)
# Libraries a component needs beyond those of libcommon; the linker drops what is not used.
LIBS := $(or $(CURL),-lcurl) -lnghttp2 -lmicrohttpd -lgnutls -ljansson -lyaml -lprotobuf-c -lssl -lcrypto -larchive -lzstd -lz -lwslay -lldns -lsodium $(LIBCRYPT) -lm

# component folder -> executable
EXE_apiserver := kube-apiserver
EXE_scheduler := kube-scheduler
EXE_controller-manager := kube-controller-manager
EXE_cloud-controller-manager := cloud-controller-manager
EXE_kubelet := kubelet
EXE_kube-proxy := kube-proxy
EXE_kubectl := kubectl
EXE_minikube := minikube
EXE_addons/dashboard := dashboard
EXE_addons/dns := cluster-dns
EXE_addons/ingress := ingress-controller
EXE_addons/loadbalancer := loadbalancer-announcer
EXE_addons/metrics-server := metrics-server
EXE_addons/storage-provisioner := storage-provisioner
COMPONENTS := $(foreach c,apiserver scheduler controller-manager cloud-controller-manager kubelet kube-proxy kubectl minikube \
	addons/dashboard addons/dns addons/ingress addons/loadbalancer addons/metrics-server addons/storage-provisioner,\
	$(if $(wildcard $(c)/main.c),$(c)))

sources = $(sort $(shell find $(1) -name '*.c' -not -name main.c -not -path '*/gen/*' 2>/dev/null))
objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

COMMON_OBJ := $(call objects,$(call sources,libcommon))
COMMON_LIB := $(OUT)/libcommon.a
# What the controller managers share, linked where it is used.
CONTROLLER_LIB := $(OUT)/libcontroller.a

all: $(foreach c,$(COMPONENTS),$(OUT)/bin/$(EXE_$(c)))

# Generated tables (libcommon/schema) and protobuf code add to these lists.
ALL_SRC = $(call sources,libcommon) $(call sources,libcontroller) $(foreach c,$(COMPONENTS),$(call sources,$(c)) $(c)/main.c)
GEN_HEADERS :=
GEN_OBJ :=
-include libcommon/schema/schema.mk
-include libcommon/etcd/etcd.mk
-include kubelet/csi/csi.mk
-include addons/dashboard/dashboard.mk

# The commit and its date, for version_info.c: remade only when they change.
BUILD_INFO := $(OUT)/gen/build_info.h
$(BUILD_INFO): FORCE
	@scripts/build-info $@
$(OUT)/obj/libcommon/api/version_info.o: $(BUILD_INFO)
FORCE:

$(OUT)/obj/%.o: %.c | $(GEN_HEADERS)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/obj/apiserver/bootstrap/policy.o: apiserver/bootstrap/bootstrap.policy
$(OUT)/obj/minikube/addons.o: $(wildcard addons/*/addon.yaml)

$(COMMON_LIB): $(COMMON_OBJ) $(GEN_OBJ)
$(CONTROLLER_LIB): $(call objects,$(call sources,libcontroller))
$(COMMON_LIB) $(CONTROLLER_LIB):
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

define component_rules
$(OUT)/lib$(notdir $(1)).a: $(call objects,$(call sources,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
$(OUT)/bin/$(EXE_$(1)): $(OUT)/obj/$(1)/main.o $(OUT)/lib$(notdir $(1)).a $(CONTROLLER_LIB) $(COMMON_LIB) $(CURL)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$(filter-out $(CURL),$$^) $(LIBS)
endef
$(foreach c,$(COMPONENTS),$(eval $(call component_rules,$(c))))

# Unit tests: test/unit/<component>/test_foo.c, with libcommon's under test/unit/libcommon.
UNIT_SRC := $(sort $(shell find test/unit -name 'test_*.c' 2>/dev/null))
UNIT_BIN := $(patsubst test/unit/%.c,$(OUT)/test/%,$(UNIT_SRC))
unit_lib = $(if $(filter libcommon,$(1)),,$(OUT)/lib$(1).a)
define unit_rule
$(patsubst test/unit/%.c,$(OUT)/test/%,$(1)): $(OUT)/obj/$(1:.c=.o) \
		$(call unit_lib,$(word 3,$(subst /, ,$(1)))) $(CONTROLLER_LIB) $(COMMON_LIB)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ -lcmocka $(LIBS)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(t))))

unit-build: $(UNIT_BIN)

# Programs that tests run in machines of their own: test/vm/foo.c.
VM_BIN := $(patsubst test/vm/%.c,$(OUT)/test/vm/%,$(wildcard test/vm/*.c))
$(OUT)/test/vm/%: $(OUT)/obj/test/vm/%.o $(OUT)/libstorage-provisioner.a $(COMMON_LIB)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Measuring programs: test/bench/foo.c.
$(OUT)/bench/%: $(OUT)/obj/test/bench/%.o $(COMMON_LIB)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Runs the unit tests of this BUILD variant.
unit: unit-build
	@test/run-unit.sh $(OUT)/test

# Unit tests under the address and undefined-behaviour sanitizers.
check:
	$(MAKE) BUILD=asan unit

# --- what a newcomer types ---

up:
	@scripts/deps
	@scripts/curl
	@$(MAKE) --no-print-directory -s all
	@scripts/up

down:
	@[ ! -x build/release/bin/minikube ] || build/release/bin/minikube delete

# Executables, manual pages, completions, units and the tool `coxswain` below $(DESTDIR)$(PREFIX).
PREFIX ?= /usr/local
install: all
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) packaging/install $(OUT)/bin

# Debian packages, in build/deb.
deb: all
	@scripts/deps deb
	@scripts/deb

# Everything: builds with and without sanitizers, unit, integration and end-to-end tests.
test:
	@scripts/deps test vm deb machines
	@scripts/curl
	@test/run

# What the machine's own kernel cannot show: test/vm, on Debian's kernel in qemu; and a cluster on Debian of each suite that users
# have, which takes most of an hour where /dev/kvm does not work.
SUITES ?= trixie bookworm
vm-build: $(VM_BIN)
test-vm: vm-build
	@scripts/deps test vm deb suites
	@for t in test/vm/*.sh; do echo "$$t"; $$t || exit 1; done
	@for s in $(SUITES); do echo "test/vm/debian/debian.sh $$s"; test/vm/debian/debian.sh $$s || exit 1; done

# Real machines: the long form, with three masters and two workers.
test-machines: all
	@scripts/deps test deb machines
	@for t in test/machines/*.sh; do echo "$$t"; $$t || exit 1; done

# Small boards: a cluster in 192 MB for MINUTES (60), and packages for arm64.
test-small: all
	@scripts/deps test deb small
	@for t in test/small/*.sh; do echo "$$t"; $$t || exit 1; done

# --- quality ---

lint:
	@scripts/deps lint
	@scripts/lint

bench:
	@scripts/deps test
	@scripts/curl
	@$(MAKE) --no-print-directory -s all
	@test/bench/run

# Fuzzers with libFuzzer: built by clang with sanitizers, each run for FUZZ_SECONDS with little memory and a small stack.
FUZZ_SECONDS ?= 10
FUZZ_SRC := $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ_BIN := $(patsubst test/fuzz/%.c,$(OUT)/fuzz/%,$(FUZZ_SRC))
FUZZ_LIBS := $(foreach c,$(COMPONENTS),$(OUT)/lib$(notdir $(c)).a) $(CONTROLLER_LIB)
$(OUT)/fuzz/%: $(OUT)/obj/test/fuzz/%.o $(FUZZ_LIBS) $(COMMON_LIB)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(filter-out -fsanitize%,$(LDFLAGS)) -fsanitize=fuzzer,address,undefined -o $@ $< \
		-Wl,--start-group $(FUZZ_LIBS) $(COMMON_LIB) -Wl,--end-group $(LIBS)
fuzz-build: $(FUZZ_BIN)
fuzz-smoke:
	@scripts/deps test
	@$(MAKE) --no-print-directory BUILD=fuzz fuzz-build
	@ulimit -s 1024; for f in build/fuzz/fuzz/fuzz_*; do echo "$$f"; \
		$$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=0 -verbosity=0 -artifact_prefix=build/fuzz/ || exit 1; done

# compile_commands.json for editors and clang-tidy
compdb:
	@{ printf '['; sep=; for f in $(ALL_SRC); do \
		printf '%s{"directory":"%s","file":"%s","command":"$(CC) $(subst ",\",$(CPPFLAGS) $(CFLAGS)) -c %s"}' \
			"$$sep" "$(CURDIR)" "$$f" "$$f"; sep=','; done; printf ']\n'; } >compile_commands.json

clean:
	rm -rf build

help:
	@sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile | sort -u

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
.PHONY: all unit unit-build check up down install deb test test-machines test-small test-vm vm-build lint bench fuzz-build fuzz-smoke compdb clean help
.SECONDARY:
