/* The walk through the head of a lossless WebP: its transforms, and the picture that says which group codes which block. */
#include "categorizer/image/webp_tables.h"

#include <stdbool.h>
#include <string.h>

enum {
    LITERALS = 256,
    LENGTH_CODES = 24,
    DISTANCE_CODES = 40,
    CACHE_BITS_MAX = 11,
    SYMBOLS_MAX = LITERALS + LENGTH_CODES + (1 << CACHE_BITS_MAX),
    CODE_BITS_MAX = 15,
    GROUPS_MAX = 1 << 16,
    PLAIN_GROUPS_MAX =
        1000, /* up to so many libwebp builds those between, too, that no block has */
    BLOCK_BITS_MIN = 2,
};

struct bits {
    const uint8_t *bytes;
    uint64_t at, end; /* in bits */
    bool failed;      /* beyond the end, or no lossless WebP */
};

/* A canonical code, as deflate has them. */
struct code {
    uint16_t counts[CODE_BITS_MAX + 1]; /* of the symbols with so many bits */
    uint16_t symbols[SYMBOLS_MAX];      /* by length, then by number */
    uint32_t n;
};

enum { GREEN, RED, BLUE, ALPHA, DISTANCE, CODES };

struct walk {
    struct bits in;
    uint8_t lengths[SYMBOLS_MAX];
    struct code codes[CODES], of_lengths;
    uint64_t seen[GROUPS_MAX / 64]; /* the groups that are some block's */
    uint64_t bytes;
};

static uint32_t take(struct bits *in, unsigned n)
{
    uint32_t value = 0;
    if (n > in->end - in->at) {
        in->failed = true;
        return 0;
    }
    for (unsigned i = 0; i < n; i++, in->at++)
        value |= (uint32_t)(in->bytes[in->at / 8] >> in->at % 8 & 1) << i;
    return value;
}

/* A code that is not whole is refused by libwebp as well, but one of a single symbol, which takes no bits. */
static bool build(struct code *code, const uint8_t *lengths, uint32_t n)
{
    uint16_t at[CODE_BITS_MAX + 2] = {0};
    int32_t left = 1;
    memset(code->counts, 0, sizeof code->counts);
    for (uint32_t i = 0; i < n; i++)
        code->counts[lengths[i]]++;
    code->n = n - code->counts[0];
    code->counts[0] = 0;
    for (int b = 1; b <= CODE_BITS_MAX; b++) {
        left = 2 * left - code->counts[b];
        if (left < 0)
            return false;
        at[b + 1] = (uint16_t)(at[b] + code->counts[b]);
    }
    for (uint32_t i = 0; i < n; i++)
        if (lengths[i])
            code->symbols[at[lengths[i]]++] = (uint16_t)i;
    return code->n == 1 || left == 0;
}

static uint32_t take_symbol(struct bits *in, const struct code *code)
{
    uint32_t value = 0, first = 0, index = 0;
    if (code->n == 1)
        return code->symbols[0];
    for (int b = 1; b <= CODE_BITS_MAX && !in->failed; b++) {
        value |= take(in, 1);
        if (value - first < code->counts[b])
            return code->symbols[index + value - first];
        index += code->counts[b];
        first = (first + code->counts[b]) << 1;
        value <<= 1;
    }
    in->failed = true;
    return 0;
}

static void take_few_lengths(struct walk *w)
{
    bool two = take(&w->in, 1);
    w->lengths[take(&w->in, take(&w->in, 1) ? 8 : 1)] = 1;
    if (two)
        w->lengths[take(&w->in, 8)] = 1;
}

static void take_repeated(struct walk *w, uint32_t symbol, uint8_t last, uint32_t *at, uint32_t n)
{
    static const uint8_t extra[] = {2, 3, 7}, least[] = {3, 3, 11};
    uint32_t k = symbol - 16, times = least[k] + take(&w->in, extra[k]);
    if (times > n - *at) {
        w->in.failed = true;
        return;
    }
    memset(w->lengths + *at, k == 0 ? last : 0, times);
    *at += times;
}

