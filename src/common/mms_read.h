/* mms_read.h — what the readers of Model Server's two kinds of file share; nobody else includes it. */
#ifndef NX_COMMON_MMS_READ_H
#define NX_COMMON_MMS_READ_H

#include "common/mms_config.h"

#include <stdbool.h>

struct nx_mms_read {
    const char *name; /* of the file */
    unsigned line;    /* in hand */
    struct nx_mms_config *config;
};

/* A line of the text without its end, cut off in place; NULL after the last. Counts. */
char *nx_mms_next_line(struct nx_mms_read *r, char **text);
char *nx_mms_trim(char *text); /* without white space around it, in place */

/* Replaces what was set before. */
enum nx_status nx_mms_set(struct nx_mms_read *r, const char *section, const char *key,
                          const char *value, struct nx_err *err);
const char *nx_mms_get(const struct nx_mms_read *r, const char *key); /* NULL: not set */
void nx_mms_unset(struct nx_mms_read *r, const char *key);
__attribute__((format(printf, 2, 3))) void nx_mms_note(struct nx_mms_read *r, const char *format,
                                                       ...);
/* "FILE:LINE: …"; NX_INVALID. */
__attribute__((format(printf, 3, 4))) enum nx_status nx_mms_refuse(const struct nx_mms_read *r,
                                                                   struct nx_err *err,
                                                                   const char *format, ...);

/* One more "IP:PORT" of the key listen. */
enum nx_status nx_mms_listen(struct nx_mms_read *r, const char *ip, unsigned port,
                             struct nx_err *err);
/* 1 … 65535 and nothing else. */
bool nx_mms_port(const char *text, unsigned *port);
/* Bytes, or with a k, m, g behind them, as whole MiB, rounded up, into request_max_mb. */
enum nx_status nx_mms_set_body_max(struct nx_mms_read *r, const char *key, const char *value,
                                   struct nx_err *err);

enum nx_status nx_mms_read_properties(struct nx_mms_read *r, char *text, struct nx_err *err);
enum nx_status nx_mms_read_conf(struct nx_mms_read *r, char *text, struct nx_err *err);

#endif
