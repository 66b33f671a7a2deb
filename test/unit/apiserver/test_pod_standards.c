// SPDX-License-Identifier: Apache-2.0
// The Pod Security Standards: what each check forbids and lets be, in every kind of container and from which version on, in upstream's
// sentences; and what a namespace's labels come to.
#include "apiserver/admission/pod_standards.h"
#include "libcommon/format/json.h"
#include "test/unit/quoted_json.h"

// Pods are written as their spec; where there are annotations, as "ANNOTATIONS|SPEC".
static json_t *pod_of(const char *text)
{
        const char *bar = strstr(text, "}|{");
        CX_CLEANUP(cx_freep) char *annotations = bar ? cx_strndup(text, (size_t)(bar + 1 - text)) : cx_strdup("{}");
        return json_pack("{s:{s:o},s:o}", "metadata", "annotations", quoted_json(annotations), "spec",
                         quoted_json(bar ? bar + 2 : text));
}

static struct pod_standard standard_of(const char *text)
{
        struct pod_standard standard = {0};
        const char *colon = strchr(text, ':');
        CX_CLEANUP(cx_freep) char *level = cx_strndup(text, (size_t)(colon - text));
        assert_null(pod_level_parse(level, &standard.level));
        assert_null(pod_version_parse(colon + 1, &standard.minor));
        return standard;
}

static void expect(const char *standard, const char *pod, const char *details)
{
        const struct pod_standard of = standard_of(standard);
        json_auto_t *json = pod_of(pod);
        POD_VERDICT verdict = POD_VERDICT_INIT;
        pod_standard_check(&of, json, &verdict);
        CX_CLEANUP(cx_freep) char *wanted = cx_strdup(details ? details : "");
        for (char *c = wanted; *c; c++)
                *c = *c == '\'' ? '"' : *c;
        if (strcmp(verdict.details.data, wanted) != 0)
                fail_msg("%s of %s:\n%s\nand not\n%s", standard, pod, verdict.details.data, wanted);
        assert_int_equal(pod_verdict_allows(&verdict), !details);
}

struct expectation {
        const char *standard, *pod, *details; // NULL: allowed
};
static void expect_all(const struct expectation *list, size_t count)
{
        for (size_t i = 0; i < count; i++)
                expect(list[i].standard, list[i].pod, list[i].details);
}
#define EXPECT_ALL(list) expect_all(list, CX_ARRAY_SIZE(list))

#define GOOD                                                                                                           \
        "'securityContext':{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']},'runAsNonRoot':true,"     \
        "'seccompProfile':{'type':'RuntimeDefault'}"
#define CONTEXT(name, context) "{'name':'" name "','securityContext':{" context "}}"
#define CONTAINERS(list) "{'containers':[" list "]}"

