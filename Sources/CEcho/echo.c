#define _GNU_SOURCE
#include "CEcho.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// What a log costs whoever answers first and writes afterwards: a store into a mapped ring for each
// message, and beside it a thread that puts what has gathered into a file and syncs it.
#define RING_BYTES ((size_t)64 << 20)
#define LINGER_NANOSECONDS 2000000
static char *ring;
static _Atomic uint64_t ring_tail;
static int log_file = -1;

static void *commit(void *unused) {
    (void)unused;
    uint64_t head = 0;
    off_t end = 0;
    for (;;) {
        struct timespec linger = {0, LINGER_NANOSECONDS};
        nanosleep(&linger, NULL);
        uint64_t tail = ring_tail;
        while (head < tail) {
            size_t at = head % RING_BYTES, count = (size_t)(tail - head);
            if (count > RING_BYTES - at) count = RING_BYTES - at;
            ssize_t n = pwrite(log_file, ring + at, count, end);
            if (n <= 0) return NULL;
            head += (uint64_t)n;
            end += n;
        }
        if (fdatasync(log_file)) return NULL;
    }
}
static int begin_log(const char *log_path, const char *ring_path) {
    pthread_t thread;
    log_file = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int file = open(ring_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log_file < 0 || file < 0) return errno;
    int failure = posix_fallocate(file, 0, RING_BYTES);
    if (failure) return failure;
    ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    return ring == MAP_FAILED ? errno : pthread_create(&thread, NULL, commit, NULL);
}
static void store(const char *bytes, size_t count) {
    size_t at = ring_tail % RING_BYTES;
    if (at + count <= RING_BYTES) memcpy(ring + at, bytes, count);
    ring_tail += count;
}

int tg_echo_serve(const char *unix_path, const char *log_path, const char *ring_path) {
    int failure = log_path && ring_path ? begin_log(log_path, ring_path) : 0;
    if (failure) return failure;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(unix_path) >= sizeof address.sun_path) return ENAMETOOLONG;
    strcpy(address.sun_path, unix_path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (listener < 0 || poll < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, 128) || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event))
        return errno;

    static char bytes[64 << 10];
    struct epoll_event ready[64];
    for (;;) {
        int count = epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            int peer = ready[i].data.fd;
            if (peer == listener) {
                event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (event.data.fd >= 0) epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            ssize_t n = recv(peer, bytes, sizeof bytes, 0);
            if (n > 0 && ring) store(bytes, (size_t)n);
            if (n <= 0 || send(peer, bytes, (size_t)n, MSG_NOSIGNAL) < n) close(peer);
        }
    }
}

void tg_die_with_parent(int signal) { prctl(PR_SET_PDEATHSIG, signal); }

void tg_sleep_precisely(void) { prctl(PR_SET_TIMERSLACK, 1); }
