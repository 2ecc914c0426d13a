/* client_text.h — text from outside: is it UTF-8, and may a terminal see it? */
#ifndef NX_CLI_CLIENT_TEXT_H
#define NX_CLI_CLIENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (no surrogates, nothing overlong, nothing over U+10FFFF) and no NUL within
 * `len`. text[len] is NUL. */
bool nx_client_text_is_utf8(const char *text, size_t len);

/* Puts '?' for every control character, C1 controls included, and for every byte that is not
 * UTF-8: what is left is one line that moves no cursor. */
void nx_client_text_make_printable(char *text);

#endif
