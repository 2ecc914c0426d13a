#include "function_tier/pb/pb_reflection.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "function_tier/pb/pb_descriptors.h"
#include "function_tier/pb/pb_walk.h"

#include <stdlib.h>
#include <string.h>

/* Field numbers, by message. */
enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6 };
enum { ANY_NAME = 1, MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, SERVICE_METHOD = 2 };
enum { ASK_FILE = 3, ASK_SYMBOL = 4, ASK_EXTENSION = 5, ASK_NUMBERS = 6, ASK_SERVICES = 7 };
enum { REPLY_ASKED = 2, REPLY_FILE = 4, REPLY_SERVICES = 6, REPLY_ERROR = 7 };
enum { FILES_FILE = 1 };
enum { GRPC_NOT_FOUND = 5, OVERHEAD_BYTES = 256 };

struct span {
    const uint8_t *at;
    size_t len;
};

/* --- writing: the room is known to suffice ---------------------------------------------------------- */

static void put_varint(uint8_t **at, size_t value)
{
    for (; value > 0x7f; value >>= 7)
        *(*at)++ = (uint8_t)(value | 0x80);
    *(*at)++ = (uint8_t)value;
}

static void put_bytes(uint8_t **at, unsigned number, const void *bytes, size_t len)
{
    put_varint(at, number << 3 | NX_PB_BYTES);
    put_varint(at, len);
    memcpy(*at, bytes, len);
    *at += len;
}

/* --- the descriptors -------------------------------------------------------------------------------- */

static void walk_span(struct nx_pb_walk *walk, struct span span)
{
    nx_pb_walk_init(walk, span.at, span.len);
}

static struct span descriptors(void)
{
    return (struct span){nx_pb_descriptors, (size_t)(nx_pb_descriptors_end - nx_pb_descriptors)};
}

/* The first value of a field of bytes; len 0 if there is none. */
static struct span value_of(struct span message, unsigned number)
{
    struct nx_pb_walk walk;
    struct nx_pb_field field;
    walk_span(&walk, message);
    while (nx_pb_walk_next(&walk, &field))
        if (field.number == number && field.wire == NX_PB_BYTES)
            return (struct span){field.bytes, field.len};
    return (struct span){NULL, 0};
}

static bool equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* "a.b.c" begins with the name "a.b": *rest is "c", or empty if the name is all of it. */
static bool begins_with(struct span symbol, struct span name, struct span *rest)
{
    if (name.len == 0 || symbol.len < name.len || memcmp(symbol.at, name.at, name.len) != 0)
        return false;
    if (symbol.len == name.len) {
        *rest = (struct span){NULL, 0};
        return true;
    }
    if (symbol.at[name.len] != '.' || symbol.len == name.len + 1)
        return false;
    *rest = (struct span){symbol.at + name.len + 1, symbol.len - name.len - 1};
    return true;
}

/* Does a message, an enum or a service declare what is left of a symbol? The descriptors are ours: the depth is theirs. */
static bool declares(struct span thing, unsigned kind, struct span symbol)
{
    struct nx_pb_walk walk;
    struct nx_pb_field field;
    struct span rest;
    if (!begins_with(symbol, value_of(thing, ANY_NAME), &rest))
        return false;
    walk_span(&walk, thing);
    while (rest.len > 0 && kind != FILE_ENUM && nx_pb_walk_next(&walk, &field)) {
        struct span inner = {field.bytes, field.len};
        if (field.wire != NX_PB_BYTES)
            continue;
        bool is_nested = kind == FILE_MESSAGE &&
                         (field.number == MESSAGE_NESTED || field.number == MESSAGE_ENUM);
        if (is_nested &&
            declares(inner, field.number == MESSAGE_ENUM ? FILE_ENUM : FILE_MESSAGE, rest))
            return true;
        static_assert((int)MESSAGE_FIELD == (int)SERVICE_METHOD, "one number for members");
        if (field.number == MESSAGE_FIELD && equal(value_of(inner, ANY_NAME), rest))
            return true;
    }
    return rest.len == 0;
}

static bool file_declares(struct span file, struct span symbol)
{
    struct nx_pb_walk walk;
    struct nx_pb_field field;
    struct span rest;
    if (!begins_with(symbol, value_of(file, FILE_PACKAGE), &rest) || rest.len == 0)
        return false;
    walk_span(&walk, file);
    while (nx_pb_walk_next(&walk, &field))
        if ((field.number == FILE_MESSAGE || field.number == FILE_ENUM ||
             field.number == FILE_SERVICE) &&
            declares((struct span){field.bytes, field.len}, field.number, rest))
            return true;
    return false;
}

