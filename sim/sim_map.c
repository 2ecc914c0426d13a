#include "sim_map.h"

#include "common/nx_assert.h"

#include <stdlib.h>

void sim_map_free(struct sim_map *map)
{
    free(map->entries);
    *map = (struct sim_map){0};
}

static struct sim_map_entry *probe(const struct sim_map *map, uint64_t a, uint64_t b)
{
    uint64_t h = (a * UINT64_C(0x9e3779b97f4a7c15) ^ b) * UINT64_C(0xbf58476d1ce4e5b9);
    size_t i = (h ^ h >> 31) & (map->capacity - 1);
    while (map->entries[i].used && (map->entries[i].a != a || map->entries[i].b != b))
        i = (i + 1) & (map->capacity - 1);
    return &map->entries[i];
}

static void grow(struct sim_map *map)
{
    struct sim_map bigger = {.capacity = map->capacity ? map->capacity * 2 : 64};
    bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
    nx_assert(bigger.entries != NULL);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].used)
            *probe(&bigger, map->entries[i].a, map->entries[i].b) = map->entries[i];
    bigger.count = map->count;
    free(map->entries);
    *map = bigger;
}

uint64_t *sim_map_at(struct sim_map *map, uint64_t a, uint64_t b, bool *fresh)
{
    if (map->count * 2 >= map->capacity)
        grow(map);
    struct sim_map_entry *entry = probe(map, a, b);
    *fresh = !entry->used;
    if (!entry->used) {
        *entry = (struct sim_map_entry){a, b, 0, true};
        map->count++;
    }
    return &entry->value;
}

uint64_t *sim_map_find(const struct sim_map *map, uint64_t a, uint64_t b)
{
    if (!map->capacity)
        return NULL;
    struct sim_map_entry *entry = probe(map, a, b);
    return entry->used ? &entry->value : NULL;
}