static void test_levels(void **state CX_UNUSED)
{
        static const char *const bare = CONTAINERS("{'name':'a'}");
        static const struct expectation list[] = {
                {"privileged:latest",
                 "{'hostPID':true,'containers':[{'name':'a','securityContext':{'privileged':true}}]}", NULL},
                {"baseline:latest", "{'containers':[{'name':'a'}]}", NULL},
                {"restricted:latest", CONTAINERS("{'name':'a'," GOOD "}}"), NULL},
                // in the order of names, baseline before restricted; what restricted says better is not said twice
                {"baseline:latest",
                 "{'hostIPC':true,'hostNetwork':true,'volumes':[{'name':'v','hostPath':{'path':'/"
                 "'}}],'containers':[{'name'"
                 ":'a','securityContext':{'privileged':true,'capabilities':{'add':['NET_RAW']}}}]}",
                 "non-default capabilities (container 'a' must not include 'NET_RAW' in "
                 "securityContext.capabilities.add), "
                 "host namespaces (hostNetwork=true, hostIPC=true), hostPath volumes (volume 'v'), privileged "
                 "(container 'a' "
                 "must not set securityContext.privileged=true)"},
                {"restricted:latest",
                 "{'hostIPC':true,'hostNetwork':true,'volumes':[{'name':'v','hostPath':{'path':'/"
                 "'}}],'containers':[{'name'"
                 ":'a','securityContext':{'privileged':true,'capabilities':{'add':['NET_RAW']}}}]}",
                 "host namespaces (hostNetwork=true, hostIPC=true), privileged (container 'a' must not set "
                 "securityContext.privileged=true), allowPrivilegeEscalation != false (container 'a' must set "
                 "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container 'a' must set "
                 "securityContext.capabilities.drop=['ALL']; container 'a' must not include 'NET_RAW' in "
                 "securityContext.capabilities.add), restricted volume types (volume 'v' uses restricted volume type "
                 "'hostPath'), runAsNonRoot != true (pod or container 'a' must set securityContext.runAsNonRoot=true), "
                 "seccompProfile (pod or container 'a' must set securityContext.seccompProfile.type to "
                 "'RuntimeDefault' or "
                 "'Localhost')"},
        };
        EXPECT_ALL(list);
        // what restricted asks for, version by version
#define ESCALATION                                                                                                     \
        "allowPrivilegeEscalation != false (container 'a' must set securityContext.allowPrivilegeEscalation=false)"
#define CAPABILITIES "unrestricted capabilities (container 'a' must set securityContext.capabilities.drop=['ALL'])"
#define NON_ROOT "runAsNonRoot != true (pod or container 'a' must set securityContext.runAsNonRoot=true)"
#define SECCOMP                                                                                                        \
        "seccompProfile (pod or container 'a' must set securityContext.seccompProfile.type to 'RuntimeDefault' or "    \
        "'Localhost')"
        expect("restricted:v1.7", bare, NON_ROOT);
        expect("restricted:v1.8", bare, ESCALATION ", " NON_ROOT);
        expect("restricted:v1.18", bare, ESCALATION ", " NON_ROOT);
        expect("restricted:v1.19", bare, ESCALATION ", " NON_ROOT ", " SECCOMP);
        expect("restricted:v1.21", bare, ESCALATION ", " NON_ROOT ", " SECCOMP);
        expect("restricted:v1.22", bare, ESCALATION ", " CAPABILITIES ", " NON_ROOT ", " SECCOMP);
        expect("restricted:v1.999", bare, ESCALATION ", " CAPABILITIES ", " NON_ROOT ", " SECCOMP);
}

static void test_every_container(void **state CX_UNUSED)
{
        static const struct expectation list[] = {
                {"baseline:latest",
                 "{'initContainers':[" CONTEXT("i", "'privileged':true") "],'containers':[" CONTEXT(
                         "c", "'privileged':true") "],'ephemeralContainers':[" CONTEXT("e", "'privileged':true") "]}",
                 "privileged (containers 'i', 'c', 'e' must not set securityContext.privileged=true)"},
                {"baseline:latest",
                 "{'initContainers':[{'name':'i','ports':[{'hostPort':5}]}],'containers':[{'name':'c'}]}",
                 "hostPort (container 'i' uses hostPort 5)"},
                {"restricted:latest",
                 "{'containers':[{'name':'a'," GOOD "}}],'ephemeralContainers':[{'name':'e'," GOOD ",'runAsUser':0}}]}",
                 "runAsUser=0 (container 'e' must not set runAsUser=0)"},
        };
        EXPECT_ALL(list);
}

#define APP_ARMOR "container.apparmor.security.beta.kubernetes.io/"
static void test_app_armor(void **state CX_UNUSED)
{
        static const struct expectation list[] = {
                {"baseline:v1.0",
                 "{'" APP_ARMOR "a':'runtime/default','" APP_ARMOR "b':'localhost/x','" APP_ARMOR "c':''}|"
                 "{'containers':[{'name':'a'}]}",
                 NULL},
                {"baseline:latest",
                 "{'securityContext':{'appArmorProfile':{'type':'RuntimeDefault'}},'containers':[" CONTEXT(
                         "a", "'appArmorProfile':{'type':'Localhost'}") "]}",
                 NULL},
                {"baseline:latest", "{'securityContext':{'appArmorProfile':{'type':'Unconfined'}}}",
                 "forbidden AppArmor profile (pod must not set AppArmor profile type to 'Unconfined')"},
                {"baseline:v1.5",
                 "{'securityContext':{'appArmorProfile':{'type':'Unconfined'}},'initContainers':[" CONTEXT(
                         "a", "'appArmorProfile':{'type':'Unconfined'}") "]}",
                 "forbidden AppArmor profile (pod and container 'a' must not set AppArmor profile type to "
                 "'Unconfined')"},
                {"baseline:latest", "{'" APP_ARMOR "f':'unknown','" APP_ARMOR "e':'unconfined','other':'x'}|{}",
                 "forbidden AppArmor profiles (annotations must not set AppArmor profile type to '" APP_ARMOR
                 "e='unconfined'', '" APP_ARMOR "f='unknown'')"},
                {"baseline:latest",
                 "{'" APP_ARMOR "a':'x\\ty'}|" CONTAINERS(CONTEXT("a", "'appArmorProfile':{'type':'Unconfined'}")),
                 "forbidden AppArmor profiles (container 'a' and annotation must not set AppArmor profile type to "
                 "'Unconfined', '" APP_ARMOR "a='x\\ty'')"},
        };
        EXPECT_ALL(list);
}

