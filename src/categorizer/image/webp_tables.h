/* webp_tables.h — what libwebp holds to decode a lossless WebP beside its pixels, known before it begins.
 *
 * A lossless stream may have up to 65,536 groups of five Huffman codes, each unfolded into tables of 12 to 20 KB: a file
 * of 300 KB makes 370 MB. How many groups there are is said by a small picture near the stream's start. Only its literals
 * count: what it copies, or takes from its cache of colours, has been one before. */
#ifndef NX_IMAGE_WEBP_TABLES_H
#define NX_IMAGE_WEBP_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the tables and of the small pictures for the stream at `bytes`, of width x height (both above 0), which begins
 * at its transforms: 5 bytes into a chunk VP8L, 1 byte into a chunk ALPH. Of a stream that is damaged the most that one of
 * that size can take. From any thread; cannot fail. */
uint64_t nx_webp_tables_bytes(const uint8_t *bytes, size_t len, uint32_t width, uint32_t height);

/* The most that any stream of that size can take. */
uint64_t nx_webp_tables_most(uint32_t width, uint32_t height);

#endif
