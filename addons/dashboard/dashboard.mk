# SPDX-License-Identifier: Apache-2.0
# The page of the dashboard: its own files, and two of Debian's libraries (node-preact, node-xterm), all in the executable.

DASHBOARD_GEN := $(OUT)/gen/dashboard
DASHBOARD_WEB := $(wildcard addons/dashboard/web/*)
DASHBOARD_LIBS := $(DASHBOARD_GEN)/preact.js $(DASHBOARD_GEN)/xterm.js $(DASHBOARD_GEN)/xterm.css

$(DASHBOARD_GEN)/preact.js $(DASHBOARD_GEN)/xterm.js: $(DASHBOARD_GEN)/%.js: addons/dashboard/bundle
	@mkdir -p $(@D)
	$(Q)addons/dashboard/bundle /usr/share/nodejs/$*/lib $* >$@.tmp && mv $@.tmp $@
$(DASHBOARD_GEN)/xterm.css: /usr/share/javascript/xterm/xterm.css
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(DASHBOARD_GEN)/assets.c: $(DASHBOARD_WEB) $(DASHBOARD_LIBS) addons/dashboard/embed addons/dashboard/web
	@echo "  EMBED $@"
	$(Q)addons/dashboard/embed $(@D) $(DASHBOARD_WEB) $(DASHBOARD_LIBS) >$@.tmp && mv $@.tmp $@
$(OUT)/obj/addons/dashboard/gen/assets.o: $(DASHBOARD_GEN)/assets.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(OUT)/libdashboard.a: $(OUT)/obj/addons/dashboard/gen/assets.o