static void test_capabilities(void **state CX_UNUSED)
{
#define DROPS "'capabilities':{'drop':['ALL']"
        static const struct expectation list[] = {
                {"baseline:v1.0",
                 CONTAINERS(CONTEXT(
                         "a", "'capabilities':{'add':['AUDIT_WRITE','CHOWN','DAC_OVERRIDE','FOWNER','FSETID','KILL'"
                              ",'MKNOD','NET_BIND_SERVICE','SETFCAP','SETGID','SETPCAP','SETUID','SYS_CHROOT']}")),
                 NULL},
                {"baseline:latest",
                 CONTAINERS(CONTEXT("a", "'capabilities':{'add':['FOO','BAR']}") "," CONTEXT(
                         "b", "'capabilities':{'add':['BAR','BAZ','CHOWN']}") "," CONTEXT("c", "")),
                 "non-default capabilities (containers 'a', 'b' must not include 'BAR', 'BAZ', 'FOO' in "
                 "securityContext.capabilities.add)"},
                {"restricted:v1.21",
                 CONTAINERS("{'name':'a','securityContext':{'allowPrivilegeEscalation':false,'runAsNonRoot':true,"
                            "'seccompProfile':{'type':'Localhost'},'capabilities':{'add':['NET_ADMIN']}}}"),
                 "non-default capabilities (container 'a' must not include 'NET_ADMIN' in "
                 "securityContext.capabilities.add)"},
                {"restricted:v1.22",
                 CONTAINERS("{'name':'a','securityContext':{'allowPrivilegeEscalation':false,'runAsNonRoot':true,"
                            "'seccompProfile':{'type':'Localhost'},'capabilities':{'drop':['x','ALL'],'add':["
                            "'NET_BIND_SERVICE','CHOWN']}}}"),
                 "unrestricted capabilities (container 'a' must not include 'CHOWN' in "
                 "securityContext.capabilities.add)"},
                {"restricted:v1.24",
                 "{'os':{'name':'windows'},'containers':[{'name':'a','securityContext':{"
                 "'allowPrivilegeEscalation':false,'runAsNonRoot':true,'seccompProfile':{'type':"
                 "'Localhost'}}}]}",
                 CAPABILITIES},
                {"restricted:v1.22",
                 CONTAINERS(
                         "{'name':'a','securityContext':{'allowPrivilegeEscalation':false,'runAsNonRoot':true,"
                         "'seccompProfile':{'type':'Localhost'},'capabilities':{'drop':['ALL'],'add':['NET_ADMIN']}}}"),
                 "unrestricted capabilities (container 'a' must not include 'NET_ADMIN' in "
                 "securityContext.capabilities.add)"},
        };
        EXPECT_ALL(list);
}

static void test_machine(void **state CX_UNUSED)
{
        static const struct expectation list[] = {
                {"baseline:latest", "{'hostNetwork':false,'hostPID':false}", NULL},
                {"baseline:v1.0", "{'hostNetwork':true,'hostPID':true,'hostIPC':true}",
                 "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)"},
                {"baseline:v1.0",
                 "{'volumes':[{'name':'a','hostPath':{}},{'name':'b','emptyDir':{}},{'name':'c','hostPath':{"
                 "'path':'/x'}}]}",
                 "hostPath volumes (volumes 'a', 'c')"},
                {"baseline:latest", CONTAINERS("{'name':'a','ports':[{'hostPort':0},{'containerPort':1}]}"), NULL},
                {"baseline:latest",
                 CONTAINERS(
                         "{'name':'b','ports':[{'hostPort':10},{'hostPort':20}]},{'name':'c','ports':[{'hostPort':10},{"
                         "'hostPort':30}]}"),
                 "hostPort (containers 'b', 'c' use hostPorts 10, 20, 30)"},
                {"baseline:latest", CONTAINERS(CONTEXT("a", "'windowsOptions':{'hostProcess':false}")), NULL},
                {"baseline:latest",
                 "{'securityContext':{'windowsOptions':{'hostProcess':true}},'containers':[" CONTEXT(
                         "a", "'windowsOptions':{'hostProcess':true}") "]}",
                 "hostProcess (pod and container 'a' must not set securityContext.windowsOptions.hostProcess=true)"},
        };
        EXPECT_ALL(list);
}

