// SPDX-License-Identifier: Apache-2.0
// A mount does not outlive the machine's boot, and a record of it does: so it names the boot.
#include "kubelet/csi/record.h"

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define NAME "vol_data.json"
#define RECORD_MAX 65536

static void boot_id(char to[64])
{
        CX_BUF text = CX_BUF_INIT_MAX(128);
        if (cx_buf_read_file(&text, "/proc/sys/kernel/random/boot_id") < 0)
                cx_buf_clear(&text);
        text.data[strcspn(text.data, "\n")] = '\0';
        (void)cx_copy_string(to, 64, text.data);
}

void csi_record_release(struct csi_record *r)
{
        free(r->driver);
        free(r->handle);
        free(r->volume);
        *r = (struct csi_record){0};
}

int csi_record_read(const char *folder, struct csi_record *ret, struct cx_error *err)
{
        CX_ERROR failure = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/" NAME, folder);
        CX_BUF text = CX_BUF_INIT_MAX(RECORD_MAX);
        json_auto_t *json = NULL;
        char boot[64];
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        if (cx_json_parse(text.data, text.length, false, &json, &failure) < 0)
                return cx_error_set(err, -EBADMSG, "%s: %s", path, cx_error_text(&failure));
        const char *driver = cx_json_string(json, "driverName"), *handle = cx_json_string(json, "volumeHandle");
        if (!driver || !handle)
                return cx_error_set(err, -EBADMSG, "%s does not say what it is of", path);
        boot_id(boot);
        *ret = (struct csi_record){.driver = cx_strdup(driver),
                                   .handle = cx_strdup(handle),
                                   .volume = cx_strdup(cx_json_string_or(json, "specVolID", "")),
                                   .ephemeral = cx_streq(cx_json_string(json, "volumeLifecycleMode"), "Ephemeral"),
                                   .attachable = cx_json_bool(json, "attachable", false),
                                   .block = cx_json_bool(json, "block", false),
                                   .asked = cx_json_bool(json, "asked", true),
                                   .done = cx_json_bool(json, "done", false) &&
                                           cx_streq(cx_json_string(json, "boot"), boot),
                                   .republish = cx_json_bool(json, "republish", false),
                                   .when = cx_json_int(json, "when", 0)};
        return 0;
}

int csi_record_write(const char *folder, const struct csi_record *r, struct cx_error *err)
{
        char boot[64];
        boot_id(boot);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/" NAME, folder);
        json_auto_t *json =
                json_pack("{s:b, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:s, s:I}", "asked", r->asked, "driverName",
                          r->driver, "volumeHandle", r->handle, "specVolID", cx_str(r->volume), "volumeLifecycleMode",
                          r->ephemeral ? "Ephemeral" : "Persistent", "attachable", r->attachable, "block", r->block,
                          "done", r->done, "republish", r->republish, "boot", boot, "when", (json_int_t)cx_time_now());
        if (!json)
                return cx_error_set(err, -EINVAL, "the volume's handle is not valid UTF-8");
        CX_CLEANUP(cx_freep) char *text = cx_json_text(json);
        return cx_write_file(path, text, strlen(text), 0600, true, err);
}

void csi_record_remove(const char *folder)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/" NAME, folder);
        (void)unlink(path);
}

static bool any_in(const char *folder, const struct csi_record *wanted)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        if (cx_list_folder(folder, &names, NULL) < 0)
                return false;
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *volume = cx_sprintf("%s/%s", folder, names.items[i]);
                CSI_RECORD found = {0};
                if (csi_record_read(volume, &found, NULL) == 0 && strcmp(found.driver, wanted->driver) == 0 &&
                    strcmp(found.handle, wanted->handle) == 0)
                        return true;
        }
        return false;
}

bool csi_record_others(const char *pods, const char *pod_uid, const struct csi_record *wanted)
{
        CX_STRINGS uids = CX_STRINGS_INIT;
        if (cx_list_folder(pods, &uids, NULL) < 0)
                return true; // who cannot look takes nothing away
        for (size_t i = 0; i < uids.count; i++) {
                CX_CLEANUP(cx_freep)
                char *folder = cx_sprintf("%s/%s/volumes/kubernetes.io~csi", pods, uids.items[i]);
                if (strcmp(uids.items[i], pod_uid) != 0 && any_in(folder, wanted))
                        return true;
        }
        return false;
}
