if(NX_HAVE_DNNL)
    nexus_test(parity_dnnl_ops SOURCES parity_dnnl_ops.c parity_net.c DEPS nexus_cpu LABELS parity TIMEOUT 300)
endif()