static void test_handlers(void **state CX_UNUSED)
{
#define ELSEWHERE                                                                                                      \
        "{'name':'b','livenessProbe':{'httpGet':{'host':'h'}},'lifecycle':{'preStop':{'tcpSocket':{'host':'g'}}}},{"   \
        "'name':'a','startupProbe':{'tcpSocket':{'host':'h'}}}"
        static const struct expectation list[] = {
                {"baseline:v1.33", CONTAINERS(ELSEWHERE), NULL},
                {"baseline:v1.34", CONTAINERS(ELSEWHERE),
                 "probe or lifecycle host (containers 'a', 'b' use probe or lifecycle hosts 'g', 'h')"},
                {"baseline:latest",
                 CONTAINERS("{'name':'a','readinessProbe':{'httpGet':{'host':'','port':1}},'lifecycle':{'postStart':{'"
                            "httpGet"
                            "':{'host':'x'}}}}"),
                 "probe or lifecycle host (container 'a' uses probe or lifecycle host 'x')"},
                {"baseline:latest", CONTAINERS("{'name':'a','readinessProbe':{'httpGet':{'host':''}}}"), NULL},
                {"baseline:latest",
                 CONTAINERS("{'name':'l','livenessProbe':{'httpGet':{'host':'x'}}},{'name':'r','readinessProbe':{'"
                            "tcpSocket':{"
                            "'host':'x'}}}"),
                 "probe or lifecycle host (containers 'l', 'r' use probe or lifecycle host 'x')"},
        };
        EXPECT_ALL(list);
}

static void test_proc_mount(void **state CX_UNUSED)
{
#define UNMASKED "'containers':[" CONTEXT("a", "'procMount':'Unmasked'") "," CONTEXT("b", "'procMount':'Default'") "]"
#define WRONG "procMount (container 'a' must not set securityContext.procMount to 'Unmasked')"
        static const struct expectation list[] = {
                {"baseline:v1.0", "{" UNMASKED "}", WRONG},
                {"baseline:v1.34", "{'hostUsers':false," UNMASKED "}", WRONG},
                {"baseline:v1.35", "{'hostUsers':false," UNMASKED "}", NULL},
                {"baseline:latest", "{'hostUsers':true," UNMASKED "}", WRONG},
                {"baseline:latest", CONTAINERS(CONTEXT("a", "'procMount':'Default'")), NULL},
                {"restricted:latest",
                 "{'hostUsers':false,'containers':[{'name':'a'," GOOD ",'procMount':'Unmasked'}}]}", WRONG},
                {"restricted:v1.35", "{'hostUsers':false,'containers':[{'name':'a'," GOOD ",'procMount':'Unmasked'}}]}",
                 WRONG},
                {"restricted:latest", "{'hostUsers':true,'containers':[{'name':'a'," GOOD ",'procMount':'Unmasked'}}]}",
                 WRONG},
        };
        EXPECT_ALL(list);
}

static void test_selinux(void **state CX_UNUSED)
{
#define SELINUX(name, options) CONTEXT(name, "'seLinuxOptions':{" options "}")
        static const struct expectation list[] = {
                {"baseline:v1.0",
                 CONTAINERS(
                         SELINUX("a", "'type':'container_t'") "," SELINUX("b", "'type':'container_init_t'") "," SELINUX(
                                 "c", "'type':'container_kvm_t','level':'s0'") "," SELINUX("d", "")),
                 NULL},
                {"baseline:v1.30", CONTAINERS(SELINUX("a", "'type':'container_engine_t'")),
                 "seLinuxOptions (container 'a' set forbidden securityContext.seLinuxOptions: type "
                 "'container_engine_t')"},
                {"baseline:v1.31", CONTAINERS(SELINUX("a", "'type':'container_engine_t'")), NULL},
                {"baseline:latest",
                 "{'securityContext':{'seLinuxOptions':{'type':'foo','user':'u','role':'r'}},'containers':[" SELINUX(
                         "e", "'type':'bar'") "," SELINUX("f", "'user':'u'") "]}",
                 "seLinuxOptions (pod and containers 'e', 'f' set forbidden securityContext.seLinuxOptions: types "
                 "'bar', 'foo'; "
                 "user may not be set; role may not be set)"},
                {"baseline:latest", "{'securityContext':{'seLinuxOptions':{'role':'r'}}}",
                 "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: role may not be set)"},
                {"baseline:latest",
                 CONTAINERS(SELINUX("a", "'type':'container_t'") "," SELINUX(
                         "b", "'type':'container_init_t'") "," SELINUX("c", "'type':'container_kvm_t'")),
                 NULL},
        };
        EXPECT_ALL(list);
}

