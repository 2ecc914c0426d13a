/* cmd_log.c — `nexus log DIR [--verify] [--json]`: what a shard's log holds, and whether it may be believed.
 *
 * Reads only; a log that a running node owns may be read, too (its newest batch may then look torn).
 * Exit status  0 sound   1 wrong, or unreadable: DIR/file:offset: why, on stderr   2 usage
 *              3 sound but for a torn tail, which the next start cuts */
#include "cli/cmd.h"
#include "common/arena.h"
#include "group/log/plog_recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, EXIT_TORN = 3 };

struct printer {
    bool json, records;
    bool owner_printed, segment_open, segments_begun, record_begun;
    uint64_t records_count, bytes;
};

static void print_owner_id(const struct nx_plog_owner *owner)
{
    for (unsigned i = 0; i < NX_GROUP_ID_BYTES; i++)
        printf("%02x", owner->group_id[i]);
}

/* Text for a terminal or a JSON string: what is not plain is a '?'. */
static void print_plain(const char *text)
{
    for (; *text; text++)
        putchar(*text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text);
}

static void print_owner(struct printer *p, const struct nx_plog_owner *owner)
{
    if (p->owner_printed)
        return;
    p->owner_printed = true;
    fputs(p->json ? "\"shard\": \"" : "shard ", stdout);
    print_plain(owner->shard);
    fputs(p->json ? "\", \"group\": \"" : ", group ", stdout);
    print_owner_id(owner);
    fputs(p->json ? "\"" : "\n", stdout);
}

enum { VERSION_TEXT_BYTES = 48 };

/* "vid.place": a record's view, and its place in the shard's order; ".view" and the place before which it stands for a view.
 * A version is the place · 65536 + 65535 for a message (durable/dur_record.h); a stamp has the incarnation above the vid. */
static const char *place_text(nx_seq version, nx_vid stamp, char text[VERSION_TEXT_BYTES])
{
    bool message = (version & 0xffff) == 0xffff;
    if (version < 0)
        snprintf(text, VERSION_TEXT_BYTES, "nothing");
    else
        snprintf(text, VERSION_TEXT_BYTES, "%u.%lld%s", (unsigned)(stamp & UINT32_MAX),
                 (long long)(version >> 16), message ? "" : " view");
    return text;
}

static void on_checkpoint(void *ctx, const char *name, const struct nx_checkpoint *checkpoint)
{
    struct printer *p = ctx;
    char text[VERSION_TEXT_BYTES];
    print_owner(p, &checkpoint->owner);
    if (p->json)
        printf(", \"checkpoint\": {\"file\": \"%s\", \"version\": %lld, \"vid\": %llu, "
               "\"bytes\": %llu, \"crc\": \"ok\"}",
               name, (long long)checkpoint->version, (unsigned long long)checkpoint->vid,
               (unsigned long long)checkpoint->bytes);
    else
        printf("%s: the state after %s, %llu bytes, crc ok\n", name,
               place_text(checkpoint->version, checkpoint->vid, text),
               (unsigned long long)checkpoint->bytes);
}

static void close_segment(struct printer *p)
{
    if (p->json && p->segment_open)
        printf("]}");
    p->segment_open = false;
}

static void on_segment(void *ctx, const char *name, const struct nx_segment_head *head)
{
    struct printer *p = ctx;
    print_owner(p, &head->owner);
    close_segment(p);
    if (p->json)
        printf("%s{\"file\": \"%s\", \"after\": %lld, \"records\": [",
               p->segments_begun ? ", " : ", \"segments\": [", name, (long long)head->base);
    else
        printf("%s: from place %llu\n", name, (unsigned long long)(head->base + 1) >> 16);
    p->segments_begun = p->segment_open = true;
    p->record_begun = false;
}

static void on_record(void *ctx, const char *name, uint64_t offset, const struct nx_record *record)
{
    struct printer *p = ctx;
    char text[VERSION_TEXT_BYTES];
    (void)name;
    p->records_count++;
    p->bytes += record->payload_bytes;
    if (!p->records)
        return;
    if (p->json)
        printf("%s{\"offset\": %llu, \"version\": %lld, \"vid\": %llu, \"kind\": %u, "
               "\"bytes\": %u, \"crc\": \"ok\"}",
               p->record_begun ? ", " : "", (unsigned long long)offset, (long long)record->version,
               (unsigned long long)record->vid, record->kind, record->payload_bytes);
    else
        printf("  at %-10llu %-16s kind %-4u %8u bytes  crc ok\n", (unsigned long long)offset,
               place_text(record->version, record->vid, text), record->kind, record->payload_bytes);
    p->record_begun = true;
}

