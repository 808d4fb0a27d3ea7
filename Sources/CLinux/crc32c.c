#include "CLinux.h"

#include <string.h>

// CRC-32C three ways behind one name. The fold reads ten million events a second through this, so
// the way is chosen once, and the choice costs an indirect call.

typedef uint32_t (*crc_function)(uint32_t, const uint8_t *, size_t);

// Reflected Castagnoli polynomial.
enum { slices = 8 };
static const uint32_t polynomial = 0x82F63B78u;
static uint32_t table[slices][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        table[0][i] = crc;
    }
    for (int s = 1; s < slices; s++)
        for (uint32_t i = 0; i < 256; i++)
            table[s][i] = table[s - 1][i] >> 8 ^ table[0][table[s - 1][i] & 0xFF];
}

// Slice by 8: eight table look-ups for eight bytes, independent of each other.
static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t n) {
    pthread_once(&table_once, fill_table);
    while (n >= 8) {
        uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^ table[4][low >> 24]
            ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
        p += 8;
        n -= 8;
    }
    while (n--) crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xFF];
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

static const char hardware_kind[] = "sse4.2";
static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2")))
static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t n) {
    uint64_t wide = crc;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
        p += 8;
        n -= 8;
    }
    crc = (uint32_t)wide;
    if (n & 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        crc = _mm_crc32_u32(crc, word);
        p += 4;
    }
    if (n & 2) {
        uint16_t word;
        memcpy(&word, p, 2);
        crc = _mm_crc32_u16(crc, word);
        p += 2;
    }
    if (n & 1) crc = _mm_crc32_u8(crc, *p);
    return crc;
}
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>

static const char hardware_kind[] = "armv8";
// HWCAP_CRC32 of <asm/hwcap.h>, which not every C library brings along.
static int has_hardware(void) { return (getauxval(AT_HWCAP) & 1ul << 7) != 0; }

__attribute__((target("crc")))
static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t n) {
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
        p += 8;
        n -= 8;
    }
    while (n--) crc = __crc32cb(crc, *p++);
    return crc;
}
#else
static const char hardware_kind[] = "table";
static int has_hardware(void) { return 0; }
static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t n) { return crc_table(crc, p, n); }
#endif

static uint32_t crc_choose(uint32_t crc, const uint8_t *p, size_t n);
// Several threads may choose at once; they all choose the same.
static _Atomic crc_function chosen = crc_choose;

static uint32_t crc_choose(uint32_t crc, const uint8_t *p, size_t n) {
    crc_function function = has_hardware() ? crc_hardware : crc_table;
    __c11_atomic_store(&chosen, function, __ATOMIC_RELAXED);
    return function(crc, p, n);
}

uint32_t tg_crc32c(uint32_t seed, const void *bytes, size_t count) {
    crc_function function = __c11_atomic_load(&chosen, __ATOMIC_RELAXED);
    return ~function(~seed, bytes, count);
}
uint32_t tg_crc32c_portable(uint32_t seed, const void *bytes, size_t count) {
    return ~crc_table(~seed, bytes, count);
}
const char *tg_crc32c_kind(void) { return has_hardware() ? hardware_kind : "table"; }
