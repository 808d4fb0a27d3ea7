// The yardstick of `tollgate bench`: what any server on this machine has to pay for a round trip.
#ifndef TOLLGATE_CECHO_H
#define TOLLGATE_CECHO_H

/// Answers every connection with the bytes it sent: one epoll_wait, one recv and one send a message,
/// and nothing else. Serves until it is killed; returns an errno when it cannot begin.
///
/// With the other two paths it also logs: each message is stored in a mapped ring before it is
/// answered, and a second thread appends the ring to a file and syncs it every two milliseconds. That
/// is the least that a server which logs what it answers does, and it decides nothing.
int tg_echo_serve(
    const char *_Nonnull unix_path, const char *_Nullable log_path, const char *_Nullable ring_path);

/// Has the kernel send this process a signal when the one that started it ends, however that ends.
void tg_die_with_parent(int signal);

/// From here on this thread's sleeps end when they are meant to, not up to 50 µs later.
void tg_sleep_precisely(void);

/// Counting instructions under `valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no`:
/// without valgrind each of these is five instructions that do nothing.
/// Whether valgrind runs this process.
int tg_is_counted(void);
/// From here on callgrind looks at every instruction; before, it only lets them pass.
void tg_count_begin(void);
/// Begins to add up what is executed, or ends it.
void tg_count_toggle(void);
/// Writes down the sum under a name and begins a new one.
void tg_count_dump(const char *_Nonnull name);

#endif
