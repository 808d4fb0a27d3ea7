// What the book needs to say about memory and Swift has no words for: fetch this line, I shall need
// it soon; back this table with large pages; and where do these bytes stand in those.
#ifndef TOLLGATE_CMEMORY_H
#define TOLLGATE_CMEMORY_H

#include <stddef.h>

/// Asks the processor to bring in the cache line at `address`. Changes nothing and never faults.
static inline void tg_prefetch(const void *_Nonnull address) { __builtin_prefetch(address, 0, 3); }

/// Memory for a table that is reached at random: from two megabytes on it starts at a multiple of
/// two megabytes and asks for large pages, so that a lookup does not also miss the page tables.
/// Given back with `free`. Ends the process when there is none.
void *_Nonnull tg_allocate_table(size_t bytes);

/// The C library's memmem, whose declaration Swift does not see.
const void *_Nullable tg_find(
    const void *_Nonnull bytes, size_t count, const void *_Nonnull sought, size_t length);

#endif
