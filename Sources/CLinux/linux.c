#define _GNU_SOURCE 1
#include "CLinux.h"
#include <string.h>

#include <linux/falloc.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int tg_accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags) {
    return accept4(descriptor, address, length, flags);
}

int tg_peer_credentials(int descriptor, int32_t *pid, uint32_t *uid, uint32_t *gid) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int tg_ppoll(struct pollfd *descriptors, unsigned long count, const struct timespec *timeout) {
    return ppoll(descriptors, count, timeout, NULL);
}

int32_t tg_thread_id(void) { return (int32_t)syscall(SYS_gettid); }

int tg_name_thread(const char *name) { return pthread_setname_np(pthread_self(), name); }

int tg_zero_range(int descriptor, int64_t offset, int64_t count) {
    return fallocate(descriptor, FALLOC_FL_ZERO_RANGE, offset, count);
}

int tg_sync_filesystem(int descriptor) {
    return syncfs(descriptor);
}

int tg_write_out(int descriptor, int64_t offset, int64_t count) {
    return sync_file_range(descriptor, offset, count,
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int tg_populate(void *base, size_t count) { return madvise(base, count, MADV_POPULATE_WRITE); }

int tg_rwlock_init(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attributes;
    int code = pthread_rwlockattr_init(&attributes);
    if (code != 0) return code;
#ifdef __GLIBC__
    // glibc's default starves writers as long as readers overlap.
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    code = pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return code;
}

int tg_cond_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    int code = pthread_condattr_init(&attributes);
    if (code != 0) return code;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    code = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return code;
}

static const char *fault_message;
static int fault_code;

static void explain_fault(int signal_number) {
    (void)signal_number;
    // Only what is safe in a handler: the process may be in any state.
    ssize_t ignored = write(STDERR_FILENO, fault_message, strlen(fault_message));
    (void)ignored;
    _exit(fault_code);
}

void tg_explain_memory_faults(const char *message, int code) {
    // Each thread's own stack would do, but not for a fault that is an overflow of it.
    static char stack[64 << 10];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    fault_message = message;
    fault_code = code;
    struct sigaction action = {0};
    action.sa_handler = explain_fault;
    action.sa_flags = SA_ONSTACK | SA_RESETHAND;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

int tg_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
