// See CFaults.h. Every call is done by number (syscall), so that nothing has to be looked up behind
// this library, and under one lock, so that the trace's order is what happened.
#define _GNU_SOURCE
#include "CFaults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 4096, MAPPINGS = 16, PAGE = 4096, SECTOR = 512, PATH = 1024 };

enum kind { NONE, EIO_FAULT, ENOSPC_FAULT, SHORT_FAULT, LATE_FAULT, KILL_FAULT };

struct file {
    uint32_t handle;
    uint32_t flags;
    char path[PATH];
};
struct mapping {
    char *base;
    /// What it held when the trace last said so.
    char *shadow;
    size_t size;
    uint32_t handle;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH];
static size_t root_length;
static int trace = -1;
static struct tg_report *report;
static struct tg_report no_report;
static enum kind fault;
static uint64_t fault_at;
static uint64_t fault_times = 1;
static uint32_t handles;
/// By descriptor; a handle of 0 is a file that is none of ours.
static struct file files[FILES];
static struct mapping mappings[MAPPINGS];

// MARK: The trace

static void put(const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        long n = syscall(SYS_write, trace, at, count);
        if (n < 0 && errno == EINTR) continue;
        // A trace with a hole would accuse the innocent.
        if (n <= 0) abort();
        at += n;
        count -= (size_t)n;
    }
}
static void record(
    enum tg_kind kind, uint32_t handle, int failure, uint32_t flags, uint64_t offset, uint64_t size,
    const struct iovec *parts, int count
) {
    static const char zeros[8];
    if (trace < 0) return;
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
    struct tg_record head = {
        .kind = kind, .handle = handle, .failure = failure, .flags = flags, .offset = offset,
        .size = size, .bytes = (uint32_t)bytes, .thread = (uint32_t)syscall(SYS_gettid)};
    put(&head, sizeof head);
    for (int i = 0; i < count; i++) put(parts[i].iov_base, parts[i].iov_len);
    put(zeros, (8 - bytes % 8) % 8);
}
static void record_text(enum tg_kind kind, uint32_t handle, int failure, uint32_t flags, const char *text) {
    struct iovec part = {(void *)text, strlen(text)};
    record(kind, handle, failure, flags, 0, 0, &part, 1);
}

/// Writes down what has changed in mapped files, sector by sector.
static void note_stores(void) {
    if (trace < 0) return;
    for (int i = 0; i < MAPPINGS; i++) {
        struct mapping *map = &mappings[i];
        if (!map->base) continue;
        for (size_t page = 0; page < map->size; page += PAGE) {
            if (!memcmp(map->base + page, map->shadow + page, PAGE)) continue;
            for (size_t at = page; at < page + PAGE; at += SECTOR) {
                if (!memcmp(map->base + at, map->shadow + at, SECTOR)) continue;
                // The copy is what is written down: another thread may be storing there right now.
                memcpy(map->shadow + at, map->base + at, SECTOR);
                struct iovec part = {map->shadow + at, SECTOR};
                record(TG_STORE, map->handle, 0, 0, at, 0, &part, 1);
            }
        }
    }
}

// MARK: Which files, and when to fail

static int is_ours(const char *path) {
    return root_length > 0 && path && !strncmp(path, root, root_length)
        && (path[root_length] == '/' || path[root_length] == 0);
}
static struct file *file_of(int descriptor) {
    if (root_length == 0 || descriptor < 0 || descriptor >= FILES) return NULL;
    return files[descriptor].handle ? &files[descriptor] : NULL;
}

enum { TAKES_ROOM = 1, WRITES = 2, FLUSHES = 4 };

struct verdict {
    int failure;
    int is_short;
    int is_late;
};

