if(NX_HAVE_DNNL)
    foreach(name IN ITEMS ops program)
        nexus_test(parity_dnnl_${name} SOURCES parity_dnnl_${name}.c parity_net.c
            DEPS nexus_cpu Threads::Threads LABELS parity TIMEOUT 900)
    endforeach()
    nexus_test(parity_dnnl_int8 SOURCES parity_dnnl_int8.c parity_net.c DEPS nexus_model LABELS parity TIMEOUT 900)
    nexus_test(parity_dnnl_models SOURCES parity_dnnl_models.c DEPS nexus_model nexus_image
        LABELS parity TIMEOUT 900)
endif()
# The code that oneDNN has for 8 bits on other machines, as far as this one has their instructions.
if(TARGET parity_dnnl_int8)
    foreach(isa IN ITEMS AVX512_CORE_VNNI AVX2_VNNI)
        add_test(NAME parity_dnnl_int8_${isa} COMMAND parity_dnnl_int8)
        set_tests_properties(parity_dnnl_int8_${isa} PROPERTIES LABELS parity TIMEOUT 900
            ENVIRONMENT "DNNL_MAX_CPU_ISA=${isa};OMP_WAIT_POLICY=passive")
    endforeach()
    # Many short runs: threads that spin at their ends take the processors from what runs beside.
    set_tests_properties(parity_dnnl_ops parity_dnnl_program parity_dnnl_models parity_dnnl_int8 PROPERTIES
        ENVIRONMENT_MODIFICATION OMP_WAIT_POLICY=set:passive)
endif()
