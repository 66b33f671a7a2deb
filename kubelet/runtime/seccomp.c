// SPDX-License-Identifier: Apache-2.0
// System call filters. RuntimeDefault is an allow list as containerd's: what a program needs that administers nothing, more
// by each capability that the container has; all else fails with EPERM. Localhost is a file below the kubelet's seccomp
// folder in the form of the OCI runtime specification: it is checked here in full, for runc would skip over what it does not
// know.
#include "kubelet/runtime/seccomp.h"

#include "kubelet/runtime/spec_internal.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sys/stat.h>

#define LARGEST_PROFILE ((size_t)1 << 20)
#define LONGEST_RULES 4096        // of a profile, and names of a rule
#define NEW_NAMESPACES 0x7e020000 // CLONE_NEW* of clone(2)'s flags
#define AF_VSOCK_NUMBER 40        // reaches the host of a virtual machine

static const char always[] =
        "accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod chown chown32 "
        "clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
        "clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create "
        "epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 "
        "execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir "
        "fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork "
        "fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex "
        "futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area "
        "getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 "
        "getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid "
        "getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr "
        "getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents "
        "io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill "
        "landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat "
        "listen listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise "
        "map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 "
        "mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive "
        "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd "
        "msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause "
        "pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl "
        "pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 "
        "read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages "
        "removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending "
        "rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
        "rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr "
        "sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity "
        "sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop "
        "semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area "
        "set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer "
        "setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 "
        "setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown "
        "sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs "
        "statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create "
        "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
        "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 "
        "ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice "
        "wait4 waitid waitpid write writev "
        // Of other machines than x86-64; libseccomp leaves out what there is not.
        "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls s390_pci_mmio_read "
        "s390_pci_mmio_write s390_runtime_instr riscv_flush_icache riscv_hwprobe swapcontext";