#define OLD "seccomp.security.alpha.kubernetes.io/"
static void test_seccomp(void **state CX_UNUSED)
{
#define PROFILE(type) "'seccompProfile':{'type':'" type "'}"
#define REST "'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']},'runAsNonRoot':true"
        static const struct expectation list[] = {
                {"baseline:v1.18",
                 "{'" OLD "pod':'unconfined','container." OLD "a':'x','container." OLD "none':'x','container." OLD
                 "b':'localhost/y'}|" CONTAINERS("{'name':'a'},{'name':'b'}"),
                 "seccompProfile (forbidden annotations container." OLD "a='x', " OLD "pod='unconfined')"},
                {"baseline:v1.18", "{'" OLD "pod':'docker/default'}|" CONTAINERS(CONTEXT("a", PROFILE("Unconfined"))),
                 NULL},
                {"baseline:v1.19", "{'" OLD "pod':'unconfined'}|" CONTAINERS("{'name':'a'}"), NULL},
                {"baseline:v1.19",
                 "{'securityContext':{" PROFILE("Unconfined") "},'containers':[" CONTEXT(
                         "c", PROFILE("Unconfined")) "," CONTEXT("d", PROFILE("Localhost")) "]}",
                 "seccompProfile (pod and container 'c' must not set securityContext.seccompProfile.type to "
                 "'Unconfined')"},
                {"restricted:v1.19",
                 "{'securityContext':{" PROFILE("RuntimeDefault") "},'containers':[" CONTEXT("a", REST) "]}", NULL},
                {"restricted:latest",
                 "{'securityContext':{" PROFILE("RuntimeDefault") "},'containers':[" CONTEXT(
                         "a", REST "," PROFILE("Unconfined")) "," CONTEXT("b", REST) "]}",
                 "seccompProfile (container 'a' must not set securityContext.seccompProfile.type to 'Unconfined')"},
                {"restricted:latest",
                 "{'securityContext':{" PROFILE("Unconfined") "},'containers':[" CONTEXT("a", REST) "]}",
                 "seccompProfile (pod must not set securityContext.seccompProfile.type to 'Unconfined')"},
                {"restricted:latest",
                 CONTAINERS(CONTEXT("a", REST) "," CONTEXT("b", REST) "," CONTEXT("c", REST "," PROFILE("Localhost"))),
                 "seccompProfile (pod or containers 'a', 'b' must set securityContext.seccompProfile.type to "
                 "'RuntimeDefault' "
                 "or 'Localhost')"},
                {"baseline:v1.18", "{'" OLD "pod':'runtime/default'}|" CONTAINERS("{'name':'a'}"), NULL},
                {"baseline:v1.18", "{'" OLD "pod':'unconfined'}|" CONTAINERS("{'name':'a'}"),
                 "seccompProfile (forbidden annotation " OLD "pod='unconfined')"},
                {"restricted:v1.19", CONTAINERS(CONTEXT("a", REST "," PROFILE("Unconfined"))),
                 "seccompProfile (container 'a' must not set securityContext.seccompProfile.type to 'Unconfined')"},
        };
        EXPECT_ALL(list);
}

