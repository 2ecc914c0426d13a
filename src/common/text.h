/* text.h — text that grows as it is written: replies, metrics.
 *
 * A text that meets its bound, or no memory, turns bad and stays bad: a writer checks once, at its end.
 * Owner  the caller, until nx_text_free. Thread  any one. */
#ifndef NX_COMMON_TEXT_H
#define NX_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct nx_text {
    char *at; /* NUL-terminated once anything was added; NULL before */
    size_t len, cap, max;
    bool bad;
};

void nx_text_init(struct nx_text *text, size_t max);
void nx_text_free(struct nx_text *text);

void nx_text_bytes(struct nx_text *text, const void *bytes, size_t len);
void nx_text_add(struct nx_text *text, const char *string);
__attribute__((format(printf, 2, 3))) void nx_text_printf(struct nx_text *text, const char *format,
                                                          ...);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void nx_text_json(struct nx_text *text, const char *string, size_t len);
/* The shortest decimal that reads back as the same float; not finite: null, since JSON has no word for it. */
void nx_text_float(struct nx_text *text, float value);

#endif