static const char *newest_file(const struct nx_plog_image *image, char name[NX_DISK_NAME_BYTES])
{
    nx_segment_name(image->segments[image->segments_count - 1].index, name);
    return name;
}

static uint64_t torn_at(const struct nx_plog_image *image)
{
    return image->segments[image->segments_count - 1].bytes;
}

static void print_end_text(const struct printer *p, const char *dir,
                           const struct nx_plog_image *image)
{
    char name[NX_DISK_NAME_BYTES], text[VERSION_TEXT_BYTES];
    printf("%llu records of %llu bytes; ", (unsigned long long)p->records_count,
           (unsigned long long)p->bytes);
    if (image->last < 0)
        printf("nothing yet\n");
    else
        printf("ends with %s\n", place_text(image->last, image->last_vid, text));
    if (image->torn_bytes)
        printf("%s/%s:%llu: torn tail of %llu bytes, cut at the next start: %s\n", dir,
               newest_file(image, name), (unsigned long long)torn_at(image),
               (unsigned long long)image->torn_bytes, image->torn_why);
}

static void print_end_json(const struct printer *p, const struct nx_plog_image *image,
                           enum nx_status status, const struct nx_err *err)
{
    char name[NX_DISK_NAME_BYTES];
    printf("%s%s\"records\": %llu, \"bytes\": %llu", p->segments_begun ? "]" : "",
           p->owner_printed ? ", " : "", (unsigned long long)p->records_count,
           (unsigned long long)p->bytes);
    if (status != NX_OK) {
        printf(", \"error\": \"");
        print_plain(err->text);
        printf("\"}\n");
        return;
    }
    printf(", \"last\": %lld, \"vid\": %llu", (long long)image->last,
           (unsigned long long)image->last_vid);
    if (image->torn_bytes)
        printf(", \"torn\": {\"file\": \"%s\", \"offset\": %llu, \"bytes\": %llu}",
               newest_file(image, name), (unsigned long long)torn_at(image),
               (unsigned long long)image->torn_bytes);
    printf("}\n");
}

static int inspect(struct nx_disk *disk, const char *dir, struct printer *p,
                   struct nx_plog_image *image)
{
    struct nx_err err = {0};
    const struct nx_plog_visitor visitor = {
        .ctx = p, .checkpoint = on_checkpoint, .segment = on_segment, .record = on_record};
    if (p->json)
        putchar('{');
    enum nx_status status = nx_plog_recover(disk, NULL, &visitor, 0, image, &err);
    if (status == NX_OK && image->empty)
        status = nx_err_set(&err, NX_NOT_FOUND, "%s holds no log", dir);
    close_segment(p);
    if (p->json)
        print_end_json(p, image, status, &err);
    else if (status == NX_OK)
        print_end_text(p, dir, image);
    if (status != NX_OK)
        fprintf(stderr, "nexus log: %s\n", err.text);
    if (fflush(stdout) == EOF || ferror(stdout) || status != NX_OK)
        return EXIT_FAILURE;
    return image->torn_bytes ? EXIT_TORN : EXIT_SUCCESS;
}

static int open_and_inspect(const char *dir, struct printer *p)
{
    struct nx_disk *disk;
    struct nx_err err = {0};
    struct nx_plog_image *image = nx_calloc(1, sizeof *image);
    if (!image || nx_disk_file_open(dir, NX_DISK_READ_ONLY, &disk, &err) != NX_OK) {
        fprintf(stderr, "nexus log: %s\n", image ? err.text : "no memory");
        free(image);
        return EXIT_FAILURE;
    }
    int code = inspect(disk, dir, p, image);
    nx_disk_close(disk);
    free(image);
    return code;
}

int nx_cmd_log(int argc, char **argv)
{
    struct printer p = {.records = true};
    const char *dir = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            p.json = true;
        else if (!strcmp(argv[i], "--verify"))
            p.records = false;
        else if (argv[i][0] == '-' || dir) {
            fprintf(stderr, "nexus log: %s \"%s\"; usage: nexus log <dir> [--verify] [--json]\n",
                    argv[i][0] == '-' ? "unknown option" : "a second folder", argv[i]);
            return EXIT_USAGE;
        } else {
            dir = argv[i];
        }
    }
    if (!dir) {
        fprintf(stderr, "nexus log: no folder; usage: nexus log <dir> [--verify] [--json]\n");
        return EXIT_USAGE;
    }
    return open_and_inspect(dir, &p);
}
