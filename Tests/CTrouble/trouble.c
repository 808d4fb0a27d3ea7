// Preloaded under a daemon: a disk that hangs, and a clock that is wrong.
//
//   TROUBLE_HANG=FILE     fdatasync does not return while FILE is there, and makes FILE.hangs meanwhile
//   TROUBLE_LOOP=FILE     the same for epoll_wait
//   TROUBLE_CLOCK=FILE    the wall clock is ahead by as many seconds as FILE says; a missing one says 0
#define _GNU_SOURCE 1
#include "CTrouble.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

const char *trouble_name(void) { return "CTrouble"; }

static void hang_while_there(const char *variable) {
    const char *file = getenv(variable);
    if (file == NULL || access(file, F_OK) != 0) return;
    char mark[512];
    snprintf(mark, sizeof mark, "%s.hangs", file);
    int made = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (made >= 0) close(made);
    while (access(file, F_OK) == 0) usleep(1000);
    unlink(mark);
}

int fdatasync(int descriptor) {
    hang_while_there("TROUBLE_HANG");
    return (int)syscall(SYS_fdatasync, descriptor);
}

int epoll_wait(int poll, struct epoll_event *events, int most, int milliseconds) {
    int count = (int)syscall(SYS_epoll_pwait, poll, events, most, milliseconds, NULL, 8);
    hang_while_there("TROUBLE_LOOP");
    return count;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int code = (int)syscall(SYS_clock_gettime, clock, time);
    const char *file = clock == CLOCK_REALTIME ? getenv("TROUBLE_CLOCK") : NULL;
    if (code != 0 || file == NULL) return code;
    int opened = open(file, O_RDONLY | O_CLOEXEC);
    if (opened < 0) return code;
    char text[32] = {0};
    if (read(opened, text, sizeof text - 1) > 0) time->tv_sec += atol(text);
    close(opened);
    return code;
}
