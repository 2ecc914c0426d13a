# The nets that gpu-check runs on a device are held to the plan's interpreter here.
set(gpu_check ${CMAKE_SOURCE_DIR}/bench/gpu_check)
nexus_test(test_gpu_plan
    SOURCES test_gpu_plan.c gpu_interpret.c gpu_zoo.c parity_net.c ${gpu_check}/gpu_check_ops.c
            ${gpu_check}/gpu_check_resnet.c
    DEPS nexus_gpu_plan nexus_cpu LABELS parity)
if(TARGET test_gpu_plan)
    target_include_directories(test_gpu_plan PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${gpu_check})
endif()
if(NX_HAVE_CUDNN AND NX_TESTS AND NOT NX_SANITIZE AND NOT NX_FUZZ)
    nexus_test(test_gpu_module SOURCES test_gpu_module.c gpu_zoo.c parity_net.c
        DEPS nexus_model LABELS parity ARGS $<TARGET_FILE:nexus_gpu_module>)
    target_link_libraries(test_gpu_module PRIVATE ${CMAKE_DL_LIBS})
endif()
