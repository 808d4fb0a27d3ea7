// What Swift cannot see of Linux: feature-test macros, variadic calls, and checksums in hardware.
#ifndef TOLLGATE_CLINUX_H
#define TOLLGATE_CLINUX_H

// No _GNU_SOURCE here: Swift's Glibc module is built without it, and the two would disagree about
// types (fd_set). What only _GNU_SOURCE shows is wrapped in functions.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

/// CRC-32C (Castagnoli) of `count` bytes. `seed` is the CRC of the bytes before them, 0 at the start.
/// Uses the processor's instruction (SSE4.2, ARMv8) where there is one.
uint32_t tg_crc32c(uint32_t seed, const void *_Nullable bytes, size_t count);
/// The same by table, whatever the processor can do; for tests.
uint32_t tg_crc32c_portable(uint32_t seed, const void *_Nullable bytes, size_t count);
/// Which of the two `tg_crc32c` uses: "sse4.2", "armv8" or "table".
const char *_Nonnull tg_crc32c_kind(void);

/// SHA-256 of `count` bytes, with the byte `prefix` in front of them unless it is negative; `out` takes 32
/// bytes. Uses the processor's instructions (SHA-NI) where there are some.
void tg_sha256(int prefix, const void *_Nullable bytes, size_t count, uint8_t *_Nonnull out);
/// The same by plain arithmetic, whatever the processor can do; for tests.
void tg_sha256_portable(int prefix, const void *_Nullable bytes, size_t count, uint8_t *_Nonnull out);
/// Which of the two `tg_sha256` uses: "sha-ni" or "portable".
const char *_Nonnull tg_sha256_kind(void);
/// SHA-256 of two messages behind a prefix byte, in hardly more time than of one; `out` takes 64 bytes.
void tg_sha256_pair(
    uint8_t prefix, const void *_Nonnull first, size_t first_count, const void *_Nonnull second,
    size_t second_count, uint8_t *_Nonnull out);
/// The hashes of `parents` nodes of a Merkle tree (RFC 6962: prefix 1), whose children lie two by two, 32
/// bytes each, in `children`; `out` may be `children`.
void tg_sha256_parents(const uint8_t *_Nonnull children, size_t parents, uint8_t *_Nonnull out);

/// `accept4`, which <sys/socket.h> hides behind a feature-test macro.
int tg_accept4(int descriptor, struct sockaddr *_Nullable address, socklen_t *_Nullable length, int flags);
/// Who is at the other end of a Unix socket, as the kernel knows it (SO_PEERCRED). 0, or -1 with errno.
int tg_peer_credentials(int descriptor, int32_t *_Nonnull pid, uint32_t *_Nonnull uid, uint32_t *_Nonnull gid);
/// `ppoll` without a signal mask; nil waits for ever.
int tg_ppoll(struct pollfd *_Nonnull descriptors, unsigned long count, const struct timespec *_Nullable timeout);
/// This thread's kernel id, as `top -H` shows it.
int32_t tg_thread_id(void);
/// Names the calling thread; at most 15 bytes.
int tg_name_thread(const char *_Nonnull name);

/// Makes a file's range read as zeros and keeps its blocks allocated: FALLOC_FL_ZERO_RANGE.
/// 0, or -1 with errno (EOPNOTSUPP where the filesystem cannot).
int tg_zero_range(int descriptor, int64_t offset, int64_t count);
/// Writes out a file's range that is in the page cache and waits for it: sync_file_range. It makes
/// nothing durable, since it flushes no metadata. 0, or -1 with errno.
int tg_write_out(int descriptor, int64_t offset, int64_t count);

/// Flushes the filesystem that a file is on: one wait for any number of small files.
int tg_sync_filesystem(int descriptor);
/// Maps `count` bytes of the page range in for writing at once (MADV_POPULATE_WRITE). 0, or -1 with
/// errno (EINVAL before Linux 5.14).
int tg_populate(void *_Nonnull base, size_t count);

/// Ends the process with `code` and `message` on standard error when memory cannot be read (SIGSEGV,
/// SIGBUS): LMDB follows the pointers of a damaged page, or a disk fails under the map. `message` must
/// live as long as the process.
void tg_explain_memory_faults(const char *_Nonnull message, int code);

/// A read-write lock that lets a waiting writer in before later readers. 0 or an errno.
int tg_rwlock_init(pthread_rwlock_t *_Nonnull lock);
/// A condition variable whose timed waits count CLOCK_MONOTONIC. 0 or an errno.
int tg_cond_init(pthread_cond_t *_Nonnull condition);

/// `posix_spawn_file_actions_addclosefrom_np`: a child gets no descriptor from `first` on.
int tg_spawn_close_from(posix_spawn_file_actions_t *_Nonnull actions, int first);

static inline int tg_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL, 0);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}
static inline int tg_ioctl_int(int descriptor, unsigned long request, int *_Nonnull value) {
    extern int ioctl(int, unsigned long, ...);
    return ioctl(descriptor, request, value);
}

#endif
