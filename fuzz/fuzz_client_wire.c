/* Replies of a function tier node as the client reads them: whatever came is refused, or becomes one
 * printable line. */
#include "cli/client_text.h"
#include "cli/client_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_line(char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            abort();
    if (!nx_client_text_is_utf8(text, strlen(text)))
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text;
    int32_t code;
    if (nx_client_wire_read_answer(bytes, len, &code, &text, NULL) == NX_OK)
        check_line(text);
    if (nx_client_wire_read_photo(bytes, len, &text, NULL) == NX_OK)
        check_line(text);
    return 0;
}
