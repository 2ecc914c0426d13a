#include "cli/model_calibrate.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "categorizer/image/photo.h"
#include "common/arena.h"

struct calibrating {
    struct nx_model_args *args;
    struct nx_err *err;
    struct nx_calibrator *calibrator;
    struct nx_recipe recipe;
    struct nx_arena arena; /* paths */
    char **paths;
    uint32_t n_paths, seen;
    float *tensor; /* of one photo */
};

static enum nx_status add_path(struct calibrating *c, const char *folder, const char *name,
                               size_t len)
{
    if (c->n_paths == NX_CALIBRATION_PHOTOS_MAX)
        return nx_err_set(c->err, NX_TOO_LARGE, "%s: more than %u photos", c->args->photos,
                          NX_CALIBRATION_PHOTOS_MAX);
    size_t bytes = strlen(folder) + len + 2;
    char *path = nx_arena_alloc(&c->arena, bytes);
    if (!path)
        return nx_err_set(c->err, NX_NO_MEMORY, "out of memory for the photos' names");
    snprintf(path, bytes, "%s%s%.*s", folder, *folder ? "/" : "", (int)len, name);
    c->paths[c->n_paths++] = path;
    return NX_OK;
}

static enum nx_status list_folder(struct calibrating *c, DIR *folder)
{
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        NX_TRY(add_path(c, c->args->photos, entry->d_name, strlen(entry->d_name)));
    }
    return NX_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum nx_status list_lines(struct calibrating *c)
{
    struct nx_mapped_file list;
    NX_TRY(nx_mapped_file_open(c->args->photos, &list, c->err));
    enum nx_status status = NX_OK;
    const char *at = list.bytes, *end = at + list.len;
    while (at < end && status == NX_OK) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        if (memchr(at, 0, len) || len > 4096)
            status = nx_err_set(c->err, NX_INVALID, "%s: a line is not the path of a photo",
                                c->args->photos);
        else if (len > 0)
            status = add_path(c, "", at, len);
        at += newline ? len + 1 : len;
    }
    nx_mapped_file_close(&list);
    return status;
}

static enum nx_status list_photos(struct calibrating *c)
{
    struct stat found;
    c->paths = nx_arena_array(&c->arena, NX_CALIBRATION_PHOTOS_MAX, sizeof *c->paths);
    if (!c->paths)
        return nx_err_set(c->err, NX_NO_MEMORY, "out of memory for the photos' names");
    if (stat(c->args->photos, &found) != 0)
        return nx_err_set(c->err, NX_IO, "%s: %s", c->args->photos, strerror(errno));
    if (!S_ISDIR(found.st_mode))
        return list_lines(c);
    DIR *folder = opendir(c->args->photos);
    if (!folder)
        return nx_err_set(c->err, NX_IO, "%s: %s", c->args->photos, strerror(errno));
    enum nx_status status = list_folder(c, folder);
    closedir(folder);
    qsort(c->paths, c->n_paths, sizeof *c->paths, by_name);
    return status;
}

static enum nx_status read_recipe(struct calibrating *c)
{
    const char *recipe = c->args->recipe ? c->args->recipe : NX_RECIPE_DEFAULT;
    const struct nx_recipe *preset = nx_recipe_preset(recipe);
    struct nx_mapped_file file;
    if (preset) {
        c->recipe = *preset;
        return NX_OK;
    }
    NX_TRY(nx_mapped_file_open(recipe, &file, c->err));
    enum nx_status status = nx_recipe_parse(file.bytes, file.len, &c->recipe, c->err);
    if (status != NX_OK)
        nx_err_prefix(c->err, "%s", recipe);
    nx_mapped_file_close(&file);
    return status;
}

static enum nx_status read_photo(struct calibrating *c, const char *path, struct nx_err *err)
{
    const struct nx_model_facts *f = nx_calibrator_facts(c->calibrator);
    struct nx_mapped_file file;
    NX_TRY(nx_mapped_file_open(path, &file, err));
    enum nx_status status = nx_photo_to_tensor(file.bytes, file.len, &c->recipe, f->channels,
                                               f->height_px, f->width_px, c->tensor, NULL, err);
    if (status != NX_OK)
        nx_err_prefix(err, "%s", path);
    nx_mapped_file_close(&file);
    return status;
}

static enum nx_status see_photos(struct calibrating *c)
{
    for (uint32_t i = 0; i < c->n_paths; i++) {
        struct nx_err why = {0};
        if (read_photo(c, c->paths[i], &why) != NX_OK) {
            fprintf(stderr, "nexus model: passed over: %s\n", why.text);
            continue;
        }
        const float *input = c->tensor;
        NX_TRY(nx_calibrator_see(c->calibrator, &input, c->err));
        c->seen++;
    }
    if (c->seen == 0)
        return nx_err_set(c->err, NX_INVALID, "%s: there is no photo", c->args->photos);
    return NX_OK;
}

static enum nx_status write_file(struct calibrating *c)
{
    char seen[32];
    const char *path = c->args->output;
    FILE *file = fopen(path, "w");
    if (!file)
        return nx_err_set(c->err, NX_IO, "%s: %s", path, strerror(errno));
    snprintf(seen, sizeof seen, "%u photo%s", c->seen, c->seen == 1 ? "" : "s");
    enum nx_status status = nx_calibrator_write(c->calibrator, &c->args->how, seen, file, c->err);
    if (fclose(file) != 0 && status == NX_OK)
        status = nx_err_set(c->err, NX_IO, "%s: %s", path, strerror(errno));
    if (status != NX_OK)
        remove(path);
    return status;
}

static enum nx_status open_model(struct calibrating *c)
{
    NX_TRY(read_recipe(c));
    if (!c->args->options.hint_height_px)
        c->args->options.hint_height_px = c->args->options.hint_width_px = c->recipe.crop;
    NX_TRY(nx_calibrator_open(&c->args->files, &c->args->options, &c->calibrator, c->err));
    const struct nx_model_facts *f = nx_calibrator_facts(c->calibrator);
    if (!f->takes_photos)
        return nx_err_set(c->err, NX_UNSUPPORTED, "the model does not take photos");
    NX_TRY(nx_recipe_check(&c->recipe, f->channels, f->height_px, f->width_px, c->err));
    c->tensor = nx_calloc((size_t)f->channels * f->height_px * f->width_px, sizeof *c->tensor);
    return c->tensor ? NX_OK : nx_err_set(c->err, NX_NO_MEMORY, "out of memory for a photo");
}

static enum nx_status calibrate(struct calibrating *c, FILE *out)
{
    NX_TRY(list_photos(c));
    NX_TRY(open_model(c));
    NX_TRY(see_photos(c));
    NX_TRY(write_file(c));
    fprintf(out, "%s: from %u of %u files\n", c->args->output, c->seen, c->n_paths);
    return NX_OK;
}

enum nx_status nx_model_calibrate_files(struct nx_model_args *args, FILE *out, struct nx_err *err)
{
    struct calibrating c = {.args = args, .err = err};
    nx_arena_init(&c.arena, SIZE_MAX);
    enum nx_status status = calibrate(&c, out);
    nx_calibrator_close(c.calibrator);
    free(c.tensor);
    nx_arena_free(&c.arena);
    return status;
}