static void test_sysctls(void **state CX_UNUSED)
{
#define SYSCTLS(list) "{'securityContext':{'sysctls':[" list "]}}"
        static const struct expectation list[] = {
                {"baseline:v1.0",
                 SYSCTLS("{'name':'kernel.shm_rmid_forced'},{'name':'net.ipv4.ip_local_port_range'},{'name':"
                         "'net.ipv4.tcp_syncookies'},{'name':'net.ipv4.ping_group_range'},{'name':"
                         "'net.ipv4.ip_unprivileged_port_start'}"),
                 NULL},
                {"baseline:v1.26", SYSCTLS("{'name':'net.ipv4.ip_local_reserved_ports'},{'name':'b'}"),
                 "forbidden sysctls (net.ipv4.ip_local_reserved_ports, b)"},
                {"baseline:v1.27", SYSCTLS("{'name':'net.ipv4.ip_local_reserved_ports'}"), NULL},
                {"baseline:v1.28", SYSCTLS("{'name':'net.ipv4.tcp_fin_timeout'}"),
                 "forbidden sysctls (net.ipv4.tcp_fin_timeout)"},
                {"baseline:v1.29",
                 SYSCTLS("{'name':'net.ipv4.tcp_keepalive_time'},{'name':'net.ipv4.tcp_fin_timeout'},{'name':"
                         "'net.ipv4.tcp_keepalive_intvl'},{'name':'net.ipv4.tcp_keepalive_probes'}"),
                 NULL},
                {"baseline:v1.31", SYSCTLS("{'name':'net.ipv4.tcp_rmem'}"), "forbidden sysctls (net.ipv4.tcp_rmem)"},
                {"baseline:v1.32", SYSCTLS("{'name':'net.ipv4.tcp_rmem'},{'name':'net.ipv4.tcp_wmem'}"), NULL},
                {"restricted:latest", SYSCTLS("{'name':'kernel.msgmax'}"), "forbidden sysctls (kernel.msgmax)"},
        };
        EXPECT_ALL(list);
}

static void test_volumes(void **state CX_UNUSED)
{
        static const struct expectation list[] = {
                {"restricted:v1.0",
                 "{'volumes':[{'name':'1','configMap':{}},{'name':'2','csi':{}},{'name':'3','downwardAPI':{}},{'name':'"
                 "4',"
                 "'emptyDir':{}},{'name':'5','ephemeral':{}},{'name':'6','image':{}},{'name':'7','"
                 "persistentVolumeClaim':{}},{"
                 "'name':'8','projected':{}},{'name':'9','secret':{}}]}",
                 NULL},
                {"restricted:latest",
                 "{'volumes':[{'name':'z','nfs':{}},{'name':'y','hostPath':{}},{'name':'x','nfs':{}},{"
                 "'name':'w'}]}",
                 "restricted volume types (volumes 'z', 'y', 'x', 'w' use restricted volume types 'hostPath', 'nfs', "
                 "'unknown')"},
                {"baseline:latest", "{'volumes':[{'name':'z','nfs':{}}]}", NULL},
        };
        static const char *const others[] = {"gcePersistentDisk",
                                             "awsElasticBlockStore",
                                             "gitRepo",
                                             "iscsi",
                                             "glusterfs",
                                             "rbd",
                                             "flexVolume",
                                             "cinder",
                                             "cephfs",
                                             "flocker",
                                             "fc",
                                             "azureFile",
                                             "vsphereVolume",
                                             "quobyte",
                                             "azureDisk",
                                             "scaleIO",
                                             "portworxVolume",
                                             "storageos",
                                             "photonPersistentDisk"};
        EXPECT_ALL(list);
        for (size_t i = 0; i < CX_ARRAY_SIZE(others); i++) {
                CX_CLEANUP(cx_freep) char *pod = cx_sprintf("{'volumes':[{'name':'v','%s':{}}]}", others[i]);
                CX_CLEANUP(cx_freep)
                char *said =
                        cx_sprintf("restricted volume types (volume 'v' uses restricted volume type '%s')", others[i]);
                expect("restricted:v1.3", pod, said);
        }
}

static void test_users(void **state CX_UNUSED)
{
#define SAFE "'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']}," PROFILE("Localhost")
        static const struct expectation list[] = {
                {"restricted:v1.0", "{'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a'}]}", NULL},
                {"restricted:v1.0",
                 "{'securityContext':{'runAsNonRoot':false},'containers':[" CONTEXT("a", "'runAsNonRoot':true") "]}",
                 "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)"},
                {"restricted:v1.0",
                 "{'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a'}," CONTEXT(
                         "c", "'runAsNonRoot':false") "," CONTEXT("d", "'runAsNonRoot':false") "]}",
                 "runAsNonRoot != true (containers 'c', 'd' must not set securityContext.runAsNonRoot=false)"},
                {"restricted:v1.0",
                 CONTAINERS("{'name':'a'}," CONTEXT("b", "") "," CONTEXT("d", "'runAsNonRoot':true")),
                 "runAsNonRoot != true (pod or containers 'a', 'b' must set securityContext.runAsNonRoot=true)"},
                {"restricted:v1.34", "{'hostUsers':false,'containers':[" CONTEXT("a", SAFE) "]}", NON_ROOT},
                {"restricted:v1.35", "{'hostUsers':false,'containers':[" CONTEXT("a", SAFE) "]}", NULL},
                {"restricted:v1.22", CONTAINERS("{'name':'a'," GOOD ",'runAsUser':0}}"), NULL},
                {"restricted:v1.23",
                 "{'securityContext':{'runAsUser':0},'containers':[{'name':'a'," GOOD ",'runAsUser':0}}]}",
                 "runAsUser=0 (pod and container 'a' must not set runAsUser=0)"},
                {"restricted:v1.34", "{'hostUsers':false,'containers':[{'name':'a'," GOOD ",'runAsUser':0}}]}",
                 "runAsUser=0 (container 'a' must not set runAsUser=0)"},
                {"restricted:latest", "{'hostUsers':false,'containers':[{'name':'a'," GOOD ",'runAsUser':0}}]}", NULL},
                {"restricted:latest", CONTAINERS("{'name':'a'," GOOD ",'runAsUser':1000}}"), NULL},
                {"restricted:v1.35", "{'hostUsers':false,'containers':[{'name':'a'," GOOD ",'runAsUser':0}}]}", NULL},
        };
        EXPECT_ALL(list);
}

