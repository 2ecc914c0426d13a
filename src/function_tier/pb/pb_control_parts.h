/* pb_control_parts.h — what the files of nexus.Control's messages share. Internal to pb/: it shows generated types. */
#ifndef NX_PB_CONTROL_PARTS_H
#define NX_PB_CONTROL_PARTS_H

#include "common/arena.h"
#include "control.pb-c.h"
#include "function_tier/pb/pb_control.h"

/* The same text, for protobuf-c's structs, which are not const-correct; "?" for what is not UTF-8. */
char *nx_pb_text_of(const char *text);

enum nx_status nx_pb_fill_replica(const struct nx_pb_replica *from, struct nx_arena *arena,
                                  Nexus__Replica *to);

/* Its texts are those of the message. */
struct nx_pb_model_row nx_pb_model_row_of(const Nexus__Model *model);

#endif
