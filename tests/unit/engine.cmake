foreach(name IN ITEMS pass)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_model)
endforeach()
