foreach(name IN ITEMS dur_restart dur_model)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_restart)
endforeach()