static void test_windows(void **state CX_UNUSED)
{
        static const struct expectation list[] = {
                {"restricted:v1.24",
                 "{'os':{'name':'windows'},'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a'}]}",
                 ESCALATION ", " CAPABILITIES ", " SECCOMP},
                {"restricted:v1.25",
                 "{'os':{'name':'windows'},'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a'}]}", NULL},
                {"restricted:v1.25",
                 "{'os':{'name':'linux'},'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a'}]}",
                 ESCALATION ", " CAPABILITIES ", " SECCOMP},
                {"restricted:latest", "{'os':{'name':'windows'},'containers':[{'name':'a'}]}", NON_ROOT},
        };
        EXPECT_ALL(list);
}

// --- levels, versions, labels ----------------------------------------------------------------------------------------

static void test_versions(void **state CX_UNUSED)
{
        static const struct {
                const char *text;
                int64_t minor; // -2: it is none
        } cases[] = {{"latest", POD_LATEST},
                     {"v1.0", 0},
                     {"v1.20", 20},
                     {"v1.10000", 10000},
                     {"v1.9223372036854775807", INT64_MAX},
                     {"v1.9223372036854775808", -2},
                     {"v1.99999999999999999999999999", -2},
                     {"foo", -2},
                     {"", -2},
                     {"v2.0", -2},
                     {"v1", -2},
                     {"1.1", -2},
                     {"v1.01", -2},
                     {"v1.", -2},
                     {"v1.-1", -2},
                     {"v1.1 ", -2},
                     {"Latest", -2}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int64_t minor = 7;
                const char *why = pod_version_parse(cases[i].text, &minor);
                assert_int_equal(why == NULL, cases[i].minor != -2);
                assert_int_equal(minor, why ? POD_LATEST : cases[i].minor);
        }
        enum pod_level level;
        assert_string_equal(pod_level_parse("Baseline", &level), "must be one of privileged, baseline, restricted");
        assert_int_equal(level, POD_RESTRICTED);
        expect("baseline:v1.9223372036854775807", "{'hostPID':true}", "host namespaces (hostPID=true)");
}

static const char *label_of(const void *labels, const char *key)
{
        assert_true(cx_has_prefix(key, POD_SECURITY));
        return json_string_value(json_object_get(labels, key + strlen(POD_SECURITY)));
}