static void take_many_lengths(struct walk *w, uint32_t n)
{
    static const uint8_t order[] = {17, 18, 0, 1,  2,  3,  4,  5,  16, 6,
                                    7,  8,  9, 10, 11, 12, 13, 14, 15};
    uint8_t own[sizeof order] = {0}, last = 8;
    uint32_t at = 0, count = take(&w->in, 4) + 4, symbols = n;
    if (count > sizeof order) {
        w->in.failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        own[order[i]] = (uint8_t)take(&w->in, 3);
    if (take(&w->in, 1)) {
        unsigned width = 2 + 2 * take(&w->in, 3);
        symbols = 2 + take(&w->in, width);
    }
    w->in.failed |= !build(&w->of_lengths, own, sizeof own) || symbols > n;
    for (; at < n && symbols > 0 && !w->in.failed; symbols--) {
        uint32_t symbol = take_symbol(&w->in, &w->of_lengths);
        if (symbol > CODE_BITS_MAX) {
            take_repeated(w, symbol, last, &at, n);
            continue;
        }
        w->lengths[at++] = (uint8_t)symbol;
        last = symbol ? (uint8_t)symbol : last;
    }
}

static void take_code(struct walk *w, struct code *code, uint32_t n)
{
    memset(w->lengths, 0, sizeof w->lengths);
    if (take(&w->in, 1))
        take_few_lengths(w);
    else
        take_many_lengths(w, n);
    w->in.failed |= !build(code, w->lengths, n);
}

/* Lengths and distances have the same form: a symbol and some bits. */
static uint32_t take_number(struct bits *in, uint32_t symbol)
{
    if (symbol < 4)
        return symbol + 1;
    unsigned extra = (symbol - 2) >> 1;
    return ((2 + (symbol & 1)) << extra) + take(in, extra) + 1;
}

static unsigned take_cache_bits(struct bits *in)
{
    unsigned n = take(in, 1) ? take(in, 4) : 0;
    in->failed |= n > CACHE_BITS_MAX;
    return in->failed ? 0 : n;
}

static void note(struct walk *w, uint32_t group)
{
    w->seen[group / 64] |= UINT64_C(1) << group % 64;
}

/* One pixel that says its colour, or a run of such as came before; how many pixels. */
static uint64_t take_pixels(struct walk *w, bool notes)
{
    uint32_t symbol = take_symbol(&w->in, &w->codes[GREEN]);
    if (symbol < LITERALS) {
        uint32_t red = take_symbol(&w->in, &w->codes[RED]);
        take_symbol(&w->in, &w->codes[BLUE]);
        take_symbol(&w->in, &w->codes[ALPHA]);
        if (notes)
            note(w, red << 8 | symbol);
        return 1;
    }
    if (symbol >= LITERALS + LENGTH_CODES)
        return 1;
    uint32_t length = take_number(&w->in, symbol - LITERALS);
    take_number(&w->in, take_symbol(&w->in, &w->codes[DISTANCE]));
    return length;
}

/* One of the small pictures, which has a single group; libwebp keeps it in 4 bytes a pixel. */
static void take_picture(struct walk *w, uint64_t pixels, bool notes)
{
    static const uint32_t alphabets[CODES] = {LITERALS + LENGTH_CODES, LITERALS, LITERALS, LITERALS,
                                              DISTANCE_CODES};
    unsigned cache = take_cache_bits(&w->in);
    if (notes && cache)
        note(w, 0); /* which is what it holds at first */
    for (int k = 0; k < CODES && !w->in.failed; k++)
        take_code(w, &w->codes[k], alphabets[k] + (k == GREEN && cache ? 1U << cache : 0));
    w->bytes += 4 * pixels;
    for (uint64_t at = 0; at < pixels && !w->in.failed;)
        at += take_pixels(w, notes);
}

static uint64_t blocks(uint32_t width, uint32_t height, unsigned bits)
{
    uint64_t side = (UINT64_C(1) << bits) - 1;
    return ((width + side) >> bits) * ((height + side) >> bits);
}

static void take_transform(struct walk *w, uint32_t *width, uint32_t height)
{
    enum { PREDICTOR, COLOUR, GREENS, PALETTE };
    uint32_t kind = take(&w->in, 2);
    if (kind == PREDICTOR || kind == COLOUR) {
        unsigned bits = BLOCK_BITS_MIN + take(&w->in, 3);
        take_picture(w, blocks(*width, height, bits), false);
    } else if (kind == PALETTE) {
        uint32_t colours = take(&w->in, 8) + 1;
        unsigned bits = colours > 16 ? 0 : colours > 4 ? 1 : colours > 2 ? 2 : 3;
        take_picture(w, colours, false);
        *width = (uint32_t)blocks(*width, 1, bits);
    }
}

static uint64_t count_groups(const struct walk *w)
{
    uint64_t count = 0, largest = 0;
    for (uint32_t i = 0; i < GROUPS_MAX; i++)
        if (w->seen[i / 64] >> i % 64 & 1) {
            count++;
            largest = i;
        }
    return largest < PLAIN_GROUPS_MAX ? largest + 1 : count;
}

/* The tables have room for all that such codes can unfold to, in entries of 4 bytes; the rest is what a group has itself. */
static uint64_t group_bytes(unsigned cache_bits)
{
    enum { TABLES = 2956, OWN_BYTES = 600 };
    return 4 * (TABLES + (UINT64_C(1) << cache_bits)) + OWN_BYTES;
}

uint64_t nx_webp_tables_most(uint32_t width, uint32_t height)
{
    const uint64_t pixels = blocks(width, height, BLOCK_BITS_MIN);
    uint64_t groups = pixels < PLAIN_GROUPS_MAX ? PLAIN_GROUPS_MAX : pixels;
    if (groups > GROUPS_MAX)
        groups = GROUPS_MAX;
    return groups * group_bytes(CACHE_BITS_MAX) + 3 * 4 * pixels;
}

uint64_t nx_webp_tables_bytes(const uint8_t *bytes, size_t len, uint32_t width, uint32_t height)
{
    struct walk w = {.in = {.bytes = bytes, .end = 8 * (uint64_t)len}};
    const uint32_t whole_width = width;
    unsigned kinds = 0;
    for (; kinds < 5 && !w.in.failed && take(&w.in, 1); kinds++)
        take_transform(&w, &width, height);
    unsigned cache = take_cache_bits(&w.in);
    if (!w.in.failed && take(&w.in, 1)) {
        unsigned bits = BLOCK_BITS_MIN + take(&w.in, 3);
        take_picture(&w, blocks(width, height, bits), true);
    }
    if (w.in.failed || kinds > 4) /* each transform comes once */
        return nx_webp_tables_most(whole_width, height);
    return w.bytes + count_groups(&w) * group_bytes(cache);
}
