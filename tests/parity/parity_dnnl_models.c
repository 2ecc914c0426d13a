/* Trained models on real photos: cpu_dnnl against cpu_ref in each output, and against the labels, through
 * decode and recipe as a request would. In bf16 and int8, where the machine has them, the answer must stay; int8 is
 * calibrated on every second photo. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "categorizer/cpu/dnnl_api.h"
#include "categorizer/image/photo.h"
#include "categorizer/model/calibrate.h"
#include "nx_shared.h"

enum { BACKENDS = 4, OUTPUTS_MAX = 1000 };

static const struct {
    const char *backend, *name;
    enum nx_precision precision;
    float tolerance; /* of a probability, or of the largest logit, against cpu_ref */
} runs[BACKENDS] = {
    {"cpu_ref", "cpu_ref", NX_PRECISION_F32, 0},
    {"cpu_dnnl", "cpu_dnnl f32", NX_PRECISION_F32, 1e-4f},
    {"cpu_dnnl", "cpu_dnnl int8", NX_PRECISION_INT8, 5e-2f},
    {"cpu_dnnl", "cpu_dnnl bf16", NX_PRECISION_BF16, 5e-2f},
};

struct models {
    struct nx_model *model[BACKENDS];
    struct nx_recipe recipe;
    int first, n; /* of runs[] */
};

/* How many of runs[] this machine has; where there is bf16 there is int8. */
static int runs_here(void)
{
    return nx_dnnl_has_bf16() ? BACKENDS : nx_dnnl_has_int8() ? BACKENDS - 1 : BACKENDS - 2;
}

struct photo_set {
    const char *model_folder, *symbol, *params, *synset, *labels, *photos_folder, *recipe;
    int right; /* photos that the model gets right; -1: all */
};

static void see_photo(struct nx_calibrator *c, const struct photo_set *set, const char *photo)
{
    const struct nx_model_facts *f = nx_calibrator_facts(c);
    struct nx_recipe recipe;
    struct nx_err err = {0};
    char root[300];
    snprintf(root, sizeof root, "%s/photos", set->photos_folder);
    struct nx_test_file file = nx_test_read(root, photo);
    float *x = calloc((size_t)f->channels * f->height_px * f->width_px, sizeof *x);
    const float *inputs[] = {x};
    assert_non_null(x);
    assert_int_equal(nx_recipe_parse(set->recipe, strlen(set->recipe), &recipe, &err), NX_OK);
    assert_int_equal(nx_photo_to_tensor(file.bytes, file.len, &recipe, f->channels, f->height_px,
                                        f->width_px, x, NULL, &err),
                     NX_OK);
    assert_int_equal(nx_calibrator_see(c, inputs, &err), NX_OK);
    free(x);
    free(file.bytes);
}

