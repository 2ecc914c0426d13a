nexus_fuzz(fuzz_bootstrap SOURCES fuzz_bootstrap.c DEPS nexus_fabric)

# What a member writes into another's memory.
if(NX_FUZZ)
    nexus_fuzz(fuzz_region SOURCES fuzz_region.c ${CMAKE_SOURCE_DIR}/tests/lib/nx_wire.c DEPS nexus_core)
    target_include_directories(fuzz_region PRIVATE ${CMAKE_SOURCE_DIR}/tests/lib)
endif()