static void test_labels(void **state CX_UNUSED)
{
        static const struct {
                const char *labels, *enforce, *audit, *warn;
                size_t wrong;
        } cases[] = {
                {"{}", "privileged:latest", "privileged:latest", "privileged:latest", 0},
                // who makes what makes pods learns of what is enforced
                {"{'enforce':'baseline'}", "baseline:latest", "privileged:latest", "baseline:latest", 0},
                {"{'enforce':'baseline','enforce-version':'v1.22'}", "baseline:v1.22", "privileged:latest",
                 "baseline:v1.22", 0},
                {"{'enforce':'baseline','enforce-version':'v1.22','warn-version':'latest'}", "baseline:v1.22",
                 "privileged:latest", "baseline:latest", 0},
                {"{'enforce':'baseline','warn-version':'v1.23'}", "baseline:latest", "privileged:latest",
                 "baseline:v1.23", 0},
                {"{'enforce':'baseline','warn':'privileged'}", "baseline:latest", "privileged:latest",
                 "privileged:latest", 0},
                {"{'enforce':'baseline','enforce-version':'v1.20','warn':'restricted','warn-version':'v1.21','audit':"
                 "'restricted','audit-version':'v1.22'}",
                 "baseline:v1.20", "restricted:v1.22", "restricted:v1.21", 0},
                {"{'audit':'baseline'}", "privileged:latest", "baseline:latest", "privileged:latest", 0},
                // what is wrong enforces all there is, and tells nothing
                {"{'enforce':'foo'}", "restricted:latest", "privileged:latest", "privileged:latest", 1},
                {"{'enforce':'baseline','warn':'foo'}", "baseline:latest", "privileged:latest", "privileged:latest", 1},
                {"{'audit':''}", "privileged:latest", "privileged:latest", "privileged:latest", 1},
                {"{'enforce':'baseline','enforce-version':'v1.x','audit-version':'2'}", "baseline:latest",
                 "privileged:latest", "baseline:latest", 2},
        };
        const struct pod_policy defaults = {
                .of = {{POD_PRIVILEGED, POD_LATEST}, {POD_PRIVILEGED, POD_LATEST}, {POD_PRIVILEGED, POD_LATEST}}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *labels = quoted_json(cases[i].labels);
                CX_ERROR wrong = CX_ERROR_INIT;
                const struct pod_policy policy = pod_policy_of(label_of, labels, &defaults, &wrong);
                const char *const wanted[POD_MODES] = {cases[i].enforce, cases[i].audit, cases[i].warn};
                assert_int_equal(wrong.n_causes, cases[i].wrong);
                for (size_t mode = 0; mode < POD_MODES; mode++) {
                        char text[POD_STANDARD_TEXT];
                        pod_standard_text(&policy.of[mode], text);
                        if (strcmp(text, wanted[mode]) != 0)
                                fail_msg("%s: %s is %s", cases[i].labels, pod_mode_names[mode], text);
                }
        }
        // a stricter default stays
        const struct pod_policy strict = {
                .of = {{POD_BASELINE, 30}, {POD_PRIVILEGED, POD_LATEST}, {POD_RESTRICTED, POD_LATEST}}};
        json_auto_t *labels = quoted_json("{'enforce':'baseline'}");
        const struct pod_policy policy = pod_policy_of(label_of, labels, &strict, NULL);
        assert_true(pod_policy_equal(&policy, &strict));
        assert_true(policy.said[POD_ENFORCE] && !policy.said[POD_WARN]);
}

static void test_equality(void **state CX_UNUSED)
{
        struct pod_policy a = {.of = {{POD_PRIVILEGED, 1}, {POD_PRIVILEGED, 2}, {POD_PRIVILEGED, 3}}}, b = {0};
        assert_true(pod_policy_is_privileged(&a) && pod_policy_equal(&a, &b));
        b.of[POD_WARN].level = POD_BASELINE;
        assert_false(pod_policy_is_privileged(&b) || pod_policy_equal(&a, &b));
        a.of[POD_WARN] = (struct pod_standard){POD_BASELINE, 1};
        assert_false(pod_policy_equal(&a, &b));
}

// Nothing that may be sent takes long: what is said of each container, sorted and once.
static void test_large(void **state CX_UNUSED)
{
        json_auto_t *added = json_array();
        for (int i = 0; i < 200000; i++)
                json_array_append_new(added, json_sprintf("CAP_%d", i));
        json_auto_t *pod = json_pack("{s:{s:[{s:s,s:{s:{s:O}}}]}}", "spec", "containers", "name", "a",
                                     "securityContext", "capabilities", "add", added);
        const struct pod_standard standard = {POD_RESTRICTED, POD_LATEST};
        POD_VERDICT verdict = POD_VERDICT_INIT;
        pod_standard_check(&standard, pod, &verdict);
        assert_non_null(strstr(verdict.details.data, "\"CAP_99999\" in securityContext.capabilities.add"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_levels),     cmocka_unit_test(test_every_container),
                cmocka_unit_test(test_app_armor),  cmocka_unit_test(test_capabilities),
                cmocka_unit_test(test_machine),    cmocka_unit_test(test_handlers),
                cmocka_unit_test(test_proc_mount), cmocka_unit_test(test_selinux),
                cmocka_unit_test(test_seccomp),    cmocka_unit_test(test_sysctls),
                cmocka_unit_test(test_volumes),    cmocka_unit_test(test_users),
                cmocka_unit_test(test_windows),    cmocka_unit_test(test_versions),
                cmocka_unit_test(test_labels),     cmocka_unit_test(test_equality),
                cmocka_unit_test(test_large),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
