# protobuf-c code of etcd's messages
ETCD_PB := $(OUT)/gen/etcd/rpc.pb-c
$(ETCD_PB).h $(ETCD_PB).c &: libcommon/etcd/rpc.proto
	@mkdir -p $(OUT)/gen/etcd
	$(Q)protoc-c --proto_path=libcommon/etcd --c_out=$(OUT)/gen/etcd rpc.proto
$(ETCD_PB).o: $(ETCD_PB).c
	$(Q)$(CC) $(CFLAGS) -w -c -o $@ $<
GEN_HEADERS += $(ETCD_PB).h
GEN_OBJ += $(ETCD_PB).o
