/* lines.h — the lines of a text file that somebody else wrote. */
#ifndef NX_COMMON_LINES_H
#define NX_COMMON_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the next line of [*at, end) into `line`, without its newline and NUL-terminated, and moves *at behind it. False at
 * the end, and for a line of `cap` bytes or more or with a NUL in it. */
bool nx_line_take(const char **at, const char *end, char *line, size_t cap);

#endif
