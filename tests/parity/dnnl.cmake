if(NX_HAVE_DNNL)
    nexus_test(parity_dnnl_ops SOURCES parity_dnnl_ops.c parity_net.c DEPS nexus_cpu LABELS parity
        TIMEOUT 300)
    nexus_test(parity_dnnl_models SOURCES parity_dnnl_models.c DEPS nexus_model nexus_image
        LABELS parity TIMEOUT 300)
endif()
