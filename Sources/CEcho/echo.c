#define _GNU_SOURCE
#include "CEcho.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int tg_echo_serve(const char *unix_path) {
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
            if (n <= 0 || send(peer, bytes, (size_t)n, MSG_NOSIGNAL) < n) close(peer);
        }
    }
}

void tg_die_with_parent(int signal) { prctl(PR_SET_PDEATHSIG, signal); }

void tg_sleep_precisely(void) { prctl(PR_SET_TIMERSLACK, 1); }