/* --- answers ---------------------------------------------------------------------------------------- */

/* A list of files with this one. */
static void put_files(uint8_t **at, struct span file)
{
    uint8_t head[16], *end = head; /* two varints */
    put_varint(&end, FILES_FILE << 3 | NX_PB_BYTES);
    put_varint(&end, file.len);
    size_t head_bytes = (size_t)(end - head);
    put_varint(at, REPLY_FILE << 3 | NX_PB_BYTES);
    put_varint(at, head_bytes + file.len);
    memcpy(*at, head, head_bytes);
    memcpy(*at + head_bytes, file.at, file.len);
    *at += head_bytes + file.len;
}

static bool put_file(uint8_t **at, unsigned asked, struct span wanted)
{
    struct nx_pb_walk walk;
    struct nx_pb_field field;
    walk_span(&walk, descriptors());
    while (nx_pb_walk_next(&walk, &field)) {
        struct span file = {field.bytes, field.len};
        if (asked == ASK_FILE ? !equal(value_of(file, FILE_NAME), wanted)
                              : !file_declares(file, wanted))
            continue;
        put_files(at, file);
        return true;
    }
    return false;
}

static void put_service(uint8_t **at, struct span package, struct span name)
{
    uint8_t full[256], entry[300], *end = entry;
    nx_assert(package.len + name.len + 1 <= sizeof full); /* both ours */
    memcpy(full, package.at, package.len);
    full[package.len] = '.';
    memcpy(full + package.len + 1, name.at, name.len);
    put_bytes(&end, 1, full, package.len + 1 + name.len);
    put_bytes(at, 1, entry, (size_t)(end - entry));
}

static void put_services(uint8_t **at)
{
    uint8_t list[4096], *end = list;
    struct nx_pb_walk files, parts;
    struct nx_pb_field file, part;
    walk_span(&files, descriptors());
    while (nx_pb_walk_next(&files, &file)) {
        struct span package = value_of((struct span){file.bytes, file.len}, FILE_PACKAGE);
        nx_pb_walk_init(&parts, file.bytes, file.len);
        while (nx_pb_walk_next(&parts, &part)) {
            if (part.number != FILE_SERVICE)
                continue;
            nx_assert(end + 300 < list + sizeof list);
            put_service(&end, package, value_of((struct span){part.bytes, part.len}, ANY_NAME));
        }
    }
    put_bytes(at, REPLY_SERVICES, list, (size_t)(end - list));
}

static void put_not_found(uint8_t **at)
{
    static const char sentence[] = "this server has no such file, symbol or extension";
    uint8_t error[sizeof sentence + 8], *end = error;
    put_varint(&end, 1 << 3 | NX_PB_VARINT);
    put_varint(&end, GRPC_NOT_FOUND);
    put_bytes(&end, 2, sentence, sizeof sentence - 1);
    put_bytes(at, REPLY_ERROR, error, (size_t)(end - error));
}

static bool read_ask(const uint8_t *bytes, size_t len, unsigned *asked, struct span *wanted)
{
    struct nx_pb_walk walk;
    struct nx_pb_field field;
    *asked = 0;
    nx_pb_walk_init(&walk, bytes, len);
    while (nx_pb_walk_next(&walk, &field))
        if (field.number >= ASK_FILE && field.number <= ASK_SERVICES && field.wire == NX_PB_BYTES) {
            *asked = field.number; /* of a oneof the last one counts */
            *wanted = (struct span){field.bytes, field.len};
        }
    return !walk.bad && *asked;
}

enum nx_status nx_pb_reflect(const uint8_t *bytes, size_t len, uint8_t **reply, size_t *reply_bytes,
                             struct nx_err *err)
{
    unsigned asked;
    struct span wanted = {NULL, 0};
    if (len > NX_PB_REFLECTION_BYTES_MAX)
        return nx_err_set(err, NX_INVALID, "a reflection request of %zu bytes, the limit is %d",
                          len, NX_PB_REFLECTION_BYTES_MAX);
    if (!read_ask(bytes, len, &asked, &wanted))
        return nx_err_set(err, NX_INVALID, "a reflection request of %zu bytes asks nothing", len);
    uint8_t *out = nx_malloc(len + descriptors().len + OVERHEAD_BYTES), *end = out;
    if (!out)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a reply");
    put_bytes(&end, REPLY_ASKED, bytes, len);
    if (asked == ASK_SERVICES)
        put_services(&end);
    else if ((asked != ASK_FILE && asked != ASK_SYMBOL) || !put_file(&end, asked, wanted))
        put_not_found(&end);
    *reply = out;
    *reply_bytes = (size_t)(end - out);
    return NX_OK;
}
