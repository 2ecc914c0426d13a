/* sim_edit.h — how a drawn configuration is made smaller, as a list that can be written down:
 *
 *   --edit n3,f0,f2,o1:5,b,q,t
 *
 *   n3    the first 3 nodes alone; faults of the others go with them
 *   f2    without the fault that was drawn as number 2
 *   o1:5  node 1 wants at most 5 operations
 *   b q   nobody sends bulk messages; nobody asks
 *   t     no write lands in pieces
 *   d     every write takes the shortest time that was drawn
 *
 * Numbers are those of the configuration as drawn, so edits may come in any order. */
#ifndef SIM_EDIT_H
#define SIM_EDIT_H

#include "sim_config.h"

enum { SIM_EDITS_MAX = 64 };

struct sim_edit {
    char what;
    uint32_t index, value;
};

struct sim_edits {
    uint32_t count;
    struct sim_edit list[SIM_EDITS_MAX];
};

/* False: no list of edits. */
bool sim_edits_parse(struct sim_edits *edits, const char *text);
void sim_edits_print(const struct sim_edits *edits, FILE *out);

/* `config` is as drawn. What does not apply to it (a node or fault that it lacks) is skipped. */
void sim_edits_apply(const struct sim_edits *edits, struct sim_config *config);

#endif
