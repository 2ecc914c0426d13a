/* client_wire.h — the demo service's messages, as bytes: requests written, replies read.
 *
 * Field numbers are those of proto/sospdemo.proto; what nexus added takes 16 and up, so a server
 * that knows only the original fields ignores it.
 * Owner    the caller owns every buffer; requests need at most NX_CLIENT_WIRE_BYTES_MAX
 * Failure  a reply that does not decode: NX_CORRUPT */
#ifndef NX_CLI_CLIENT_WIRE_H
#define NX_CLI_CLIENT_WIRE_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NX_CLIENT_WIRE_INFER   "/sospdemo.FunctionTierService/Whatsthis"
#define NX_CLIENT_WIRE_INSTALL "/sospdemo.FunctionTierService/InstallModel"
#define NX_CLIENT_WIRE_REMOVE  "/sospdemo.FunctionTierService/RemoveModel"

#define NX_CLIENT_CHUNK_BYTES      (256 * 1024)
#define NX_CLIENT_WIRE_BYTES_MAX   (NX_CLIENT_CHUNK_BYTES + 1024)
#define NX_CLIENT_REQUEST_ID_BYTES 16

struct nx_client_install {
    uint32_t tag, synset_bytes, model_bytes, params_bytes;
    uint8_t request_id[NX_CLIENT_REQUEST_ID_BYTES];
    char *recipe; /* NULL: the server's default */
    bool onnx;    /* the model is one .onnx file; otherwise symbol and params */
};

/* Each writes one message to `buffer` and returns its length. */
size_t nx_client_wire_install(const struct nx_client_install *install, uint8_t *buffer);
size_t nx_client_wire_remove(uint32_t tag, const uint8_t request_id[NX_CLIENT_REQUEST_ID_BYTES],
                             uint8_t *buffer);
size_t nx_client_wire_photo(uint32_t photo_bytes, const uint32_t *tags, uint32_t tag_count,
                            uint8_t *buffer);

/* A piece of a file, of an install or of a photo; len <= NX_CLIENT_CHUNK_BYTES. */
size_t nx_client_wire_install_chunk(const uint8_t *bytes, size_t len, uint8_t *buffer);
size_t nx_client_wire_photo_chunk(const uint8_t *bytes, size_t len, uint8_t *buffer);

/* The text of a reply is printable, one line, NUL-terminated; the caller frees *text. */
enum nx_status nx_client_wire_read_answer(const uint8_t *bytes, size_t len, int32_t *code,
                                          char **text, struct nx_err *err);
enum nx_status nx_client_wire_read_photo(const uint8_t *bytes, size_t len, char **text,
                                         struct nx_err *err);

#endif