/* The file that `nexus model calibrate` would write for every second photo of the labels. */
static struct nx_test_file calibrate(const struct photo_set *set,
                                     const struct nx_model_files *files)
{
    struct nx_test_file labels = nx_test_read(set->photos_folder, set->labels);
    struct nx_model_options options = {.backend = "cpu_dnnl", .load = {.threads = 2}};
    struct nx_calibration_how how = {NX_RULE_PERCENTILE, 99.99};
    struct nx_calibrator *c;
    struct nx_err err = {0};
    char name[128], *text = NULL;
    size_t len = 0;
    if (nx_calibrator_open(files, &options, &c, &err) != NX_OK)
        fail_msg("%s: %s", set->symbol, err.text);
    int line = 0;
    for (const char *at = (char *)labels.bytes, *end = at + labels.len; at < end; line++) {
        assert_int_equal(sscanf(at, "%127s", name), 1);
        if (line % 2 == 0)
            see_photo(c, set, name);
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(nx_calibrator_write(c, &how, "every second photo", out, &err), NX_OK);
    assert_int_equal(fclose(out), 0);
    nx_calibrator_close(c);
    free(labels.bytes);
    return (struct nx_test_file){(uint8_t *)text, len};
}

/* `synset` may be NULL: then classes have no names. Without `params` the symbol is an ONNX file. */
static struct models open_models(const struct photo_set *set, int first, int n)
{
    const char *root = set->model_folder, *symbol = set->symbol, *params = set->params;
    const char *synset = set->synset, *recipe = set->recipe;
    struct models m = {.first = first, .n = n};
    struct nx_test_file calibration = {NULL, 0};
    struct nx_err err = {0};
    struct nx_test_file s = nx_test_read(root, symbol);
    struct nx_test_file p = params ? nx_test_read(root, params) : (struct nx_test_file){NULL, 0};
    struct nx_test_file c = synset ? nx_test_read(root, synset) : (struct nx_test_file){NULL, 0};
    struct nx_model_files files = {.params = {p.bytes, p.len}, .synset = {c.bytes, c.len}};
    *(params ? &files.symbol : &files.onnx) = (struct nx_file){s.bytes, s.len};
    assert_int_equal(nx_recipe_parse(recipe, strlen(recipe), &m.recipe, &err), NX_OK);
    for (int i = first; i < n; i++) {
        if (runs[i].precision == NX_PRECISION_INT8) {
            calibration = calibrate(set, &files);
            files.calibration = (struct nx_file){calibration.bytes, calibration.len};
        }
        struct nx_model_options options = {
            .backend = runs[i].backend,
            .load = {.batch_max = 1, .threads = 2, .precision = runs[i].precision}};
        if (nx_model_open(&files, &options, &m.model[i], &err) != NX_OK)
            fail_msg("%s on %s: %s", symbol, runs[i].name, err.text);
    }
    free(s.bytes);
    free(p.bytes);
    free(c.bytes);
    free(calibration.bytes);
    return m;
}

static void close_models(struct models *m)
{
    for (int i = m->first; i < m->n; i++)
        nx_model_close(m->model[i]);
}

/* Runs the photo on all; `off` grows to the largest deviation from the first. */
static void run_photo(const struct models *m, const char *root, const char *photo,
                      float out[BACKENDS][OUTPUTS_MAX], float off[BACKENDS])
{
    const struct nx_model_facts *f = nx_model_facts(m->model[m->first]);
    struct nx_test_file file = nx_test_read(root, photo);
    struct nx_err err = {0};
    float *in = calloc((size_t)f->channels * f->height_px * f->width_px, sizeof *in);
    assert_non_null(in);
    assert_true(f->outputs <= OUTPUTS_MAX);
    if (nx_photo_to_tensor(file.bytes, file.len, &m->recipe, f->channels, f->height_px, f->width_px,
                           in, NULL, &err) != NX_OK)
        fail_msg("%s: %s", photo, err.text);
    for (int i = m->first; i < m->n; i++) {
        assert_int_equal(nx_model_run(m->model[i], 1, in, out[i], &err), NX_OK);
        float scale = 1; /* logits may be larger than probabilities */
        for (uint32_t k = 0; k < f->outputs; k++)
            scale = fmaxf(scale, fabsf(out[m->first][k]));
        for (uint32_t k = 0; k < f->outputs; k++) {
            float d = fabsf(out[i][k] - out[m->first][k]) / scale;
            off[i] = !(d <= off[i]) ? d : off[i];
        }
    }
    free(in);
    free(file.bytes);
}

static uint32_t top_of(const float *values, uint32_t n)
{
    struct nx_top top;
    assert_int_equal(nx_topk(values, n, 1, &top), 1);
    return top.index;
}

/* "281,282,285", or the name of a class */
static bool accepts(const struct nx_model *model, const char *classes, uint32_t index)
{
    if (*classes < '0' || *classes > '9')
        return strcmp(nx_model_class(model, index), classes) == 0;
    for (const char *at = classes;; at++) {
        if ((uint32_t)strtoul(at, NULL, 10) == index)
            return true;
        at = strchr(at, ',');
        if (!at)
            return false;
    }
}

static void compare_on_photos(const struct photo_set *set)
{
    char photos_root[300], name[128], classes[64];
    snprintf(photos_root, sizeof photos_root, "%s/photos", set->photos_folder);
    struct models m = open_models(set, 0, runs_here());
    uint32_t n = nx_model_facts(m.model[0])->outputs;
    struct nx_test_file labels = nx_test_read(set->photos_folder, set->labels);
    float off[BACKENDS] = {0};
    int photos = 0, right = 0, kept[BACKENDS] = {0};
    for (const char *at = (char *)labels.bytes, *end = at + labels.len; at < end; photos++) {
        static float out[BACKENDS][OUTPUTS_MAX];
        assert_int_equal(sscanf(at, "%127s %63s", name, classes), 2);
        run_photo(&m, photos_root, name, out, off);
        right += accepts(m.model[0], classes, top_of(out[0], n));
        for (int i = 1; i < m.n; i++)
            kept[i] += top_of(out[i], n) == top_of(out[0], n);
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    print_message("# %s, %s: %d of %d photos right\n", set->symbol, set->recipe, right, photos);
    for (int i = 1; i < m.n; i++)
        print_message("#   %s: the same answer on %d, a probability off by %.1e at most\n",
                      runs[i].name, kept[i], (double)off[i]);
    assert_int_equal(right, set->right < 0 ? photos : set->right);
    for (int i = 1; i < m.n; i++)
        assert_true(off[i] <= runs[i].tolerance);
    assert_int_equal(kept[1], photos);
    for (int i = 2; i < m.n; i++) /* of a tie of two classes either may win */
        assert_true(kept[i] >= photos - (photos + 9) / 10);
    free(labels.bytes);
    close_models(&m);
}

static void lenet(void **state)
{
    (void)state;
    char folder[256];
    nx_shared_require("lenet-mxnet");
    snprintf(folder, sizeof folder, "%s/lenet-mxnet", nx_shared_folder());
    compare_on_photos(&(struct photo_set){folder, "LeNet-symbol.json", "LeNet-0010.params", NULL,
                                          "labels.tsv", folder, "grey-255", 38});
}

static void squeezenet(void **state)
{
    (void)state;
    char folder[256], photos[256];
    nx_shared_require("squeezenet1.1-mxnet");
    snprintf(folder, sizeof folder, "%s/squeezenet1.1-mxnet", nx_shared_folder());
    snprintf(photos, sizeof photos, "%s/squeezenet1.1-onnx-fp16", nx_shared_folder());
    compare_on_photos(&(struct photo_set){folder, "squeezenet_v1.1-symbol.json",
                                          "squeezenet_v1.1-0000.params", NULL, "labels.tsv", photos,
                                          "caffe-bgr", 5});
}

static void squeezenet_of_onnx(void **state)
{
    (void)state;
    char folder[256];
    nx_shared_require("squeezenet1.1-onnx-fp16");
    snprintf(folder, sizeof folder, "%s/squeezenet1.1-onnx-fp16", nx_shared_folder());
    compare_on_photos(&(struct photo_set){folder, "SqueezeNet_fp16.onnx", NULL, "synset.txt",
                                          "labels.tsv", folder, "caffe-bgr", 5});
}

/* The project's own model; see models/flowers/README.md. Its photos come from a folder of their own. */
static void flowers(void **state)
{
    (void)state;
    static const char folder[] = "models/flowers";
    compare_on_photos(&(struct photo_set){folder, "flowers-symbol.json", "flowers-0000.params",
                                          "synset.txt", "photos/labels.tsv", folder, "demo-2019",
                                          -1});
}

/* An independent f32 run on its own decoder and resize: each of its five highest probabilities. */
static void compare_with_independent_run(const char *folder, const char *symbol, const char *params)
{
    nx_shared_require(folder);
    char root[300], photos[300], name[128];
    snprintf(root, sizeof root, "%s/%s", nx_shared_folder(), folder);
    snprintf(photos, sizeof photos, "%s/squeezenet1.1-onnx-fp16", nx_shared_folder());
    const struct photo_set set = {
        .model_folder = root, .symbol = symbol, .params = params, .recipe = "caffe-bgr"};
    struct models m = open_models(&set, 1, 2);
    struct nx_test_file top5 = nx_test_read(photos, "reference-top5.tsv");
    float most = 0, off[BACKENDS] = {0};
    strncat(photos, "/photos", sizeof photos - strlen(photos) - 1);
    for (const char *at = (char *)top5.bytes, *end = at + top5.len; at < end;) {
        static float out[BACKENDS][OUTPUTS_MAX];
        unsigned class[5];
        float p[5];
        assert_int_equal(sscanf(at, "%127s %u:%f %u:%f %u:%f %u:%f %u:%f", name, &class[0], &p[0],
                                &class[1], &p[1], &class[2], &p[2], &class[3], &p[3], &class[4],
                                &p[4]),
                         11);
        run_photo(&m, photos, name, out, off);
        for (int i = 0; i < 5; i++)
            most = fmaxf(most, fabsf(out[1][class[i]] - p[i]));
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    print_message("# %s against the independent run: off by %.1e at most\n", symbol, (double)most);
    assert_true(most < 0.05f);
    free(top5.bytes);
    close_models(&m);
}

static void squeezenet_gives_the_probabilities_of_an_independent_run(void **state)
{
    (void)state;
    compare_with_independent_run("squeezenet1.1-mxnet", "squeezenet_v1.1-symbol.json",
                                 "squeezenet_v1.1-0000.params");
}

static void squeezenet_of_onnx_gives_the_probabilities_of_an_independent_run(void **state)
{
    (void)state;
    compare_with_independent_run("squeezenet1.1-onnx-fp16", "SqueezeNet_fp16.onnx", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lenet),
        cmocka_unit_test(squeezenet),
        cmocka_unit_test(squeezenet_of_onnx),
        cmocka_unit_test(flowers),
        cmocka_unit_test(squeezenet_gives_the_probabilities_of_an_independent_run),
        cmocka_unit_test(squeezenet_of_onnx_gives_the_probabilities_of_an_independent_run),
    };
    return cmocka_run_group_tests_name("dnnl_models", tests, NULL, NULL);
}
