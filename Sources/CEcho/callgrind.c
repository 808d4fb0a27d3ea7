// What valgrind listens for: a sequence of instructions that does nothing anywhere else. Valgrind's
// own header says the same; with it, whether a build can be counted would depend on what happened to
// be installed when it was made.
#include "CEcho.h"

enum {
    running_on_valgrind = 0x1001,
    toggle_collect = ('C' << 24 | 'T' << 16) + 2,
    dump_stats_at,
    start_instrumentation,
};

static unsigned long request(unsigned long what, const char *text) {
    volatile unsigned long arguments[6] = {what, (unsigned long)text};
    unsigned long answer = 0;
#if defined(__x86_64__)
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "=d"(answer)
                     : "a"(&arguments[0]), "0"(answer)
                     : "cc", "memory");
#elif defined(__aarch64__)
    __asm__ volatile("mov x3, %1; mov x4, %2\n\t"
                     "ror x12, x12, #3; ror x12, x12, #13\n\t"
                     "ror x12, x12, #51; ror x12, x12, #61\n\t"
                     "orr x10, x10, x10; mov %0, x3"
                     : "=r"(answer)
                     : "r"(answer), "r"(&arguments[0])
                     : "cc", "memory", "x3", "x4");
#else
    (void)arguments;
#endif
    return answer;
}

int tg_is_counted(void) { return request(running_on_valgrind, 0) != 0; }
void tg_count_begin(void) { request(start_instrumentation, 0); }
void tg_count_toggle(void) { request(toggle_collect, 0); }
void tg_count_dump(const char *name) { request(dump_stats_at, name); }
