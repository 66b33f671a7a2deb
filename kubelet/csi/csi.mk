# protobuf-c code of the messages that CSI drivers are spoken to with
CSI_PB := $(OUT)/gen/csi/csi.pb-c
$(CSI_PB).h $(CSI_PB).c &: kubelet/csi/csi.proto
	@mkdir -p $(OUT)/gen/csi
	$(Q)protoc-c --proto_path=kubelet/csi --c_out=$(OUT)/gen/csi csi.proto
$(CSI_PB).o: $(CSI_PB).c
	$(Q)$(CC) $(CFLAGS) -w -c -o $@ $<
GEN_HEADERS += $(CSI_PB).h
GEN_OBJ += $(CSI_PB).o
