if(NX_HAVE_DNNL)
    foreach(name IN ITEMS ops program)
        nexus_test(parity_dnnl_${name} SOURCES parity_dnnl_${name}.c parity_net.c
            DEPS nexus_cpu Threads::Threads LABELS parity TIMEOUT 300)
    endforeach()
    nexus_test(parity_dnnl_int8 SOURCES parity_dnnl_int8.c parity_net.c DEPS nexus_model LABELS parity TIMEOUT 300)
    nexus_test(parity_dnnl_models SOURCES parity_dnnl_models.c DEPS nexus_model nexus_image
        LABELS parity TIMEOUT 300)
endif()