/// Counts a call and says whether it is to fail.
static struct verdict judge(const char *call, const char *path, int traits) {
    struct verdict verdict = {0, 0, 0};
    uint64_t number = 0;
    uint64_t all = ++report->calls;
    uint64_t room = traits & TAKES_ROOM ? ++report->room : 0;
    uint64_t writes = traits & WRITES ? ++report->writes : 0;
    uint64_t flushes = traits & FLUSHES ? ++report->flushes : 0;
    switch (fault) {
        case NONE: return verdict;
        case EIO_FAULT: case KILL_FAULT: number = all; break;
        case ENOSPC_FAULT: number = room; break;
        case SHORT_FAULT: number = writes; break;
        case LATE_FAULT: number = flushes; break;
    }
    if (number == 0 || number < fault_at) return verdict;
    if (fault_times > 0 && number - fault_at >= fault_times) return verdict;
    if (report->hits++ == 0) {
        const char *name = path + root_length;
        size_t n = strlen(call);
        memcpy(report->first_hit, call, n);
        report->first_hit[n++] = ' ';
        strncpy(report->first_hit + n, *name == '/' ? name + 1 : ".", sizeof report->first_hit - n - 1);
    }
    switch (fault) {
        case KILL_FAULT:
            note_stores();
            syscall(SYS_kill, getpid(), SIGKILL);
            for (;;) pause();
        case ENOSPC_FAULT: verdict.failure = ENOSPC; break;
        case SHORT_FAULT: verdict.is_short = 1; break;
        case LATE_FAULT: verdict.is_late = 1; break;
        default: verdict.failure = EIO;
    }
    return verdict;
}

