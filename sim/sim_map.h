/* sim_map.h — a growing table from a pair of numbers to one number, for the judges. */
#ifndef SIM_MAP_H
#define SIM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_map_entry {
    uint64_t a, b, value;
    bool used;
};

struct sim_map {
    struct sim_map_entry *entries;
    size_t count, capacity; /* capacity: a power of two or 0 */
};

void sim_map_free(struct sim_map *map);

/* The place of (a, b)'s value; made with value 0 and *fresh = true if there was none. Valid until
 * the next call. */
uint64_t *sim_map_at(struct sim_map *map, uint64_t a, uint64_t b, bool *fresh);
/* NULL if there is none. */
uint64_t *sim_map_find(const struct sim_map *map, uint64_t a, uint64_t b);

#endif
