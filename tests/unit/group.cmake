add_library(nexus_test_wire STATIC ${CMAKE_SOURCE_DIR}/tests/lib/nx_wire.c)
target_include_directories(nexus_test_wire PUBLIC ${CMAKE_SOURCE_DIR}/tests/lib)
target_link_libraries(nexus_test_wire PUBLIC nexus_core)

foreach(name IN ITEMS core hostile view rankset subgroup sst_table mc_window mc_stability mc_tree mb_suspect mb_change mb_leave mb_heart
                      rpc_p2p)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_test_wire)
endforeach()

add_executable(bench_core ${CMAKE_SOURCE_DIR}/bench/bench_core.c)
target_link_libraries(bench_core PRIVATE nexus_flags nexus_test_wire)
