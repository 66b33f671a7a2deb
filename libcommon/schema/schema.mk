# SPDX-License-Identifier: Apache-2.0
# The API's tables: *.api -> schema_gen -> schema_tables.c -> libcommon.a
SCHEMA_API := $(sort $(wildcard libcommon/schema/*.api))
SCHEMA_GEN := $(sort $(wildcard libcommon/schema/gen/*.c))

$(OUT)/gen/schema_gen: $(SCHEMA_GEN) libcommon/schema/gen/schema_gen.h
	@mkdir -p $(@D)
	$(CC_FOR_BUILD) -std=gnu17 $(WARNINGS) -O1 -D_GNU_SOURCE -I. -o $@ $(SCHEMA_GEN) -ljansson

$(OUT)/gen/schema_tables.c: $(OUT)/gen/schema_gen $(SCHEMA_API)
	$(OUT)/gen/schema_gen $@ $(SCHEMA_API)

$(OUT)/gen/schema_tables.o: $(OUT)/gen/schema_tables.c libcommon/schema/schema.h libcommon/schema/schema_internal.h
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

GEN_OBJ += $(OUT)/gen/schema_tables.o