__attribute__((constructor)) static void begin(void) {
    report = &no_report;
    const char *text = getenv("TOLLGATE_FAULTS_ROOT");
    if (!text || !*text || strlen(text) >= PATH) return;
    strcpy(root, text);
    root_length = strlen(root);
    if ((text = getenv("TOLLGATE_FAULTS_REPORT"))) {
        int file = (int)syscall(SYS_openat, AT_FDCWD, text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0 || syscall(SYS_ftruncate, file, (long)sizeof *report) < 0) abort();
        report = (void *)syscall(
            SYS_mmap, 0L, sizeof *report, (long)(PROT_READ | PROT_WRITE), (long)MAP_SHARED, (long)file, 0L);
        if (report == MAP_FAILED) abort();
        syscall(SYS_close, file);
    }
    if ((text = getenv("TOLLGATE_FAULTS_KIND"))) {
        fault = !strcmp(text, "eio") ? EIO_FAULT : !strcmp(text, "enospc") ? ENOSPC_FAULT
            : !strcmp(text, "short") ? SHORT_FAULT : !strcmp(text, "late") ? LATE_FAULT
            : !strcmp(text, "kill") ? KILL_FAULT : NONE;
        const char *at = getenv("TOLLGATE_FAULTS_AT");
        if (fault == NONE || !at) abort();
        fault_at = strtoull(at, NULL, 10);
        if ((text = getenv("TOLLGATE_FAULTS_TIMES"))) fault_times = strtoull(text, NULL, 10);
    }
    if ((text = getenv("TOLLGATE_FAULTS_TRACE"))) {
        trace = (int)syscall(
            SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (trace < 0) abort();
        record(TG_PROCESS, 0, 0, 0, 0, (uint64_t)getpid(), NULL, 0);
    }
}

/// A system call's answer as the C library gives it.
static long answer(int failure, long result) {
    if (failure) {
        errno = failure;
        return -1;
    }
    return result;
}

// MARK: Names

static int open_file(int directory, const char *path, int flags, mode_t mode) {
    if (!is_ours(path)) return (int)syscall(SYS_openat, directory, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct verdict verdict = {0, 0, 0};
    if (flags & O_CREAT) verdict = judge("open", path, TAKES_ROOM);
    long result = verdict.failure ? -1 : syscall(SYS_openat, directory, path, flags, mode);
    int failure = verdict.failure ? verdict.failure : result < 0 ? errno : 0;
    if (result >= FILES) abort();
    if (result >= 0) {
        struct file *file = &files[result];
        file->handle = ++handles;
        file->flags = flags & (O_SYNC | O_DSYNC) ? TG_DURABLE : 0;
        strncpy(file->path, path, PATH - 1);
        note_stores();
        uint32_t how = file->flags | (flags & O_CREAT ? TG_CREATES : 0) | (flags & O_TRUNC ? TG_EMPTIES : 0);
        record_text(TG_OPEN, file->handle, 0, how, path);
    }
    pthread_mutex_unlock(&lock);
    return (int)answer(failure, result);
}
#define OPEN_MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }
int open(const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_file(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_file(AT_FDCWD, path, flags, mode);
}
int openat(int directory, const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_file(directory, path, flags, mode);
}
int openat64(int directory, const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_file(directory, path, flags, mode);
}
int close(int descriptor) {
    struct file *file = file_of(descriptor);
    if (!file) return (int)syscall(SYS_close, descriptor);
    pthread_mutex_lock(&lock);
    file->handle = 0;
    long result = syscall(SYS_close, descriptor);
    pthread_mutex_unlock(&lock);
    return (int)result;
}
int rename(const char *from, const char *to) {
    if (!is_ours(from)) return (int)syscall(SYS_rename, from, to);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge("rename", from, 0);
    long result = verdict.failure ? -1 : syscall(SYS_rename, from, to);
    int failure = verdict.failure ? verdict.failure : result < 0 ? errno : 0;
    if (!failure) {
        struct iovec parts[] = {{(void *)from, strlen(from) + 1}, {(void *)to, strlen(to)}};
        note_stores();
        record(TG_RENAME, 0, 0, 0, 0, 0, parts, 2);
    }
    pthread_mutex_unlock(&lock);
    return (int)answer(failure, result);
}
static int change_name(const char *call, enum tg_kind kind, const char *path, mode_t mode) {
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(call, path, kind == TG_MKDIR ? TAKES_ROOM : 0);
    long result = verdict.failure ? -1
        : kind == TG_MKDIR ? syscall(SYS_mkdir, path, mode) : syscall(SYS_unlink, path);
    int failure = verdict.failure ? verdict.failure : result < 0 ? errno : 0;
    if (!failure) {
        note_stores();
        record_text(kind, 0, 0, 0, path);
    }
    pthread_mutex_unlock(&lock);
    return (int)answer(failure, result);
}
int unlink(const char *path) {
    return is_ours(path) ? change_name("unlink", TG_UNLINK, path, 0) : (int)syscall(SYS_unlink, path);
}
int mkdir(const char *path, mode_t mode) {
    return is_ours(path) ? change_name("mkdir", TG_MKDIR, path, mode) : (int)syscall(SYS_mkdir, path, mode);
}

// MARK: Contents

/// - Parameter offset: -1 for the descriptor's own.
static ssize_t write_file(
    const char *call, struct file *file, int descriptor, const struct iovec *parts, int count, off_t offset
) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(
        call, file->path, TAKES_ROOM | WRITES | (file->flags & TG_DURABLE ? FLUSHES : 0));
    off_t at = offset >= 0 ? offset : (off_t)syscall(SYS_lseek, descriptor, 0L, SEEK_CUR);
    size_t most = verdict.is_short && bytes > 1 ? bytes / 2 : bytes;
    long result = -1;
    int failure = verdict.failure;
    size_t done = 0;
    for (int i = 0; i < count && !failure && done < most; i++) {
        size_t n = parts[i].iov_len < most - done ? parts[i].iov_len : most - done;
        result = syscall(SYS_pwrite64, descriptor, parts[i].iov_base, n, at + (off_t)done);
        if (result < 0) failure = errno;
        if (result < 0 || result < (long)n) {
            if (result > 0) done += (size_t)result;
            break;
        }
        done += n;
    }
    // What is there is written down, whatever the caller hears.
    if (done > 0) {
        struct iovec copy[64];
        int used = 0;
        size_t left = done;
        for (int i = 0; i < count && left > 0 && used < 64; i++, used++) {
            copy[used].iov_base = parts[i].iov_base;
            copy[used].iov_len = parts[i].iov_len < left ? parts[i].iov_len : left;
            left -= copy[used].iov_len;
        }
        if (left > 0) abort();
        if (offset < 0) syscall(SYS_lseek, descriptor, at + (off_t)done, SEEK_SET);
        note_stores();
        record(
            TG_WRITE, file->handle, verdict.is_late ? EIO : 0, file->flags, (uint64_t)at, 0, copy, used);
        failure = verdict.is_late ? EIO : 0;
    }
    pthread_mutex_unlock(&lock);
    return answer(failure, (long)done);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    struct file *file = file_of(descriptor);
    if (!file) return syscall(SYS_pwrite64, descriptor, bytes, count, offset);
    struct iovec part = {(void *)bytes, count};
    return write_file("pwrite", file, descriptor, &part, 1, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t offset) {
    return pwrite(descriptor, bytes, count, offset);
}
ssize_t write(int descriptor, const void *bytes, size_t count) {
    struct file *file = file_of(descriptor);
    if (!file) return syscall(SYS_write, descriptor, bytes, count);
    struct iovec part = {(void *)bytes, count};
    return write_file("write", file, descriptor, &part, 1, -1);
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    struct file *file = file_of(descriptor);
    if (!file) return syscall(SYS_writev, descriptor, parts, count);
    return write_file("writev", file, descriptor, parts, count, -1);
}
ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
    struct file *file = file_of(descriptor);
    if (!file) return syscall(SYS_pwritev, descriptor, parts, count, offset, 0L);
    return write_file("pwritev", file, descriptor, parts, count, offset);
}
ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off_t offset) {
    return pwritev(descriptor, parts, count, offset);
}

int ftruncate(int descriptor, off_t size) {
    struct file *file = file_of(descriptor);
    if (!file) return (int)syscall(SYS_ftruncate, descriptor, size);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge("ftruncate", file->path, 0);
    long result = verdict.failure ? -1 : syscall(SYS_ftruncate, descriptor, size);
    int failure = verdict.failure ? verdict.failure : result < 0 ? errno : 0;
    if (!failure) {
        note_stores();
        record(TG_TRUNCATE, file->handle, 0, 0, 0, (uint64_t)size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return (int)answer(failure, result);
}
int ftruncate64(int descriptor, off_t size) { return ftruncate(descriptor, size); }
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
    struct file *file = file_of(descriptor);
    if (!file) return (int)syscall(SYS_fallocate, descriptor, mode, offset, size);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge("fallocate", file->path, TAKES_ROOM);
    long result = verdict.failure ? -1 : syscall(SYS_fallocate, descriptor, mode, offset, size);
    int failure = verdict.failure ? verdict.failure : result < 0 ? errno : 0;
    if (!failure) {
        note_stores();
        enum tg_kind kind = mode & FALLOC_FL_ZERO_RANGE ? TG_ZERO : TG_ALLOCATE;
        record(kind, file->handle, 0, 0, (uint64_t)offset, (uint64_t)size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return (int)answer(failure, result);
}
int fallocate64(int descriptor, int mode, off_t offset, off_t size) {
    return fallocate(descriptor, mode, offset, size);
}
int posix_fallocate(int descriptor, off_t offset, off_t size) {
    int before = errno;
    int failure = fallocate(descriptor, 0, offset, size) == 0 ? 0 : errno;
    errno = before;
    return failure;
}
int posix_fallocate64(int descriptor, off_t offset, off_t size) {
    return posix_fallocate(descriptor, offset, size);
}

static int flush(const char *call, long number, int descriptor) {
    struct file *file = file_of(descriptor);
    if (!file) return (int)syscall(number, descriptor);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(call, file->path, FLUSHES);
    note_stores();
    long result = verdict.failure ? -1 : syscall(number, descriptor);
    int failure = verdict.failure ? verdict.failure : result < 0 ? errno : verdict.is_late ? EIO : 0;
    record(TG_SYNC, file->handle, failure, 0, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return (int)answer(failure, result);
}
int fsync(int descriptor) { return flush("fsync", SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return flush("fdatasync", SYS_fdatasync, descriptor); }

// MARK: Mapped files

void *mmap(void *base, size_t size, int access, int flags, int descriptor, off_t offset) {
    char *mapped = (char *)syscall(SYS_mmap, base, size, (long)access, (long)flags, (long)descriptor, offset);
    struct file *file = file_of(descriptor);
    // A second view of the same file shows the same pages.
    if (mapped == MAP_FAILED || !file || offset != 0 || !(flags & MAP_SHARED) || !(access & PROT_WRITE)) {
        return mapped;
    }
    pthread_mutex_lock(&lock);
    int at = 0;
    while (at < MAPPINGS && mappings[at].base) at++;
    size_t whole = (size + PAGE - 1) / PAGE * PAGE;
    char *shadow = (char *)syscall(
        SYS_mmap, 0L, whole, (long)(PROT_READ | PROT_WRITE), (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L);
    if (at == MAPPINGS || shadow == MAP_FAILED) abort();
    memcpy(shadow, mapped, whole);
    mappings[at] = (struct mapping){mapped, shadow, whole, file->handle};
    pthread_mutex_unlock(&lock);
    return mapped;
}
void *mmap64(void *base, size_t size, int access, int flags, int descriptor, off_t offset) {
    return mmap(base, size, access, flags, descriptor, offset);
}
int munmap(void *base, size_t size) {
    if (root_length > 0) {
        pthread_mutex_lock(&lock);
        for (int i = 0; i < MAPPINGS; i++) {
            if (!mappings[i].base || mappings[i].base != base) continue;
            note_stores();
            syscall(SYS_munmap, mappings[i].shadow, mappings[i].size);
            mappings[i].base = NULL;
        }
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_munmap, base, size);
}
int msync(void *base, size_t size, int flags) {
    struct mapping *map = NULL;
    for (int i = 0; i < MAPPINGS && root_length > 0; i++) {
        char *at = base;
        if (mappings[i].base && at >= mappings[i].base && at < mappings[i].base + mappings[i].size) {
            map = &mappings[i];
        }
    }
    if (!map) return (int)syscall(SYS_msync, base, size, flags);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge("msync", root, FLUSHES);
    note_stores();
    long result = verdict.failure ? -1 : syscall(SYS_msync, base, size, flags);
    int failure = verdict.failure ? verdict.failure : result < 0 ? errno : verdict.is_late ? EIO : 0;
    record(TG_SYNC, map->handle, failure, 0, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return (int)answer(failure, result);
}

// MARK: Clients

ssize_t send(int descriptor, const void *bytes, size_t count, int flags) {
    if (trace < 0) return syscall(SYS_sendto, descriptor, bytes, count, flags, 0L, 0L);
    pthread_mutex_lock(&lock);
    note_stores();
    long result = syscall(SYS_sendto, descriptor, bytes, count, flags, 0L, 0L);
    int failure = errno;
    if (result > 0) {
        struct iovec part = {(void *)bytes, (size_t)result};
        record(TG_SENT, (uint32_t)descriptor, 0, 0, 0, 0, &part, 1);
    }
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}
ssize_t recv(int descriptor, void *bytes, size_t count, int flags) {
    long result = syscall(SYS_recvfrom, descriptor, bytes, count, flags, 0L, 0L);
    if (trace >= 0 && result > 0) {
        pthread_mutex_lock(&lock);
        struct iovec part = {bytes, (size_t)result};
        record(TG_RECEIVED, (uint32_t)descriptor, 0, 0, 0, 0, &part, 1);
        pthread_mutex_unlock(&lock);
    }
    return result;
}
int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags) {
    long result = syscall(SYS_accept4, descriptor, address, length, flags);
    if (trace >= 0 && result >= 0) {
        pthread_mutex_lock(&lock);
        record(TG_ACCEPT, (uint32_t)result, 0, 0, 0, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return (int)result;
}
