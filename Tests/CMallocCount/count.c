// Linked into the test program, these take the place of the C library's own; glibc keeps the real
// ones reachable under another name.
#define _GNU_SOURCE
#include "CMallocCount.h"
#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static __thread int counting;
static __thread long counted;

void tg_count_mallocs(void) {
    counted = 0;
    counting = 1;
}
long tg_counted_mallocs(void) {
    counting = 0;
    return counted;
}

// A sanitizer needs these places for itself.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
int tg_can_count_mallocs(void) { return 0; }
#else
int tg_can_count_mallocs(void) { return 1; }

void *malloc(size_t size) {
    counted += counting;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    counted += counting;
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    counted += counting;
    return __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    counted += counting;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **out, size_t alignment, size_t size) {
    counted += counting;
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *out = memory;
    return 0;
}
#endif
