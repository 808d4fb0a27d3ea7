// Counts the allocations of one thread, so that a test can say "none a command".
#ifndef TOLLGATE_CMALLOCCOUNT_H
#define TOLLGATE_CMALLOCCOUNT_H

/// Whether they can be counted in this build; not beside a sanitizer.
int tg_can_count_mallocs(void);
/// Begins to count this thread's calls of malloc, calloc, realloc and aligned_alloc, from zero.
void tg_count_mallocs(void);
/// Stops counting and returns how many there were.
long tg_counted_mallocs(void);

#endif
