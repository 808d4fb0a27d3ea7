// The yardstick of `tollgate bench`: what any server on this machine has to pay for a round trip.
#ifndef TOLLGATE_CECHO_H
#define TOLLGATE_CECHO_H

/// Answers every connection with the bytes it sent: one epoll_wait, one recv and one send a message,
/// and nothing else. Serves until it is killed; returns an errno when it cannot begin.
int tg_echo_serve(const char *_Nonnull unix_path);

/// Has the kernel kill this process when the one that started it ends, however that ends.
void tg_die_with_parent(void);

#endif
