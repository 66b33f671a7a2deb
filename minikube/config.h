// SPDX-License-Identifier: Apache-2.0
// What is set for all profiles, in $MINIKUBE_HOME/config/config.json: values of flags that are not given, and the profile
// that is meant without -p.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

// The profile that is meant: MINIKUBE_PROFILE, what is configured, "minikube". Owned by the caller.
char *config_profile(void);
// NULL: none any more.
int config_set_profile(const char *name, struct cx_error *err) CX_CHECK;
// "--name=value" for each of the flags that is configured, behind a first word, for cx_flags_parse. `ret_owner` owns the
// texts, which flags then point to. Returns how many words there are, or a negative errno.
int config_flags(const struct cx_flag *flags, struct cx_strings *ret_owner, char ***ret_argv, struct cx_error *err)
        CX_CHECK;
