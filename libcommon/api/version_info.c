// SPDX-License-Identifier: Apache-2.0
// What the build knows of itself.
#include "libcommon/api/version_info.h"

#include "build_info.h"
#include "libcommon/base/version.h"

json_t *cx_version_info(const char *git_version)
{
        return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "major", CX_VERSION_MAJOR, "minor", CX_VERSION_MINOR,
                         "gitVersion", git_version, "gitCommit", BUILD_COMMIT, "gitTreeState", BUILD_TREE_STATE,
                         "buildDate", BUILD_DATE, "goVersion", "none", "compiler", "gcc", "platform", CX_PLATFORM);
}
