/* The module and the seam on whatever machine this is: without a device they say so and the CPU goes on; with one
 * the zoo's nets agree with cpu_ref. */
#include <dlfcn.h>
#include <string.h>

#include "categorizer/gpu/gpu_cudnn.h"
#include "categorizer/gpu/gpu_module.h"
#include "gpu_zoo.h"

static const char *module_path;

/* All of the module's symbols resolve against CUDA and cuDNN alone. */
static void the_module_loads_and_answers(void **state)
{
    (void)state;
    struct nx_err err = {0};
    struct nx_gpu_device *device;
    void *library = dlopen(module_path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    const struct nx_gpu_module *module = dlsym(library, NX_GPU_MODULE_SYMBOL);
    assert_non_null(module);
    assert_int_equal(module->layout, NX_GPU_MODULE_LAYOUT);
    enum nx_status status = module->open(&device, &err);
    print_message("# %s\n", status == NX_OK ? module->describe(device) : err.text);
    if (status == NX_OK)
        module->close(device);
    else
        assert_int_equal(status, NX_UNAVAILABLE);
}

static void a_named_backend_says_why_it_cannot(void **state)
{
    (void)state;
    struct net net;
    struct nx_program *program;
    struct nx_err err = {0};
    const struct nx_load_options options = {.batch_max = 1, .threads = 1};
    if (nx_backend_gpu_cudnn.is_there()) {
        print_message("SKIP: a machine with a device has no reason to give\n");
        skip();
    }
    gpu_zoo_open(&net, 0);
    assert_int_equal(nx_backend_load("gpu_cudnn", &net.graph, &options, &program, &err),
                     NX_UNAVAILABLE);
    assert_non_null(strstr(err.text, "gpu_cudnn: "));
    net_close(&net);
}

/* With a device, L2 norm has no step there; without one, nothing has. */
static void auto_goes_on_to_the_cpu(void **state)
{
    (void)state;
    struct net net;
    struct nx_program *program;
    struct nx_err err = {0};
    const struct nx_load_options options = {.batch_max = 1, .threads = 1};
    struct nx_node norm = {.op = NX_OP_L2_NORM, .attr.l2_norm = {NX_L2_INSTANCE, 1e-3f}};
    net_open(&net, 1);
    uint32_t x = net_source(&net, true, 8, 4, 4);
    net_output(&net, net_node(&net, &norm, &x, 1));
    net_infer(&net);
    assert_int_equal(nx_backend_load("auto", &net.graph, &options, &program, &err), NX_OK);
    assert_ptr_not_equal(program->backend, &nx_backend_gpu_cudnn);
    program->backend->free(program);
    assert_int_equal(nx_backend_load("tpu", &net.graph, &options, &program, &err), NX_UNAVAILABLE);
    net_close(&net);
}

static void a_device_agrees_with_cpu_ref(void **state)
{
    (void)state;
    if (!nx_backend_gpu_cudnn.is_there()) {
        print_message("SKIP: no device here runs the module\n");
        skip();
    }
    for (size_t i = 0; i < GPU_ZOO; i++) {
        struct net net;
        struct net_options options = {.backend = &nx_backend_gpu_cudnn,
                                      .load = {.batch_max = 5, .threads = 1},
                                      .tolerance = 1e-2};
        gpu_zoo_open(&net, i);
        net_compare(&net, &options, gpu_zoo[i].name);
        net_close(&net);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_module_loads_and_answers),
        cmocka_unit_test(a_named_backend_says_why_it_cannot),
        cmocka_unit_test(auto_goes_on_to_the_cpu),
        cmocka_unit_test(a_device_agrees_with_cpu_ref),
    };
    module_path = argc == 2 ? argv[1] : "";
    return cmocka_run_group_tests_name("gpu module", tests, NULL, NULL);
}
