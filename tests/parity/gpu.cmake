nexus_test(test_gpu_plan SOURCES test_gpu_plan.c gpu_interpret.c parity_net.c
    DEPS nexus_gpu_plan nexus_cpu LABELS parity)
