foreach(name IN ITEMS pass params symbol symbol_attr synset topk plan)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_model)
endforeach()
