pkg_check_modules(SPNG REQUIRED IMPORTED_TARGET spng)
nexus_test(test_golden_ops SOURCES test_golden_ops.c golden_run.c gpu_interpret.c
    DEPS nexus_gpu_plan nexus_model LABELS parity)
nexus_test(test_golden_onnx SOURCES test_golden_onnx.c golden_run.c gpu_interpret.c
    DEPS nexus_gpu_plan nexus_model LABELS parity)
nexus_test(test_real_models SOURCES test_real_models.c DEPS nexus_model PkgConfig::SPNG
    LABELS parity TIMEOUT 600)
