add_library(nexus_test_wire STATIC ${CMAKE_SOURCE_DIR}/tests/lib/nx_wire.c)
target_include_directories(nexus_test_wire PUBLIC ${CMAKE_SOURCE_DIR}/tests/lib)
target_link_libraries(nexus_test_wire PUBLIC nexus_core)

foreach(name IN ITEMS core)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_test_wire)
endforeach()
