#define _GNU_SOURCE // memmem
#include "CMemory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)
#define CACHE_LINE ((size_t)64)

void *tg_allocate_table(size_t bytes) {
    void *table = NULL;
    size_t alignment = bytes >= LARGE_PAGE ? LARGE_PAGE : CACHE_LINE;
    if (posix_memalign(&table, alignment, bytes)) abort();
    // Only advice: without large pages everything works, a little slower.
    if (bytes >= LARGE_PAGE) madvise(table, bytes & ~(LARGE_PAGE - 1), MADV_HUGEPAGE);
    return table;
}

const void *tg_find(const void *bytes, size_t count, const void *sought, size_t length) {
    return memmem(bytes, count, sought, length);
}
