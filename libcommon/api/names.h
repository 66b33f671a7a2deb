// SPDX-License-Identifier: Apache-2.0
// The rules for names (k8s.io/apimachinery validation). Each returns NULL when the text is valid, else the sentence
// that upstream says (a constant). Any thread may call.
#pragma once

#include "libcommon/base/macro.h"

const char *cx_check_dns1123_label(const char *text);
const char *cx_check_dns1123_subdomain(const char *text);
const char *cx_check_dns1035_label(const char *text);
const char *cx_check_qualified_name(const char *text); // label and annotation keys
const char *cx_check_label_value(const char *text);
const char *cx_check_path_segment(const char *text); // RBAC names and the like
const char *cx_check_env_name(const char *text);
const char *cx_check_config_key(const char *text);
const char *cx_check_port_name(const char *text);
const char *cx_check_ip(const char *text);
