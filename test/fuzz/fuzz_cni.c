// SPDX-License-Identifier: Apache-2.0
// A network configuration, a zero byte, and what its plugin answers: the plugin is a script that prints a file. The
// configuration's plugins are looked up in a folder that holds nothing else.
#include "kubelet/network/cni.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"

#include <stdint.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void clean(void)
{
        static const char *const parts[] = {"bin/fuzz", "conf/10-fuzz.conflist", "answer", "bin", "conf", "state", ""};
        for (size_t i = 0; i < CX_ARRAY_SIZE(parts); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, parts[i]);
                (void)remove(path);
        }
}

static void write_file(const char *name, const void *data, size_t length, mode_t mode)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        FILE *file = fopen(path, "we");
        if (!file || fwrite(data, 1, length, file) != length || fclose(file) != 0 || chmod(path, mode) < 0)
                abort();
}

static void start(void)
{
        static const char *const folders[] = {"bin", "conf", "state"};
        cx_process_init();
        cx_copy_string(folder, sizeof folder, "/tmp/fuzz-cni.XXXXXX");
        if (!mkdtemp(folder))
                abort();
        for (size_t i = 0; i < CX_ARRAY_SIZE(folders); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, folders[i]);
                if (mkdir(path, 0700) < 0)
                        abort();
        }
        CX_CLEANUP(cx_freep) char *script = cx_sprintf("#!/bin/sh\nexec cat %s/answer\n", folder);
        write_file("bin/fuzz", script, strlen(script), 0700);
        (void)atexit(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char good[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"fuzz\"}]}";
        const uint8_t *zero = memchr(data, 0, size);
        if (!*folder)
                start();
        if (zero == data || !zero) // only the answer
                write_file("conf/10-fuzz.conflist", good, sizeof good - 1, 0600);
        else
                write_file("conf/10-fuzz.conflist", data, (size_t)(zero - data), 0600);
        const uint8_t *answer = zero ? zero + 1 : data;
        write_file("answer", answer, size - (size_t)(answer - data), 0600);
        CX_CLEANUP(cx_freep) char *conf = cx_sprintf("%s/conf", folder), *bin = cx_sprintf("%s/bin", folder);
        CX_CLEANUP(cx_freep) char *state = cx_sprintf("%s/state", folder);
        struct cni_options options = {.conf_dir = conf, .bin_dir = bin, .state_dir = state};
        struct cni *cni = cni_new(&options);
        struct cni_pod pod = {.id = "id", .netns = "/proc/self/ns/net", .namespace = "ns", .name = "pod", .uid = "uid"};
        json_auto_t *attachment = NULL;
        CX_STRINGS ips = CX_STRINGS_INIT;
        if (cni_add(cni, &pod, &attachment, &ips, NULL) == 0) {
                (void)cni_is_own(attachment);
                (void)!cni_del(cni, &pod, attachment, NULL);
        }
        cni_free(cni);
        return 0;
}
