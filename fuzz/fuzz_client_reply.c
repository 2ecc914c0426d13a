/* Replies of a function tier node as the client reads them: whatever came is refused, or becomes one
 * printable line. */
#include "cli/client_text.h"
#include "function_tier/pb/pb_demo.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_line(char *text)
{
    nx_client_text_make_printable(text);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            abort();
    if (!nx_client_text_is_utf8(text, strlen(text)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char text[64]; /* short, so that the cut is met too, also within a character */
    int32_t code;
    if (nx_pb_model_reply_decode(bytes, len, &code, text, sizeof text, NULL) == NX_OK)
        check_line(text);
    if (nx_pb_photo_reply_decode(bytes, len, text, sizeof text, NULL) == NX_OK)
        check_line(text);
    return 0;
}