static const struct {
        const char *capability, *names;
} by_capability[] = {
        {"CAP_BPF", "bpf"},
        {"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
        {"CAP_PERFMON", "perf_event_open"},
        {"CAP_SYSLOG", "syslog"},
        {"CAP_SYS_ADMIN", "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount "
                          "mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd "
                          "setdomainname sethostname setns syslog umount umount2 unshare"},
        {"CAP_SYS_BOOT", "reboot"},
        {"CAP_SYS_CHROOT", "chroot"},
        {"CAP_SYS_MODULE", "delete_module finit_module init_module query_module"},
        {"CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
        {"CAP_SYS_PACCT", "acct"},
        {"CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev"},
        {"CAP_SYS_RAWIO", "ioperm iopl"},
        {"CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
        {"CAP_SYS_TTY_CONFIG", "vhangup"},
};

// Calls that are allowed with one argument of one kind.
static const struct {
        const char *name;
        int index;
        const char *op;
        int64_t value;
} by_argument[] = {
        {"personality", 0, "SCMP_CMP_EQ", 0},          {"personality", 0, "SCMP_CMP_EQ", 8},
        {"personality", 0, "SCMP_CMP_EQ", 0x20000},    {"personality", 0, "SCMP_CMP_EQ", 0x20008},
        {"personality", 0, "SCMP_CMP_EQ", 0xffffffff}, {"socket", 0, "SCMP_CMP_NE", AF_VSOCK_NUMBER},
};

static json_t *rule(const char *names, const char *action)
{
        CX_STRINGS list = CX_STRINGS_INIT;
        json_t *array = json_array();
        cx_strings_split(&list, names, ' ');
        for (size_t i = 0; i < list.count; i++)
                json_array_append_new(array, json_string(list.items[i]));
        return json_pack("{s:o, s:s}", "names", array, "action", action);
}

static json_t *rule_of_argument(const char *name, int index, const char *op, int64_t value)
{
        json_t *out = rule(name, "SCMP_ACT_ALLOW");
        json_object_set_new(out, "args",
                            json_pack("[{s:i, s:I, s:s}]", "index", index, "value", (json_int_t)value, "op", op));
        return out;
}

static json_t *architectures(void)
{
#if defined(__x86_64__)
        return json_pack("[s,s,s]", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32");
#elif defined(__aarch64__)
        return json_pack("[s,s]", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM");
#else
        return json_array(); // the machine's own
#endif
}

static bool has(const json_t *list, const char *text)
{
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)list, i, item) {
                if (cx_streq(json_string_value(item), text))
                        return true;
        }
        return false;
}

json_t *seccomp_default(const json_t *capabilities)
{
        json_t *rules = json_array();
        json_array_append_new(rules, rule(always, "SCMP_ACT_ALLOW"));
        for (size_t i = 0; i < CX_ARRAY_SIZE(by_argument); i++)
                json_array_append_new(rules, rule_of_argument(by_argument[i].name, by_argument[i].index,
                                                              by_argument[i].op, by_argument[i].value));
        for (size_t i = 0; i < CX_ARRAY_SIZE(by_capability); i++)
                if (has(capabilities, by_capability[i].capability))
                        json_array_append_new(rules, rule(by_capability[i].names, "SCMP_ACT_ALLOW"));
        if (!has(capabilities, "CAP_SYS_ADMIN")) {
#if defined(__s390x__)
                int flags = 1;
#else
                int flags = 0;
#endif
                // The flags of clone3 are in memory, where no filter sees them: programs fall back to clone.
                json_t *clone3 = rule("clone3", "SCMP_ACT_ERRNO");
                json_object_set_new(clone3, "errnoRet", json_integer(ENOSYS));
                json_array_append_new(rules, clone3);
                json_t *clone = rule_of_argument("clone", flags, "SCMP_CMP_MASKED_EQ", NEW_NAMESPACES);
                json_object_set_new(json_array_get(json_object_get(clone, "args"), 0), "valueTwo", json_integer(0));
                json_array_append_new(rules, clone);
        }
        return json_pack("{s:s, s:i, s:o, s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet", EPERM,
                         "architectures", architectures(), "syscalls", rules);
}

// --- profiles of the node --------------------------------------------------------------------------------------------

// Nothing listens for SCMP_ACT_NOTIFY here, so that is none of them.
static const char *const actions[] = {"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
                                      "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                                      "SCMP_ACT_TRAP",         "SCMP_ACT_TRACE"};
static const char *const ops[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",       "SCMP_CMP_EQ",
                                  "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};

// A string of the table.
static bool one_of(const json_t *value, const char *const *table, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (cx_streq(json_string_value(value), table[i]))
                        return true;
        return false;
}

static bool is_action(const json_t *value)
{
        return one_of(value, actions, CX_ARRAY_SIZE(actions));
}

static bool is_op(const json_t *value)
{
        return one_of(value, ops, CX_ARRAY_SIZE(ops));
}

static bool is_errno(const json_t *value)
{
        return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= 4095;
}

static bool is_number(const json_t *value)
{
        return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool is_index(const json_t *value)
{
        return is_number(value) && json_integer_value(value) < 6;
}

// A list of up to LONGEST_RULES words of letters, digits and "_".
static bool are_words(const json_t *value)
{
        size_t i;
        json_t *item;
        if (!json_is_array(value) || json_array_size(value) > LONGEST_RULES)
                return false;
        json_array_foreach ((json_t *)value, i, item) {
                const char *text = cx_str(json_string_value(item));
                if (!*text || strlen(text) > 64 ||
                    text[strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ")])
                        return false;
        }
        return true;
}

struct key {
        const char *name;
        bool (*good)(const json_t *value);
        bool required;
};

static bool object_good(const json_t *object, const struct key *keys, size_t n)
{
        const char *name;
        json_t *value;
        size_t found = 0;
        json_object_foreach ((json_t *)object, name, value) {
                size_t i = 0;
                while (i < n && strcmp(keys[i].name, name) != 0)
                        i++;
                if (i == n || !keys[i].good(value))
                        return false;
        }
        for (size_t i = 0; i < n; i++)
                found += !keys[i].required || json_object_get(object, keys[i].name);
        return json_is_object(object) && found == n;
}

static bool are_objects(const json_t *list, const struct key *keys, size_t n)
{
        size_t i;
        json_t *item;
        if (!json_is_array(list) || json_array_size(list) > LONGEST_RULES)
                return false;
        json_array_foreach ((json_t *)list, i, item) {
                if (!object_good(item, keys, n))
                        return false;
        }
        return true;
}

static bool are_args(const json_t *value)
{
        static const struct key keys[] = {{"index", is_index, true},
                                          {"value", is_number, true},
                                          {"valueTwo", is_number, false},
                                          {"op", is_op, true}};
        return are_objects(value, keys, CX_ARRAY_SIZE(keys));
}

static bool are_rules(const json_t *value)
{
        static const struct key keys[] = {{"names", are_words, true},
                                          {"action", is_action, true},
                                          {"errnoRet", is_errno, false},
                                          {"args", are_args, false}};
        return are_objects(value, keys, CX_ARRAY_SIZE(keys));
}

int seccomp_parse(const char *text, size_t length, json_t **ret_profile, struct cx_error *err)
{
        static const struct key keys[] = {{"defaultAction", is_action, true},
                                          {"defaultErrnoRet", is_errno, false},
                                          {"architectures", are_words, false},
                                          {"flags", are_words, false},
                                          {"syscalls", are_rules, false}};
        json_auto_t *profile = NULL;
        int r = length > LARGEST_PROFILE ? cx_error_set(err, -EFBIG, "the profile is too large")
                                         : cx_json_parse(text, length, false, &profile, err);
        if (r < 0)
                return r == -EINVAL ? -EBADMSG : r;
        if (!json_is_object(profile))
                return cx_error_set(err, -EBADMSG, "the profile is not an object");
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++) {
                const json_t *value = json_object_get(profile, keys[i].name);
                if (value ? !keys[i].good(value) : keys[i].required)
                        return cx_error_set(err, -EBADMSG, "the profile's %s is malformed", keys[i].name);
        }
        if (!object_good(profile, keys, CX_ARRAY_SIZE(keys)))
                return cx_error_set(err, -EBADMSG, "the profile has a field that is not supported here");
        *ret_profile = cx_steal(&profile);
        return 0;
}

int seccomp_load(const char *folder, const char *path, json_t **ret_profile, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(LARGEST_PROFILE);
        CX_CLEANUP(cx_closep) int fd = open_in_root(folder, path, O_RDONLY | O_NONBLOCK);
        struct stat st;
        int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EBADF : cx_buf_read_fd(&text, fd);
        if (r < 0)
                return cx_error_set(err, r, "cannot load seccomp profile \"%s/%s\": %s", folder, path, strerror(-r));
        r = seccomp_parse(text.data, text.length, ret_profile, err);
        return r < 0 ? cx_error_wrap(err, "cannot load seccomp profile \"%s/%s\"", folder, path) : 0;
}
