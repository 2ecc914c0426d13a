/* client_upload.h — files as chunks of a call, one after the other.
 *
 * One buffer of a chunk is all the memory it takes. If standard error is a terminal and there is
 * more than 8 MiB to send, one line there shows how far it is, and is wiped at the end. */
#ifndef NX_CLI_CLIENT_UPLOAD_H
#define NX_CLI_CLIENT_UPLOAD_H

#include "cli/client_call.h"
#include "cli/client_file.h"

#include <stdbool.h>

/* Sends all bytes of all files, or as many as the far end wants to see. NX_OK also when it ended
 * the call early, and *complete is then false; finish says why. Otherwise a file could not be read
 * or changed, and the last chunk was not sent: the caller closes the call. */
enum nx_status nx_client_upload(struct nx_client_call *call, struct nx_client_file *files,
                                unsigned count, bool *complete, struct nx_err *err);

#endif
