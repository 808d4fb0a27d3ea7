#include "CLinux.h"

#include <string.h>

// SHA-256 (FIPS 180-4) two ways behind one name, as CRC-32C has it. The committer hashes every event and
// the tree above it, so what is short and comes in pairs goes through the processor two messages at a
// time: its instruction takes four cycles and could begin another one every two.

typedef void (*compress_one)(uint32_t state[8], const uint8_t *blocks, size_t count);
typedef void (*compress_two)(
    uint32_t a[8], const uint8_t *a_blocks, uint32_t b[8], const uint8_t *b_blocks, size_t count);

enum { block_bytes = 64 };

static const uint32_t initial[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

_Alignas(16) static const uint32_t rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t big(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void put_big(uint8_t *p, uint32_t word) {
    p[0] = (uint8_t)(word >> 24);
    p[1] = (uint8_t)(word >> 16);
    p[2] = (uint8_t)(word >> 8);
    p[3] = (uint8_t)word;
}
static inline uint32_t right(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void one_portable(uint32_t state[8], const uint8_t *p, size_t count) {
    for (; count > 0; count--, p += block_bytes) {
        uint32_t w[64];
        for (int i = 0; i < 16; i++) w[i] = big(p + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = right(w[i - 15], 7) ^ right(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t s1 = right(w[i - 2], 17) ^ right(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (int i = 0; i < 64; i++) {
            uint32_t t1 = h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + rounds[i] + w[i];
            uint32_t t2 = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + t2;
        }
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
        state[5] += f;
        state[6] += g;
        state[7] += h;
    }
}
static void two_portable(
    uint32_t a[8], const uint8_t *a_blocks, uint32_t b[8], const uint8_t *b_blocks, size_t count) {
    one_portable(a, a_blocks, count);
    one_portable(b, b_blocks, count);
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static const char hardware_kind[] = "sha-ni";
static int has_hardware(void) {
    unsigned a, b, c, d;
    // SSE4.1 for the shuffles; the SHA bit is leaf 7's, which not every compiler can ask for by name.
    if (!__builtin_cpu_supports("sse4.1") || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (b & 1u << 29) != 0;
}

#define SHA_NI __attribute__((target("sha,sse4.1"), always_inline)) static inline

// The instruction keeps the state as (a, b, e, f) and (c, d, g, h).
typedef struct {
    __m128i abef, cdgh;
} lane;

SHA_NI lane take_up(const uint32_t state[8]) {
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
    __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    return (lane){_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
}
SHA_NI void lay_down(lane s, uint32_t state[8]) {
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1B);
    __m128i dchg = _mm_shuffle_epi32(s.cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
/// Words 4i … 4i+3 of the schedule; `w` holds the sixteen before them.
SHA_NI __m128i words(__m128i w[4], const uint8_t *block, int i) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
    if (i < 4) {
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), swap);
    } else {
        __m128i last = w[(i + 3) & 3];
        __m128i sum = _mm_add_epi32(
            _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
        w[i & 3] = _mm_sha256msg2_epu32(sum, last);
    }
    return _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(rounds + 4 * i)));
}
SHA_NI lane four_rounds(lane s, __m128i k) {
    s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, k);
    s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(k, 0x0E));
    return s;
}
SHA_NI lane sum(lane a, lane b) {
    return (lane){_mm_add_epi32(a.abef, b.abef), _mm_add_epi32(a.cdgh, b.cdgh)};
}

__attribute__((target("sha,sse4.1")))
static void one_hardware(uint32_t state[8], const uint8_t *p, size_t count) {
    lane s = take_up(state);
    for (; count > 0; count--, p += block_bytes) {
        lane before = s;
        __m128i w[4];
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) s = four_rounds(s, words(w, p, i));
        s = sum(s, before);
    }
    lay_down(s, state);
}
__attribute__((target("sha,sse4.1")))
static void two_hardware(
    uint32_t a[8], const uint8_t *a_blocks, uint32_t b[8], const uint8_t *b_blocks, size_t count) {
    lane s = take_up(a), t = take_up(b);
    for (; count > 0; count--, a_blocks += block_bytes, b_blocks += block_bytes) {
        lane s_before = s, t_before = t;
        __m128i v[4], w[4];
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
            __m128i j = words(v, a_blocks, i), k = words(w, b_blocks, i);
            s = four_rounds(s, j);
            t = four_rounds(t, k);
        }
        s = sum(s, s_before);
        t = sum(t, t_before);
    }
    lay_down(s, a);
    lay_down(t, b);
}
#else
static const char hardware_kind[] = "portable";
static int has_hardware(void) { return 0; }
#define one_hardware one_portable
#define two_hardware two_portable
#endif

static void one_choose(uint32_t state[8], const uint8_t *blocks, size_t count);
static void two_choose(
    uint32_t a[8], const uint8_t *a_blocks, uint32_t b[8], const uint8_t *b_blocks, size_t count);
// Several threads may choose at once; they all choose the same.
static _Atomic compress_one chosen_one = one_choose;
static _Atomic compress_two chosen_two = two_choose;

static void choose(void) {
    int hardware = has_hardware();
    __c11_atomic_store(&chosen_one, hardware ? one_hardware : one_portable, __ATOMIC_RELAXED);
    __c11_atomic_store(&chosen_two, hardware ? two_hardware : two_portable, __ATOMIC_RELAXED);
}
static void one(uint32_t state[8], const uint8_t *blocks, size_t count) {
    __c11_atomic_load(&chosen_one, __ATOMIC_RELAXED)(state, blocks, count);
}
static void two(uint32_t a[8], const uint8_t *a_blocks, uint32_t b[8], const uint8_t *b_blocks, size_t count) {
    __c11_atomic_load(&chosen_two, __ATOMIC_RELAXED)(a, a_blocks, b, b_blocks, count);
}
static void one_choose(uint32_t state[8], const uint8_t *blocks, size_t count) {
    choose();
    one(state, blocks, count);
}
static void two_choose(
    uint32_t a[8], const uint8_t *a_blocks, uint32_t b[8], const uint8_t *b_blocks, size_t count) {
    choose();
    two(a, a_blocks, b, b_blocks, count);
}

static void write_digest(const uint32_t state[8], uint8_t *out) {
    for (int i = 0; i < 8; i++) put_big(out + 4 * i, state[i]);
}

// The end of a message of `length` bytes, of which the last `count` < 64 are at the front of `tail`: the
// padding is added, and the answer is how many blocks (1 or 2) that makes.
static size_t pad(uint8_t *tail, size_t count, uint64_t length) {
    size_t blocks = count + 9 <= block_bytes ? 1 : 2;
    tail[count] = 0x80;
    memset(tail + count + 1, 0, blocks * block_bytes - count - 9);
    put_big(tail + blocks * block_bytes - 8, (uint32_t)(length >> 29));
    put_big(tail + blocks * block_bytes - 4, (uint32_t)(length << 3));
    return blocks;
}

static void hash_with(
    compress_one compress, int prefix, const uint8_t *p, size_t count, uint8_t *out) {
    uint32_t state[8];
    memcpy(state, initial, sizeof state);
    uint64_t length = count;
    uint8_t buffer[2 * block_bytes];
    size_t held = 0;
    if (prefix >= 0) {
        // One byte in front moves all others: the first block is put together, the rest lie as they are.
        length++;
        buffer[held++] = (uint8_t)prefix;
        if (count >= block_bytes - 1) {
            memcpy(buffer + 1, p, block_bytes - 1);
            compress(state, buffer, 1);
            p += block_bytes - 1;
            count -= block_bytes - 1;
            held = 0;
        }
    }
    if (held == 0) {
        compress(state, p, count / block_bytes);
        p += count / block_bytes * block_bytes;
        count %= block_bytes;
    }
    if (count > 0) memcpy(buffer + held, p, count);
    compress(state, buffer, pad(buffer, held + count, length));
    write_digest(state, out);
}

void tg_sha256(int prefix, const void *bytes, size_t count, uint8_t *out) {
    hash_with(one, prefix, bytes, count, out);
}
void tg_sha256_portable(int prefix, const void *bytes, size_t count, uint8_t *out) {
    hash_with(one_portable, prefix, bytes, count, out);
}
const char *tg_sha256_kind(void) { return has_hardware() ? hardware_kind : "portable"; }

// Messages up to this long are copied out and padded whole; few events are longer.
enum { copied_bytes_max = 15 * block_bytes };

// The whole of a short message behind its prefix, padded; answers its blocks.
static size_t copy(uint8_t *buffer, uint8_t prefix, const uint8_t *p, size_t count) {
    buffer[0] = prefix;
    memcpy(buffer + 1, p, count);
    size_t whole = (count + 1) / block_bytes;
    return whole + pad(buffer + whole * block_bytes, (count + 1) % block_bytes, count + 1);
}

void tg_sha256_pair(
    uint8_t prefix, const void *first, size_t first_count, const void *second, size_t second_count,
    uint8_t *out) {
    if (first_count > copied_bytes_max || second_count > copied_bytes_max) {
        uint8_t digest[32];
        hash_with(one, prefix, first, first_count, digest);
        hash_with(one, prefix, second, second_count, out + 32);
        memcpy(out, digest, 32);
        return;
    }
    uint8_t a[copied_bytes_max + 2 * block_bytes], b[copied_bytes_max + 2 * block_bytes];
    size_t a_blocks = copy(a, prefix, first, first_count);
    size_t b_blocks = copy(b, prefix, second, second_count);
    size_t both = a_blocks < b_blocks ? a_blocks : b_blocks;
    uint32_t s[8], t[8];
    memcpy(s, initial, sizeof s);
    memcpy(t, initial, sizeof t);
    two(s, a, t, b, both);
    if (a_blocks > both) one(s, a + both * block_bytes, a_blocks - both);
    if (b_blocks > both) one(t, b + both * block_bytes, b_blocks - both);
    write_digest(s, out);
    write_digest(t, out + 32);
}

void tg_sha256_parents(const uint8_t *children, size_t parents, uint8_t *out) {
    size_t i = 0;
    // Both pairs are read before either parent is written, so that `out` may be `children`.
    for (; i + 2 <= parents; i += 2)
        tg_sha256_pair(1, children + 64 * i, 64, children + 64 * i + 64, 64, out + 32 * i);
    if (i < parents) tg_sha256(1, children + 64 * i, 64, out + 32 * i);
}
